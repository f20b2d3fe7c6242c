import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { healthReaders } from '../../../src/flow/health/readers.ts';
import { isGate, SEVERITIES } from '../../../src/health/check.ts';
import { CATALOGUE, CHECKS } from '../../../src/health/registry.ts';

describe('the registry', () => {
  test('has at least forty checks, each with a name of its own in kebab case', () => {
    const codes = CATALOGUE.map(({ code }) => code);
    expect(codes.length).toBeGreaterThanOrEqual(40);
    expect(new Set(codes).size).toBe(codes.length);
    expect(codes.filter((code) => !/^[a-z0-9]+(-[a-z0-9]+)*$/.test(code))).toEqual([]);
  });

  test('says of each check what holds and what to do, in sentences', () => {
    for (const { code, holds, remedy, severity } of CATALOGUE) {
      expect([code, holds]).toEqual([code, expect.stringMatching(/^(?:[A-Z]|certmonger ).*[.]$/)]);
      expect([code, remedy]).toEqual([code, expect.stringMatching(/^[A-Z"].*[.\w]$/)]);
      expect(SEVERITIES).toContain(severity);
    }
  });

  test('gives each fact one gate at most, and every fact that is needed a reader', () => {
    const readers = healthReaders();
    const gates = CHECKS.filter(isGate).map(({ gate }) => gate);
    expect(new Set(gates).size).toBe(gates.length);
    const wanted = CHECKS.flatMap((check) => (isGate(check) ? [check.gate] : check.needs));
    expect(wanted.filter((name) => !(name in readers))).toEqual([]);
  });

  test('no fact waits for itself', () => {
    const readers = healthReaders();
    const behind = (name: keyof typeof readers, path: readonly string[] = []): string[] => {
      expect(path).not.toContain(name);
      const { needs, wants = [] } = readers[name];
      return [...needs, ...wants].flatMap((one) => [one, ...behind(one, [...path, name])]);
    };
    for (const name of Object.keys(readers) as (keyof typeof readers)[]) behind(name);
  });

  test('every check is in the administrator’s table, and nothing else', () => {
    const text = readFileSync(new URL('../../../docs/health.md', import.meta.url), 'utf8');
    const rows = text.split('\n').filter((line) => /^\| `[a-z-]+` \| [A-Z]+ \|/.test(line));
    const cell = (words: string) => words.replaceAll('|', '\\|').replaceAll(/"([^"]*)"/g, '`$1`');
    expect(rows).toEqual(
      CATALOGUE.map(
        ({ code, severity, holds, remedy }) =>
          `| \`${code}\` | ${severity} | ${cell(holds)} | ${cell(remedy)} |`,
      ),
    );
  });
});
