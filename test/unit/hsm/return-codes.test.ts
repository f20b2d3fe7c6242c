import pkcs11 from 'pkcs11js';
import { expect, test } from 'vitest';
import { returnCode } from '../../../src/hsm/return-codes.ts';

const STANDARD = Object.entries(pkcs11).filter(
  (entry): entry is [string, number] => entry[0].startsWith('CKR_') && typeof entry[1] === 'number',
);

test('every name in the table has the number of the PKCS#11 headers', () => {
  const named = STANDARD.filter(
    ([, value]) =>
      !returnCode(value).name.startsWith('vendor') && returnCode(value).code !== 'pkcs11-unknown',
  );
  expect(named.length).toBeGreaterThan(50);
  for (const [name, value] of named) expect(returnCode(value).name).toBe(name);
});

test.each([
  ['CKR_PIN_INCORRECT', 'pin-incorrect'],
  ['CKR_PIN_INVALID', 'pin-incorrect'],
  ['CKR_PIN_LEN_RANGE', 'pin-incorrect'],
  ['CKR_PIN_LOCKED', 'pin-locked'],
  ['CKR_PIN_EXPIRED', 'pin-expired'],
])('%s is %s and never worth another try', (name, code) => {
  const [, value = -1] = STANDARD.find(([known]) => known === name) ?? [];
  expect(returnCode(value)).toMatchObject({ name, code, transient: false });
});

test('a network HSM that went away is worth another try', () => {
  expect(returnCode(pkcs11.CKR_DEVICE_REMOVED).transient).toBe(true);
  expect(returnCode(pkcs11.CKR_SESSION_HANDLE_INVALID).transient).toBe(true);
});

test('a vendor’s code is shown as a number', () => {
  expect(returnCode(0x8000_0123)).toMatchObject({ name: 'vendor code 0x80000123', code: 'pkcs11-unknown' });
  expect(returnCode(0x7777)).toMatchObject({ name: 'code 0x00007777', transient: false });
});
