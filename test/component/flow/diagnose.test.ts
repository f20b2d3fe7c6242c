/** The cause that a failed step is told with, by real looks at this machine, which has no directory and no Dogtag. */
import { describe, expect, test } from 'vitest';
import { CapstanError, EXIT_INTERRUPTED, failure } from '../../../src/errors.ts';
import { explained, type Need } from '../../../src/flow/diagnose.ts';
import type { Site } from '../../../src/flow/site.ts';
import { openHost } from '../../../src/host/host.ts';
import type { StepReport } from '../../../src/plan/step.ts';

const SITE: Site = {
  realm: 'NOBODY.TEST',
  domain: 'nobody.test',
  hostname: 'ca1.nobody.test',
  caSubject: 'CN=Certificate Authority,O=NOBODY.TEST',
  subjectBase: 'O=NOBODY.TEST',
  keySize: 3072,
  token: { label: 'nobody', libraryPath: '/nonexistent/libhsm.so' },
};

const REPORT: StepReport = { line: () => {}, remember: async () => {}, facts: {} };

/** What a step that throws `error` is told with. */
async function told(error: unknown, ...needs: Need[]): Promise<unknown> {
  const step = {
    id: 'work',
    title: 'Work',
    done: async () => false,
    apply: async () => {
      throw error;
    },
    undo: async () => {},
  };
  try {
    await explained(openHost(), { site: SITE }, needs, step).apply(REPORT);
  } catch (thrown) {
    return thrown;
  }
  return undefined;
}

describe('a step that fails', () => {
  const failed = failure('pkispawn-failed', 'pkispawn failed: it does not say why.', 'Look at the log.');

  test('because the directory does not run says so, and what to do about that', async () => {
    expect(await told(failed, 'disk', 'directory')).toMatchObject({
      code: 'pkispawn-failed',
      message: expect.stringMatching(
        /^pkispawn failed: it does not say why\. The cause: the directory does not answer: .*NOBODY-TEST/,
      ),
      next: expect.stringContaining('/var/log/dirsrv/slapd-NOBODY-TEST/errors'),
    });
  });

  test('is told by the first of its needs that is not met', async () => {
    expect(await told(failed, 'token', 'directory')).toMatchObject({
      message: expect.stringContaining('The cause: the token cannot be used: '),
    });
  });

  test('with an error of the system has a code as soon as something explains it', async () => {
    const broken = new Error('read ECONNRESET');
    expect(await told(broken, 'directory')).toMatchObject({
      code: 'directory-unreachable',
      message: expect.stringMatching(/^read ECONNRESET\. The cause: /),
    });
    expect(await told(broken, 'disk')).toBe(broken);
  });

  test('for what it met itself is not told twice', async () => {
    const unreachable = failure('directory-unreachable', 'The directory has no socket.');
    expect(await told(unreachable, 'directory')).toBe(unreachable);
  });

  test('with a PIN that was refused, or by an interruption, is told as it is and nothing is looked at', async () => {
    const refused = failure('pin-incorrect', 'The PIN is wrong.');
    expect(await told(refused, 'token')).toBe(refused);
    const interrupted = new CapstanError({ code: 'interrupted', message: 'Ended.', exit: EXIT_INTERRUPTED });
    expect(await told(interrupted, 'directory')).toBe(interrupted);
  });
});
