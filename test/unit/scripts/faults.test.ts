import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { drawSample, faultTable, seedOfDay } from '../../../scripts/lib/faults.ts';

const all = Array.from({ length: 60 }, (_, index) => ({ name: `fault-${index}`, seconds: 50 + index * 4 }));

describe('the sample', () => {
  test('is the same for the same seed, and never over its budget', () => {
    fc.assert(
      fc.property(fc.nat(100_000), fc.integer({ min: 50, max: 2000 }), (seed, budget) => {
        const drawn = drawSample(all, seed, budget);
        expect(drawn).toEqual(drawSample(all, seed, budget));
        expect(drawn.reduce((sum, { seconds }) => sum + seconds, 0)).toBeLessThanOrEqual(budget);
        expect(new Set(drawn).size).toBe(drawn.length);
        expect(drawn.length).toBeGreaterThan(0);
      }),
    );
  });

  test('rotates: in a year of days every fault that fits comes up', () => {
    const first = seedOfDay(new Date('2026-01-01T00:00:00Z'));
    const days = Array.from({ length: 365 }, (_, day) => drawSample(all, first + day, 400));
    expect(new Set(days.flat()).size).toBe(all.length);
    expect(days[0]).not.toEqual(days[1]);
  });

  test('is that of the next day at midnight UTC', () => {
    const before = seedOfDay(new Date('2026-03-01T23:59:59Z'));
    expect(seedOfDay(new Date('2026-03-02T00:00:00Z'))).toBe(before + 1);
    expect(seedOfDay(new Date('2026-03-01T00:00:00Z'))).toBe(before);
  });
});

test('the table counts each kind of fault, and all of them', () => {
  const row = (fault: string, ...flaws: string[]) => ({ fault, flaws, seconds: 1 });
  expect(faultTable([row('Power cut'), row('Disk'), row('Power cut', 'a file is left')])).toEqual([
    'Fault        Times Survived',
    'Power cut        2        1',
    'Disk             1        1',
    'Sum              3        2',
  ]);
});
