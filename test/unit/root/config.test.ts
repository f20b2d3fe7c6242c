import { describe, expect, test } from 'vitest';
import { PreflightError } from '../../../src/errors.ts';
import { type RootConfig, readRootConfig } from '../../../src/root/config.ts';

const GOOD = `version: 1
token:
  uri: pkcs11:token=Root;object=root-key?module-path=/usr/lib/vendor/lib.so
  environment:
    VENDOR_CONFIG: /etc/vendor.conf
key:
  size: 4096
certificate:
  subject: CN=Example Root CA,O=Example,C=DE
  hash: SHA-256
  validity: 20 years
  path-length: 1
publication:
  crl-urls: [http://pki.example.test/root.crl]
crl:
  validity: 6 months
profiles:
  issuing-ca:
    validity: 10 years
    path-length: 0
    least-key-size: 3072
outputs:
  certificate: root.crt
  transcript: root.txt
  index: /var/root/index.jsonl
`;

function read(text: string): RootConfig {
  return readRootConfig(Buffer.from(text), 'root.yaml', '/srv/ceremony');
}

function flawsOf(text: string): string[] {
  try {
    read(text);
  } catch (error) {
    expect(error).toBeInstanceOf(PreflightError);
    const { failures } = error as PreflightError;
    expect(failures.every(({ code }) => code === 'root-config-invalid')).toBe(true);
    return failures.map(({ message }) => message);
  }
  throw new Error('it was taken');
}

/** The good file with one line in the place of another. */
function changed(line: string, other: string): string {
  expect(GOOD).toContain(line);
  return GOOD.replace(line, other);
}

test('a good file is read whole', () => {
  expect(read(GOOD)).toMatchObject({
    libraryPath: '/usr/lib/vendor/lib.so',
    keyLabel: 'root-key',
    environment: { VENDOR_CONFIG: '/etc/vendor.conf' },
    keyBits: 4096,
    hash: 'SHA-256',
    subject: 'CN=Example Root CA,O=Example,C=DE',
    validity: { count: 20, unit: 'year' },
    pathLength: 1,
    crlUrls: ['http://pki.example.test/root.crl'],
    certificateUrls: [],
    outputs: {
      certificate: '/srv/ceremony/root.crt',
      transcript: '/srv/ceremony/root.txt',
      index: '/var/root/index.jsonl',
    },
  });
  expect(read(GOOD).digest).toMatch(/^[0-9a-f]{64}$/);
});

describe('one flaw is one error with its place', () => {
  test.each([
    ['an unknown key', '  size: 4096', '  size: 4096\n  sise: 1', 8, 3, 'the key "sise" is unknown'],
    ['an unknown section', 'crl:\n', 'crls: {}\ncrl:\n', 15, 1, 'the key "crls" is unknown'],
    ['a key twice', '  size: 4096', '  size: 4096\n  size: 2048', 8, 3, 'this key is there twice'],
    ['a text for a number', '  size: 4096', '  size: "4096"', 7, 9, 'key.size: a whole number'],
    ['a hexadecimal number', '  size: 4096', '  size: 0x1000', 7, 9, 'key.size: a whole number'],
    ['a fraction', '  size: 4096', '  size: 4096.0', 7, 9, 'key.size: a whole number'],
    ['a key too small', '  size: 4096', '  size: 1024', 7, 9, 'from 2048 to 8192'],
    ['a key too large', '  size: 4096', '  size: 16384', 7, 9, 'from 2048 to 8192'],
    ['an odd key', '  size: 4096', '  size: 4095', 7, 9, 'multiple of 1024'],
    ['SHA-1', '  hash: SHA-256', '  hash: SHA-1', 10, 9, 'one of SHA-256, SHA-384, SHA-512'],
    ['a number for a text', '  hash: SHA-256', '  hash: 256', 10, 9, 'a text is needed'],
    ['no validity', '  validity: 20 years', '  validity: forever', 11, 13, 'a time such as'],
    ['a long validity', '  validity: 20 years', '  validity: 51 years', 11, 13, 'at most 50 years'],
    ['no name', 'CN=Example Root CA,O=Example,C=DE', 'Example', 9, 12, 'is not a distinguished name'],
    ['a country too long', 'C=DE', 'C=DEU', 9, 12, 'the value of C must be'],
    ['https', 'http://pki', 'https://pki', 14, 14, 'must begin with http://'],
    ['no list', '[http://pki.example.test/root.crl]', 'http://pki', 14, 13, 'a list is needed'],
    ['a URI with a PIN', '?module', '?pin-value=1&module', 3, 8, 'pin-value'],
    ['a URI without a key', ';object=root-key', '', 3, 8, 'must name the key'],
    ['a URI without a library', '?module-path=/usr/lib/vendor/lib.so', '', 3, 8, 'must name the library'],
    ['a URI without a token', 'token=Root;', '', 3, 8, 'must name the token'],
    ['a loader’s variable', 'VENDOR_CONFIG', 'LD_PRELOAD', 5, 17, 'this name is not taken'],
    ['a merge', '  size: 4096', '  <<: {size: 4096}\n  size: 4096', 7, 3, 'merges (<<)'],
    ['an anchor', '  size: 4096', '  size: &a 4096', 7, 12, 'anchors (&)'],
    ['a tag', '  hash: SHA-256', '  hash: !secret SHA-256', 10, 17, 'tags (!)'],
    ['a known tag', '  hash: SHA-256', '  hash: !!str SHA-256', 10, 15, 'tags (!)'],
    [
      'two files in one',
      '  transcript: root.txt',
      '  transcript: root.crt',
      23,
      3,
      'two outputs are one file',
    ],
    ['a path with ..', 'certificate: root.crt', 'certificate: ../root.crt', 23, 16, '".."'],
    ['a deep profile', '    path-length: 0', '    path-length: 1', 18, 3, 'below the one of the root'],
    ['another version', 'version: 1', 'version: 2', 1, 10, 'from 1 to 1'],
    [
      'a second document',
      'version: 1',
      'version: 1\n---\nversion: 1',
      undefined,
      undefined,
      'second document',
    ],
  ])('%s', (_, line, other, row, column, flaw) => {
    const flaws = flawsOf(changed(line, other));
    const found = flaws.filter((one) => one.includes(flaw));
    expect(found.length, flaws.join('\n')).toBeGreaterThanOrEqual(1);
    if (row !== undefined) {
      expect(flaws).toHaveLength(1);
      expect(found[0]).toContain(`root.yaml, line ${row}, column ${column}: `);
    }
  });

  test('an alias', () => {
    const text = changed('  transcript: root.txt', '  transcript: *a').replace('root.crt', '&a root.crt');
    expect(flawsOf(text).join('\n')).toContain('aliases (*)');
  });

  test.each([
    ['nothing', ''],
    ['no mapping', '- a\n'],
    ['no YAML', 'a: [\n'],
    ['no UTF-8', '\u0000'],
  ])('%s', (_, text) => {
    expect(flawsOf(text).length).toBeGreaterThan(0);
  });

  test('every missing key is named', () => {
    expect(flawsOf('version: 1\n')).toEqual(
      ['token', 'key', 'certificate', 'crl', 'profiles', 'outputs'].map((key) =>
        expect.stringContaining(`the key "${key}" is missing`),
      ),
    );
  });

  test('several are told together, in the order of the file', () => {
    const text = changed('  size: 4096', '  size: 1').replace('SHA-256', 'MD5').replace('6 months', 'soon');
    expect(flawsOf(text).map((one) => /line (\d+)/.exec(one)?.[1])).toEqual(['7', '10', '16']);
  });
});
