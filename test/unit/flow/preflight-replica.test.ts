import { describe, expect, test } from 'vitest';
import { possessionRefusal } from '../../../src/flow/cluster-token.ts';
import {
  requireNotOlder,
  requireOtherHost,
  requireSameTime,
  tokenOfCluster,
} from '../../../src/flow/preflight-replica.ts';
import type { KeyFinding } from '../../../src/hsm/possession.ts';

const SERVER = 'ca1.example.test';
const RECORD = { tokenName: 'HSM', libraryPath: '/usr/lib/hsm.so' };

describe('the token of the cluster', () => {
  test('is the recorded one, reached through a library of this host where told', () => {
    const recorded = { label: 'HSM', libraryPath: '/usr/lib/hsm.so' };
    expect(tokenOfCluster(RECORD, {})).toEqual(recorded);
    expect(tokenOfCluster(RECORD, { tokenName: 'HSM' })).toEqual(recorded);
    expect(tokenOfCluster(RECORD, { libraryPath: '/opt/hsm.so' })).toEqual({
      label: 'HSM',
      libraryPath: '/opt/hsm.so',
      recordedLibraryPath: '/usr/lib/hsm.so',
    });
  });

  test.each(['hsm', 'HSM ', 'HSM2', ''])('is never called %j when the record says HSM', (tokenName) => {
    expect(() => tokenOfCluster(RECORD, { tokenName, libraryPath: '/usr/lib/hsm.so' })).toThrow(
      expect.objectContaining({
        code: 'token-name-differs',
        exit: 2,
        message: expect.stringContaining('"HSM"'),
      }),
    );
  });
});

describe('clocks', () => {
  test.each([0, 59, -59])('may be %d s apart', (skew) => {
    expect(() => requireSameTime(SERVER, skew)).not.toThrow();
  });
  test.each([
    [60, 'behind'],
    [-60, 'ahead of'],
    [86_400, 'behind'],
  ])('may not be %d s apart: this host is %s', (skew, words) => {
    expect(() => requireSameTime(SERVER, skew)).toThrow(
      expect.objectContaining({
        code: 'clock-skew',
        message: expect.stringContaining(`${Math.abs(skew)} s ${words}`),
      }),
    );
  });
});

describe('releases', () => {
  const there = { server: SERVER, dogtag: [11, 5, 3] as const };
  test.each([
    [11, 5, 0],
    [11, 6, 0],
  ] as const)('Dogtag %d.%d.%d may join 11.5.3', (...here) => {
    expect(() => requireNotOlder(here, there)).not.toThrow();
  });
  test.each([
    [11, 4, 9],
    [10, 10, 2],
  ] as const)('Dogtag %d.%d.%d may not', (...here) => {
    expect(() => requireNotOlder(here, there)).toThrow(expect.objectContaining({ code: 'dogtag-older' }));
  });
});

test('a host does not join itself', () => {
  expect(() => requireOtherHost(SERVER, 'ca2.example.test')).not.toThrow();
  expect(() => requireOtherHost(SERVER, SERVER)).toThrow(
    expect.objectContaining({ code: 'server-is-this-host' }),
  );
});

describe('possession', () => {
  const choice = { label: 'HSM', libraryPath: '/usr/lib/hsm.so' };
  const possessed = (nickname: string): KeyFinding => ({
    nickname,
    state: 'possessed',
    id: 'a1',
    serialNumber: '01',
  });
  const none: KeyFinding[] = [
    { nickname: 'caSigningCert cert-pki-ca', state: 'no-key' },
    { nickname: 'ocspSigningCert cert-pki-ca', state: 'no-certificate' },
  ];

  test('of all keys is no refusal, whatever the serial number', () => {
    expect(possessionRefusal(choice, '0002', ['0001'], [possessed('a'), possessed('b')])).toBeUndefined();
  });

  test('of none, on a token of another serial number, says that it is another token', () => {
    const refused = possessionRefusal(choice, '0002', ['0001', '0003'], none);
    expect(refused).toMatchObject({ code: 'token-differs', exit: 2 });
    for (const words of ['0002', '0001 or 0003', '"HSM"', '/usr/lib/hsm.so']) {
      expect(refused?.message).toContain(words);
    }
  });

  test.each([
    ['the same serial number', ['0002']],
    ['nothing known of serial numbers', []],
  ])('of none, with %s, names the keys', (_, serials) => {
    const refused = possessionRefusal(choice, '0002', serials, none);
    expect(refused).toMatchObject({ code: 'keys-missing', exit: 2 });
    expect(refused?.message).toContain('caSigningCert cert-pki-ca: the private key is missing');
    expect(refused?.message).toContain('ocspSigningCert cert-pki-ca: neither certificate nor key');
  });

  test('of some names those that are missing, and no other', () => {
    const found: KeyFinding[] = [
      possessed('caSigningCert cert-pki-ca'),
      { nickname: 'ocspSigningCert cert-pki-ca', state: 'other-key' },
      { nickname: 'subsystemCert cert-pki-ca', state: 'foreign-certificate', issuer: 'O=Else\nCN=Their CA' },
    ];
    const message = possessionRefusal(choice, '0009', ['0001'], found)?.message;
    expect(message).toContain(
      'ocspSigningCert cert-pki-ca: the private key does not belong to the certificate',
    );
    expect(message).toContain(
      'subsystemCert cert-pki-ca: the certificate is not of this CA but of CN=Their CA,O=Else',
    );
    expect(message).not.toContain('caSigningCert');
  });
});
