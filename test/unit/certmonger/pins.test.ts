import fc from 'fast-check';
import { expect, test } from 'vitest';
import { withPin } from '../../../src/certmonger/pins.ts';
import { Secret } from '../../../src/secret/secret.ts';

const REQUEST = 'id=capstan-ca-signing\nkey_token=HSM\nkey_pin=old one\nkey_pin_file=\nstate=MONITORING\n';

test('a request gets another PIN, whatever is in it, and nothing else changes', () => {
  const printable = fc.string({ unit: 'grapheme-ascii', minLength: 1 });
  fc.assert(
    fc.property(printable, (pin) => {
      const text = withPin(REQUEST, new Secret(pin, 'a PIN'));
      expect(text).toBe(REQUEST.split('key_pin=old one').join(`key_pin=${pin}`));
    }),
  );
});

test('a request that has none gets none', () => {
  expect(withPin('id=other\n', new Secret('1234', 'a PIN'))).toBe('id=other\n');
});
