import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  atLeast,
  dogtagProfile,
  formatVersion,
  parseCertmongerVersion,
  parseDirectoryVersion,
  parseDogtagVersion,
  requireSupported,
  type Version,
} from '../../../src/dogtag/version.ts';

const code = (wanted: string) => expect.objectContaining({ code: wanted, exit: 2 });

describe('the version of Dogtag', () => {
  test.each([
    ['Name: pki\nSpecification-Version: 10.10.2\nImplementation-Version: 10.10.2\n', '10.10.2'],
    ['Specification-Version: 11.5.0\nImplementation-Version: 11.5.0-SNAPSHOT', '11.5.0'],
    ['PKI Command-Line Interface 10.10.2\n', '10.10.2'],
    ['PKI Command-Line Interface 11.5.0-1.fc40', '11.5.0'],
    ['10.10.2-3', '10.10.2'],
    ['1:11.2.1-2+b1\n', '11.2.1'],
    ['11.6.0~alpha1-1', '11.6.0'],
    ['pki-ca 10.10.2-3', '10.10.2'],
    ['11.7', '11.7.0'],
  ])('in %j is %s', (text, version) => {
    expect(formatVersion(parseDogtagVersion(text))).toBe(version);
  });

  test.each([
    '',
    'ERROR: option --version not recognized\nUsage: pki-server [OPTIONS]\n',
    'UnknownHostException: vm: vm: Name or service not known',
    'ca1 10.77.0.11',
  ])('is not guessed from %j', (text) => {
    expect(() => parseDogtagVersion(text)).toThrow(code('dogtag-version-unknown'));
  });
});

describe('the versions of the others', () => {
  test('are read as the programs print them', () => {
    expect(parseDirectoryVersion('389 Project\n389-Directory/1.4.4.11 B2021.139.1122\n')).toEqual([1, 4, 4]);
    expect(parseDirectoryVersion('389-Directory/2.4.5 B2024.017.0000')).toEqual([2, 4, 5]);
    expect(parseDirectoryVersion('1.4.4.11-2')).toEqual([1, 4, 4]);
    expect(parseCertmongerVersion('certmonger 0.79.13\n')).toEqual([0, 79, 13]);
    expect(parseCertmongerVersion('0.79.13-3')).toEqual([0, 79, 13]);
  });

  test('are not guessed', () => {
    expect(() => parseDirectoryVersion('usage: dsctl [-h] [-v]')).toThrow(code('directory-version-unknown'));
    expect(() => parseCertmongerVersion('--version: unrecognized command')).toThrow(
      code('certmonger-version-unknown'),
    );
  });
});

describe('what is supported', () => {
  test.each([
    ['dogtag', [10, 10, 0]],
    ['dogtag', [11, 10, 1]],
    ['directory', [1, 4, 4]],
    ['directory', [3, 0, 0]],
    ['certmonger', [0, 79, 13]],
    ['certmonger', [0, 80, 0]],
  ] as const)('%s %j', (program, version) => {
    expect(() => requireSupported(program, version)).not.toThrow();
  });

  test.each([
    ['dogtag', [10, 9, 4]],
    ['dogtag', [12, 0, 0]],
    ['directory', [1, 4, 3]],
    ['certmonger', [0, 79, 9]],
  ] as const)('not %s %j', (program, version) => {
    expect(() => requireSupported(program, version)).toThrow(code(`${program}-unsupported`));
  });

  test('is said in the refusal, with what was found', () => {
    expect(() => dogtagProfile([10, 6, 1])).toThrow(
      'Dogtag PKI 10.6.1 is not supported; Capstan works with 10.10.0 or newer, below 12.0.0.',
    );
  });
});

describe('how a release behaves', () => {
  test('10.10.2, the release of Debian 11', () => {
    expect(dogtagProfile([10, 10, 2])).toEqual({
      version: [10, 10, 2],
      tlsKey: 'two-step',
      statusFormat: 'xml',
      restPath: '/ca/rest',
      randomSerialNumbers: false,
      dsUrl: false,
      toolsAsPkiuser: false,
      oaepKeyWrap: false,
      standardKeyWrap: false,
      largeRequests: false,
      randomKeyIds: false,
      restartSetting: true,
      reindexSetting: true,
    });
  });

  test.each([
    ['statusFormat', [10, 15, 9], 'xml', [11, 0, 0], 'json'],
    ['randomSerialNumbers', [11, 1, 9], false, [11, 2, 0], true],
    ['tlsKey', [11, 2, 9], 'two-step', [11, 3, 0], 'plain'],
    ['dsUrl', [11, 4, 9], false, [11, 5, 0], true],
    ['restPath', [11, 9, 9], '/ca/rest', [11, 10, 0], '/ca/v2'],
  ] as const)('%s changes between %j (%j) and %j (%j)', (flag, last, before, first, after) => {
    expect(dogtagProfile(last)[flag]).toBe(before);
    expect(dogtagProfile(first)[flag]).toBe(after);
  });
});

test('versions are ordered by their numbers, part by part', () => {
  const version = fc.tuple(fc.nat(99), fc.nat(99), fc.nat(99));
  const weight = ([major, minor, patch]: Version) => (major * 100 + minor) * 100 + patch;
  fc.assert(fc.property(version, version, (a, b) => atLeast(a, b) === weight(a) >= weight(b)));
});
