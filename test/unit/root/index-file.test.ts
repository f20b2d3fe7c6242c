import { describe, expect, test } from 'vitest';
import type { CapstanError } from '../../../src/errors.ts';
import {
  type IndexEvent,
  indexLine,
  issuedSerials,
  nextCrlNumber,
  readIndex,
  revokedSerials,
  usedSerials,
} from '../../../src/root/index-file.ts';

const EVENTS: IndexEvent[] = [
  {
    event: 'ceremony-begun',
    key: { id: 'aa', label: 'root' },
    token: { label: 'Root', serial: '01' },
    files: [],
    config: 'ff',
  },
  { event: 'root-issued', serial: '10', fingerprint: 'ab', subject: 'CN=Root', notAfter: 'x' },
  { event: 'reserved', serial: '20', subject: 'CN=One', profile: 'issuing-ca', csr: 'cd' },
  { event: 'issued', serial: '20', fingerprint: 'ef', notAfter: 'x' },
  { event: 'reserved', serial: '30', subject: 'CN=Two', profile: 'issuing-ca', csr: 'cd' },
  { event: 'revoked', serial: '20', reason: 'superseded', date: '2027-01-01T00:00:00.000Z' },
  { event: 'crl-reserved', number: 1 },
];

function written(events: readonly IndexEvent[]): string[] {
  let last: string | undefined;
  return events.map((event) => {
    const { text, hash } = indexLine(event, new Date(0), last);
    last = hash;
    return text;
  });
}

function errorOf(content: string): CapstanError {
  try {
    readIndex(content, 'index');
  } catch (error) {
    return error as CapstanError;
  }
  throw new Error('it was taken');
}

test('what was written is read back', () => {
  const index = readIndex(written(EVENTS).join(''), 'index');
  expect(index.begun.key.id).toBe('aa');
  expect(index.root?.fingerprint).toBe('ab');
  expect(usedSerials(index)).toEqual(new Set(['10', '20', '30']));
  expect(issuedSerials(index)).toEqual(
    new Map([
      ['20', { subject: 'CN=One', state: 'revoked' }],
      ['30', { subject: 'CN=Two', state: 'reserved' }],
    ]),
  );
  expect(revokedSerials(index)).toEqual([
    { serial: '20', reason: 'superseded', date: new Date('2027-01-01T00:00:00Z') },
  ]);
});

test('a CRL number that was taken is not taken again, issued or not', () => {
  const index = readIndex(written(EVENTS).join(''), 'index');
  expect(nextCrlNumber(index)).toBe(2);
  expect(nextCrlNumber(readIndex(written(EVENTS.slice(0, 2)).join(''), 'index'))).toBe(1);
});

describe('what is not as it was', () => {
  const lines = written(EVENTS);

  test.each([
    ['a line that was changed', lines.map((line, at) => (at === 2 ? line.replace('One', 'Two') : line)), 4],
    ['a line that was taken out', lines.filter((_, at) => at !== 3), 4],
    ['lines in another order', [lines[0], lines[2], lines[1]], 2],
    ['a line that is none', [...lines, 'word\n'], 8],
    ['a beginning that was cut off', lines.slice(1), 1],
  ])('%s', (_, changed, line) => {
    const error = errorOf(changed.join(''));
    expect(error.code).toBe('root-index-damaged');
    expect(error.message).toContain(`Line ${line} of the index`);
  });

  test('a line that a killed run began tells how many bytes to take off', () => {
    const error = errorOf(`${lines.join('')}{"event":"iss`);
    expect(error.message).toContain('was killed');
    expect(error.next).toContain('truncate --size=-13 index');
  });

  test.each(['', '{"event":"cere'])('a file without a whole line', (content) => {
    expect(errorOf(content).next).toContain('rm index');
  });
});
