import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DEADLINE_NAMES, DEADLINES, deadlinesWith, parseDeadlines } from '../../../src/host/deadlines.ts';

const anyName = fc.constantFrom(...DEADLINE_NAMES);

function codeOf(settings: readonly string[]): unknown {
  try {
    return parseDeadlines(settings);
  } catch (error) {
    return error;
  }
}

describe('a deadline', () => {
  it('can be set to any whole number of seconds up to a day, and leaves the others as they are', () => {
    fc.assert(
      fc.property(anyName, fc.integer({ min: 1, max: 86_400 }), (one, seconds) => {
        const deadlines = deadlinesWith(parseDeadlines([`${one}=${seconds}`]));
        expect(deadlines[one]).toBe(seconds);
        for (const other of DEADLINE_NAMES.filter((candidate) => candidate !== one)) {
          expect(deadlines[other]).toBe(DEADLINES[other].seconds);
        }
      }),
    );
  });

  it('can be set together with others, and twice to the same', () => {
    expect(parseDeadlines(['pkispawn=3600', 'ldap=5', 'ldap=5'])).toEqual({ pkispawn: 3600, ldap: 5 });
  });

  it.each([
    'pkispawn',
    'pkispawn=',
    'pkispawn=0',
    'pkispawn=-1',
    'pkispawn=1.5',
    'pkispawn=1e3',
    'pkispawn=86401',
    'pkispawn=99999999999999999999',
    'pkispawn=60s',
    'pkispawn =60',
    'pkispawn=60 ',
    'pkispawn=60\n',
    'PKISPAWN=60',
    '=60',
    'replication-=60',
    '-init=60',
    '',
    'nothing=60',
    'constructor=60',
    '__proto__=60',
    'token=٣',
  ])('%j is refused', (setting) => {
    expect(codeOf([setting])).toMatchObject({ code: 'deadline-invalid', exit: 2 });
  });

  it('that is none is refused with what it was and the names that there are', () => {
    expect(codeOf(['spawn=60'])).toMatchObject({
      message: expect.stringMatching(/"spawn=60".*pkispawn.*token/),
      next: expect.stringContaining('--deadline'),
    });
  });

  it('is refused when it is set twice, differently', () => {
    expect(codeOf(['token=5', 'token=6'])).toMatchObject({ message: expect.stringContaining('twice') });
  });
});

it('the guide has every deadline with its number and its meaning', () => {
  const guide = readFileSync(join(import.meta.dirname, '../../../docs/administrator.md'), 'utf8');
  const rows = [...guide.matchAll(/^\| `([a-z-]+)` \| (\d+) \| (.*) \|$/gm)];
  expect(rows.map(([, name, seconds, what]) => ({ name, seconds: Number(seconds), what }))).toEqual(
    DEADLINE_NAMES.map((name) => ({ name, ...DEADLINES[name] })),
  );
});
