import fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatHsmRecord, parseHsmRecord } from '../../../src/directory/record.ts';

test('a record is FreeIPA’s: the name, a semicolon, the path', () => {
  expect(formatHsmRecord({ tokenName: 'HSM', libraryPath: '/usr/lib/hsm.so' })).toBe('HSM;/usr/lib/hsm.so');
});

test('whatever is written is read back, a semicolon in the path too', () => {
  const name = fc.string({ minLength: 1, maxLength: 32 }).filter((text) => !text.includes(';'));
  const path = fc
    .string({ minLength: 1 })
    .filter((text) => !/[\n\r\u2028\u2029]/.test(text))
    .map((text) => `/${text}`);
  fc.assert(
    fc.property(name, path, (tokenName, libraryPath) => {
      expect(parseHsmRecord(formatHsmRecord({ tokenName, libraryPath }))).toEqual({ tokenName, libraryPath });
    }),
  );
});

test.each(['', 'HSM', ';/usr/lib/hsm.so', 'HSM;', 'HSM;relative.so'])('%j is shown as malformed', (value) => {
  expect(() => parseHsmRecord(value)).toThrow(
    expect.objectContaining({ code: 'hsm-record-malformed', message: expect.stringContaining(`"${value}"`) }),
  );
});
