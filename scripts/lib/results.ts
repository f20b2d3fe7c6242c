/** The closing line of a test run, counted from Vitest's own JSON results. */
import { existsSync, readFileSync } from 'node:fs';

/** What a test run came to. */
export interface Tally {
  passed: number;
  failed: number;
  skipped: number;
}

interface Results {
  numPassedTests: number;
  numFailedTests: number;
  numPendingTests: number;
  numTodoTests: number;
  testResults: readonly { status: string; assertionResults: readonly { status: string }[] }[];
}

/**
 * Adds up result files of Vitest's reporter `json`. A test file that could not be run at all, so that none of its
 * tests is in the results as failed, counts as one failure; so does a run without results, or without any test.
 */
export function tallyOf(files: readonly string[]): Tally {
  const tally: Tally = { passed: 0, failed: 0, skipped: 0 };
  for (const file of files) {
    if (!existsSync(file)) {
      tally.failed += 1;
      continue;
    }
    const results: Results = JSON.parse(readFileSync(file, 'utf8'));
    const broken = results.testResults.filter(
      (one) => one.status === 'failed' && !one.assertionResults.some((test) => test.status === 'failed'),
    );
    const nothing = results.testResults.length === 0;
    tally.passed += results.numPassedTests;
    tally.failed += results.numFailedTests + broken.length + (nothing ? 1 : 0);
    tally.skipped += results.numPendingTests + results.numTodoTests;
  }
  return tally;
}

/** `12 passed, 0 failed`, and `, 3 skipped` when there are any. */
export function closingLine({ passed, failed, skipped }: Tally): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
}
