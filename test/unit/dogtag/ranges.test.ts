import { describe, expect, test } from 'vitest';
import { lacksNumbers } from '../../../src/dogtag/ranges.ts';
import { failure } from '../../../src/errors.ts';

const failed = (cause: string) => failure('pkispawn-failed', `pkispawn (configuration) failed: ${cause}.`);

describe('a clone has no numbers yet', () => {
  test.each([
    'Command failed: pki -U https://ca2.example.test:8443 ca-range-request request --session 1',
    'Configuration failed: null',
  ])('where pkispawn says: %s', (cause) => {
    expect(lacksNumbers(failed(cause))).toBe(true);
  });

  test.each([
    failed('Configuration failed: No such token: HSM'),
    failed('the token did not let Dogtag in'),
    failure('command-deadline', 'ca-range-request took too long.'),
    new Error('Configuration failed: null'),
  ])('but not where it says: %s', (error) => {
    expect(lacksNumbers(error)).toBe(false);
  });
});
