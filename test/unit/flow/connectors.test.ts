import { expect, test } from 'vitest';
import { connectorComplaint } from '../../../src/flow/connectors.ts';

test.each([
  [[], [], undefined],
  [['ca2'], [], 'sends no keys to ca2'],
  [[], ['ca9'], 'sends keys to ca9, not recorded with a KRA'],
  [['ca2', 'ca3'], ['ca9'], 'sends no keys to ca2, ca3, and sends keys to ca9, not recorded with a KRA'],
])('KRAs %j that a CA does not know and %j that it should not: %s', (missing, stale, expected) => {
  expect(connectorComplaint({ missing, stale })).toBe(expected);
});
