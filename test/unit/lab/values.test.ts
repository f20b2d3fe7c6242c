import fc from 'fast-check';
import { expect, test } from 'vitest';
import { drawPassword } from '../../../src/lab/values.ts';

test('a drawn password is printable ASCII that no reader of lines or options mistakes', () => {
  fc.assert(
    fc.property(fc.integer({ min: 20, max: 60 }), (length) => {
      const password = drawPassword(length);
      expect(password).toHaveLength(length);
      expect(password).toMatch(/^[A-Za-z0-9][\x20-\x7e]*[A-Za-z0-9]$/);
    }),
  );
});

test('no password is drawn twice', () => {
  expect(new Set(Array.from({ length: 200 }, () => drawPassword())).size).toBe(200);
});
