import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseFingerprint } from '../../../src/flow/trust.ts';

const HEX = '26c283381f7229adfc4b2526bcc09ecb30ea47eefffa2890bf78f388d255c5d5';

describe('a fingerprint', () => {
  test('is read in every form in which tools show it', () => {
    const bytes = HEX.match(/../g) ?? [];
    const forms = (separator: string) => [
      bytes.join(separator),
      bytes.join(separator).toUpperCase(),
      ` ${bytes.join(separator)} `,
    ];
    const prefixes = ['', 'sha256:', 'SHA256:', 'SHA-256:', 'sha256=', 'SHA256 Fingerprint='];
    fc.assert(
      fc.property(
        fc.constantFrom(...prefixes),
        fc.constantFrom(...forms(''), ...forms(':'), ...forms(' ')),
        (prefix, digits) => {
          expect(parseFingerprint(`${prefix}${digits.trim()}`)).toBe(`sha256:${HEX}`);
        },
      ),
    );
  });

  test.each([
    '',
    'sha256:',
    HEX.slice(1),
    `${HEX}0`,
    HEX.replace('2', 'g'),
    `sha1:${HEX.slice(0, 40)}`,
    HEX.slice(0, 40),
    `md5:${HEX}`,
    `${HEX.slice(0, 2)}:${HEX.slice(2)}`,
    `${HEX}:`,
    HEX.replace('2', '２'),
  ])('%j is none', (text) => {
    expect(() => parseFingerprint(text)).toThrow(
      expect.objectContaining({ code: 'ca-fingerprint-invalid', exit: 2 }),
    );
  });

  test('of other bytes is another one', () => {
    const bytes = fc
      .uint8Array({ minLength: 32, maxLength: 32 })
      .map((all) => Buffer.from(all).toString('hex'));
    fc.assert(
      fc.property(bytes, bytes, (one, other) => {
        expect(parseFingerprint(one) === parseFingerprint(other)).toBe(one === other);
      }),
    );
  });
});
