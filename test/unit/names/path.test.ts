import { describe, expect, it } from 'vitest';
import { flawOfPath } from '../../../src/names/path.ts';
import { quoted } from '../../../src/names/quoted.ts';

describe('flawOfPath', () => {
  it.each(['/etc/capstan/x', 'relative', 'a/b', '/..a/b..', '/with blank', '/ä', `/${'x'.repeat(4094)}`])(
    'takes %s',
    (path) => expect(flawOfPath(path)).toBeUndefined(),
  );

  it.each([
    ['', 'empty'],
    ['/etc/../x', '".."'],
    ['..', '".."'],
    ['../x', '".."'],
    ['/etc/', 'ends in "/"'],
    ['/a\u0000b', 'control character'],
    ['/a\nb', 'control character'],
    ['/a\u2028b', 'control character'],
    ['/a\ufffd', 'UTF-8'],
    ['/a\ud800', 'UTF-8'],
    [`/${'x'.repeat(4095)}`, '4095 bytes'],
  ])('refuses %j: %s', (path, reason) => expect(flawOfPath(path)).toContain(reason));
});

describe('quoted', () => {
  it('shows a value as it is, with what would disturb a line escaped', () => {
    expect(quoted('plain ä')).toBe('"plain ä"');
    expect(quoted('a"b\n\u001b[2J')).toBe('"a\\"b\\n\\u001b[2J"');
  });

  it('shows only the beginning of a long value, and how long it is', () => {
    const shown = quoted('😀'.repeat(100_000));
    expect(shown).toBe(`"${'😀'.repeat(100)}…" (100000 characters)`);
  });
});
