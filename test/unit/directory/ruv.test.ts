import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compareCsn, lagBetween, parseCsn, parseRuv, type Ruv } from '../../../src/directory/ruv.ts';

const csn = fc.record({
  time: fc.integer({ min: 0, max: 0xffff_ffff }),
  sequence: fc.integer({ min: 0, max: 0xffff }),
  replica: fc.integer({ min: 0, max: 0xffff }),
  subsequence: fc.integer({ min: 0, max: 0xffff }),
});

type Parts = { time: number; sequence: number; replica: number; subsequence: number };

function written({ time, sequence, replica, subsequence }: Parts): string {
  const hex = (number: number, digits: number) => number.toString(16).padStart(digits, '0');
  return `${hex(time, 8)}${hex(sequence, 4)}${hex(replica, 4)}${hex(subsequence, 4)}`;
}

describe('a change sequence number', () => {
  test('is read back as it is written', () => {
    fc.assert(
      fc.property(csn, (one) => {
        expect(parseCsn(written(one))).toEqual(one);
      }),
    );
  });

  test('is ordered as its text is', () => {
    fc.assert(
      fc.property(csn, csn, (one, other) => {
        const texts = written(one) < written(other) ? -1 : written(one) > written(other) ? 1 : 0;
        expect(Math.sign(compareCsn(one, other))).toBe(texts);
      }),
    );
  });

  test.each(['', '6b02bfd700000003000', '6b02bfd70000000300000', 'zzzzbfd7000000030000'])(
    'is not %j',
    (text) => expect(parseCsn(text)).toBeUndefined(),
  );
});

/** As 389-ds 1.4.4 shows it, with the agreements' own values among them. */
const VECTOR = [
  '{replicageneration} 6b02bfd7000000030000',
  '{replica 4 ldap://ca2.example.test:389} 6b02bfdd000100040000 6b02bfed000000040000',
  '{replica 3 ldap://ca1.example.test:389} 6b02bfd7000100030000 6b02bff2000600030000',
  '{replica 5 ldap://ca3.example.test:389}',
  '{replica 6}',
];

test('a vector names its generation and its suppliers, those without a change too', () => {
  const { generation, elements } = parseRuv(VECTOR);
  expect(generation).toBe('6b02bfd7000000030000');
  expect(elements.map(({ id, url }) => [id, url])).toEqual([
    [3, 'ldap://ca1.example.test:389'],
    [4, 'ldap://ca2.example.test:389'],
    [5, 'ldap://ca3.example.test:389'],
    [6, ''],
  ]);
  expect(elements[0]?.last).toEqual({ time: 0x6b02bff2, sequence: 6, replica: 3, subsequence: 0 });
  expect(elements[2]?.last).toBeUndefined();
});

test('nothing is no vector, and no error', () => {
  expect(parseRuv([])).toEqual({ generation: undefined, elements: [] });
  expect(parseRuv(['{nonsense', '', '{replica x}'])).toEqual({ generation: undefined, elements: [] });
});

describe('the lag', () => {
  const vector = (...elements: [id: number, last: number | undefined][]): Ruv => ({
    generation: 'g',
    elements: elements.map(([id, time]) => ({
      id,
      url: '',
      first: time === undefined ? undefined : { time: 100, sequence: 0, replica: id, subsequence: 0 },
      last: time === undefined ? undefined : { time, sequence: 0, replica: id, subsequence: 0 },
    })),
  });

  test('is none between equals, and none for what the sender misses', () => {
    expect(lagBetween(vector([3, 200], [4, 300]), vector([3, 200], [4, 400], [5, 1]))).toEqual([]);
    expect(lagBetween(vector([3, undefined]), vector())).toEqual([]);
  });

  test('tells of each supplier what the receiver has, and what there is', () => {
    expect(lagBetween(vector([3, 200], [4, 300], [5, 400]), vector([3, 150], [4, 300]))).toEqual([
      { supplier: 3, has: 150, last: 200, seconds: 50 },
      { supplier: 5, has: undefined, last: 400, seconds: 300 },
    ]);
  });

  test('of changes within one second is 0 s, and a lag all the same', () => {
    const one = { time: 100, sequence: 1, replica: 3, subsequence: 0 };
    const sender: Ruv = { generation: 'g', elements: [{ id: 3, url: '', last: { ...one, sequence: 2 } }] };
    const receiver: Ruv = { generation: 'g', elements: [{ id: 3, url: '', last: one }] };
    expect(lagBetween(sender, receiver)).toEqual([{ supplier: 3, has: 100, last: 100, seconds: 0 }]);
  });
});
