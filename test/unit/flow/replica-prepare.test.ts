import { expect, test } from 'vitest';
import { drawnSecret } from '../../../src/flow/replica-prepare.ts';

test('a join secret can be typed and read out, and is another one each time', () => {
  const drawn = Array.from({ length: 200 }, () => drawnSecret().reveal());
  for (const secret of drawn) expect(secret).toMatch(/^(?:[a-km-np-z2-9]{5}-){5}[a-km-np-z2-9]{5}$/);
  expect(new Set(drawn).size).toBe(drawn.length);
  // Each of the 32 letters turns up: what is drawn of fewer has fewer bits.
  expect(new Set(drawn.join('').replaceAll('-', '')).size).toBe(32);
});
