import { expect, test } from 'vitest';
import { endOf, formatDuration, parseDuration } from '../../../src/root/duration.ts';

test.each([
  ['20 years', '2026-11-22T10:00:00Z', '2046-11-22T09:59:59.000Z'],
  ['1 year', '2028-02-29T00:00:00Z', '2029-02-27T23:59:59.000Z'],
  ['1 month', '2027-01-31T00:00:00Z', '2027-02-27T23:59:59.000Z'],
  ['180 days', '2026-01-01T00:00:00Z', '2026-06-29T23:59:59.000Z'],
])('%s from %s end at %s', (text, from, end) => {
  const duration = parseDuration(text);
  expect(duration && formatDuration(duration)).toBe(text);
  expect(duration && endOf(new Date(from), duration).toISOString()).toBe(end);
});

test.each(['', '0 days', '1.5 years', 'years', '-1 day', '10 weeks', '1  day', '100000 days'])(
  '%s is none',
  (text) => {
    expect(parseDuration(text)).toBeUndefined();
  },
);
