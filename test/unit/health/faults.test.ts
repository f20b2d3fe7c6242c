import { expect, test } from 'vitest';
import { CATALOGUE } from '../../../src/health/registry.ts';
import { FAULTS } from '../../lab/health/faults.ts';

test('each check has a fault that is made for real in the lab', () => {
  const made = new Set(FAULTS.flatMap(([, faults]) => faults.flatMap(({ codes }) => codes)));
  const codes = CATALOGUE.map(({ code }) => code);
  expect(codes.filter((code) => !made.has(code))).toEqual([]);
  expect([...made].filter((code) => !codes.includes(code))).toEqual([]);
});
