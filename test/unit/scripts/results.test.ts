import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { closingLine, tallyOf } from '../../../scripts/lib/results.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'results-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** A results file with these numbers and test files. */
function results(
  name: string,
  numbers: [number, number, number, number],
  testResults: unknown[] = [],
): string {
  const [numPassedTests, numFailedTests, numPendingTests, numTodoTests] = numbers;
  const file = join(folder, name);
  const content = { numPassedTests, numFailedTests, numPendingTests, numTodoTests, testResults };
  writeFileSync(file, JSON.stringify(content));
  return file;
}

test('runs are added up', () => {
  const some = [{ status: 'passed', assertionResults: [] }];
  const files = [results('quick.json', [10, 1, 2, 0], some), results('lab.json', [5, 0, 0, 1], some)];
  expect(tallyOf(files)).toEqual({ passed: 15, failed: 1, skipped: 3 });
});

test('a test file that could not be run counts as a failure, once', () => {
  const broken = { status: 'failed', assertionResults: [] };
  const failing = { status: 'failed', assertionResults: [{ status: 'passed' }, { status: 'failed' }] };
  const good = { status: 'passed', assertionResults: [{ status: 'passed' }] };
  const file = results('quick.json', [2, 1, 0, 0], [broken, failing, good]);
  expect(tallyOf([file])).toEqual({ passed: 2, failed: 2, skipped: 0 });
});

test('a run without results, or without any test file, is a failure', () => {
  expect(tallyOf([results('lab.json', [0, 0, 0, 0])])).toEqual({ passed: 0, failed: 1, skipped: 0 });
  expect(tallyOf([join(folder, 'missing.json')])).toEqual({ passed: 0, failed: 1, skipped: 0 });
});

test('the closing line names skipped tests only when there are any', () => {
  expect(closingLine({ passed: 12, failed: 0, skipped: 0 })).toBe('12 passed, 0 failed');
  expect(closingLine({ passed: 12, failed: 1, skipped: 3 })).toBe('12 passed, 1 failed, 3 skipped');
});
