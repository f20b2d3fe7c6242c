import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { CapstanError } from '../../../src/errors.ts';
import {
  formatPkcs11Uri,
  PATH_NAMES,
  parsePkcs11Uri,
  pinFile,
  uriValue,
} from '../../../src/names/pkcs11-uri.ts';

function errorOf(text: string): CapstanError {
  try {
    parsePkcs11Uri(text);
  } catch (error) {
    return error as CapstanError;
  }
  throw new Error(`${text} was taken`);
}

/** The examples of RFC 7512, section 3, in their order, but for the one with a PIN in it. */
const EXAMPLES = [
  'pkcs11:',
  'pkcs11:object=my-pubkey;type=public',
  'pkcs11:object=my-key;type=private?pin-source=file:/etc/token',
  'pkcs11:token=The%20Software%20PKCS%2311%20Softtoken;manufacturer=Snake%20Oil,%20Inc.;model=1.0;object=my-certificate;type=cert;id=%69%95%3E%5C%F4%BD%EC%91;serial=?pin-source=file:/etc/token_pin',
  'pkcs11:object=my-sign-key;type=private?module-name=mypkcs11',
  'pkcs11:object=my-sign-key;type=private?module-path=/mnt/libmypkcs11.so.1',
  'pkcs11:slot-description=Sun%20Metaslot',
  'pkcs11:library-manufacturer=Snake%20Oil,%20Inc.;library-description=Soft%20Token%20Library;library-version=1.23',
  'pkcs11:token=My%20token%25%20created%20by%20Joe;library-version=3;id=%01%02%03%Ba%dd%Ca%fe%04%05%06',
  'pkcs11:token=A%20name%20with%20a%20substring%20%25%3B;object=my-certificate;type=cert',
  'pkcs11:token=Name%20with%20a%20small%20A%20with%20acute:%20%C3%A1;object=my-certificate;type=cert',
  'pkcs11:token=my-token;object=my-certificate;type=cert;vendor-aaa=value-a?pin-source=file:/etc/token_pin&vendor-bbb=value-b',
];

describe('the examples of the RFC', () => {
  test.each(EXAMPLES)('%s is read and written again', (text) => {
    const upper = text.replace(/%[0-9a-f]{2}/gi, (triplet) => triplet.toUpperCase());
    expect(formatPkcs11Uri(parsePkcs11Uri(text))).toBe(upper);
  });

  test('their values are decoded', () => {
    const uri = parsePkcs11Uri(EXAMPLES[3] ?? '');
    expect(uriValue(uri, 'token')).toBe('The Software PKCS#11 Softtoken');
    expect(uriValue(uri, 'manufacturer')).toBe('Snake Oil, Inc.');
    expect(uriValue(uri, 'id')).toBe('69953e5cf4bdec91');
    expect(uriValue(uri, 'serial')).toBe('');
    expect(pinFile(uri)).toBe('/etc/token_pin');
    expect(uriValue(parsePkcs11Uri(EXAMPLES[9] ?? ''), 'token')).toBe('A name with a substring %;');
    expect(uriValue(parsePkcs11Uri(EXAMPLES[10] ?? ''), 'token')).toBe('Name with a small A with acute: á');
  });

  test('the one with a PIN in it is refused, with the reason and without the PIN', () => {
    const error = errorOf(
      'pkcs11:token=Software%20PKCS%2311%20softtoken;manufacturer=Snake%20Oil,%20Inc.?pin-value=the-pin',
    );
    expect(error.code).toBe('uri-pin-value');
    expect(error.message).toContain('lists of processes');
    expect(error.message + error.next).not.toContain('the-pin');
  });
});

describe('what is refused', () => {
  test.each([
    ['http://example.test', 1, 'does not begin'],
    ['pkcs11:token=a;token=b', 16, 'token is there twice'],
    ['pkcs11:x-a=1;x-a=2', 14, 'x-a is there twice'],
    ['pkcs11:token=a?module-path=/a&module-path=/b', 31, 'module-path is there twice'],
    ['pkcs11:token=a%2', 15, 'two hexadecimal digits'],
    ['pkcs11:token=a%zz', 15, 'two hexadecimal digits'],
    ['pkcs11:token=a b', 15, 'must be percent-encoded'],
    ['pkcs11:token=a/b', 15, 'must be percent-encoded'],
    ['pkcs11:token=%ff', 14, 'not UTF-8'],
    ['pkcs11:token=%0a', 14, 'control character'],
    ['pkcs11:token=a;', 16, 'an attribute is empty'],
    ['pkcs11:token', 8, 'no "="'],
    ['pkcs11:to%6ben=a', 8, 'no name of an attribute'],
    ['pkcs11:type=key', 13, 'type is one of'],
    ['pkcs11:slot-id=x', 16, 'slot-id is a number'],
    ['pkcs11:library-version=1.2.3', 24, 'library-version'],
    ['pkcs11:module-path=/a', 8, 'belongs into the query'],
    ['pkcs11:?token=a', 9, 'belongs into the path'],
    ['pkcs11:?module-path=a.so', 21, 'absolute path'],
    ['pkcs11:?pin-source=|/bin/program', 20, 'must name a file'],
    ['pkcs11:?pin-source=https://example.test/pin', 20, 'must name a file'],
    ['pkcs11:token=a?', undefined, undefined],
  ])('%s', (text, position, flaw) => {
    if (position === undefined) return expect(parsePkcs11Uri(text).query).toEqual([]);
    const error = errorOf(text);
    expect(error).toMatchObject({ code: 'uri-invalid', exit: 2 });
    expect(error.message).toContain(`at character ${position}: `);
    expect(error.message).toContain(flaw);
  });
});

const plainText = fc.string({ unit: 'grapheme', maxLength: 20 }).filter((text) => !/\p{Cc}/u.test(text));
const FREE = PATH_NAMES.filter((name) => !['id', 'type', 'slot-id', 'library-version'].includes(name));

describe('any URI', () => {
  test('that is written is read back the same', () => {
    const path = fc.uniqueArray(fc.record({ name: fc.constantFrom(...FREE, 'x-vendor'), value: plainText }), {
      selector: ({ name }) => name,
    });
    const id = fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes).toString('hex'));
    const query = fc.array(fc.record({ name: fc.constantFrom('x-a', 'x_b'), value: plainText }), {
      maxLength: 4,
    });
    fc.assert(
      fc.property(path, id, query, (attributes, hex, vendors) => {
        const uri = { path: [...attributes, { name: 'id', value: hex }], query: vendors };
        expect(parsePkcs11Uri(formatPkcs11Uri(uri))).toEqual(uri);
      }),
    );
  });

  test('is read, or refused by a coded error', () => {
    const text = fc.array(
      fc.constantFrom(...'pkcs11:token=;?&%2041id-source/file'.split(''), 'token=', 'id=%', 'é'),
    );
    fc.assert(
      fc.property(text, (parts) => {
        try {
          const uri = parsePkcs11Uri(`pkcs11:${parts.join('')}`);
          expect(parsePkcs11Uri(formatPkcs11Uri(uri))).toEqual(uri);
        } catch (error) {
          expect((error as CapstanError).code).toMatch(/^uri-/);
        }
      }),
    );
  });
});
