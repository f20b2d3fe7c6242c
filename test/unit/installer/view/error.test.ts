import { describe, expect, it } from 'vitest';
import { describeError, errorLines } from '../../../../installer/view/error.ts';
import { failure, PreflightError, refusal } from '../../../../src/errors.ts';
import { noLog } from '../../../../src/host/log.ts';
import { Secret } from '../../../../src/secret/secret.ts';

describe('describeError', () => {
  it('tells code, sentence, next step and exit code of a refusal', () => {
    expect(describeError(refusal('token-not-found', 'No such token.', 'Look again.'))).toEqual({
      code: 'token-not-found',
      message: 'No such token.',
      causes: [],
      next: 'Look again.',
      exit: 2,
      failures: [],
    });
  });

  it('tells the chain of causes, without what was said already', () => {
    const root = new Error('connection refused');
    const middle = new Error('the server is away: connection refused', { cause: root });
    const { causes, exit } = describeError(failure('broken', 'It broke.', undefined, middle));
    expect(causes).toEqual(['the server is away: connection refused']);
    expect(exit).toBe(1);
  });

  it('ends with a chain that bites its own tail', () => {
    const one = new Error('one');
    one.cause = new Error('two', { cause: one });
    expect(describeError(one).causes.length).toBeGreaterThan(0);
  });

  it('calls everything else a defect and points at the log', () => {
    const report = describeError(new TypeError('x is undefined'), {
      ...noLog,
      path: '/var/log/capstan/x.log',
    });
    expect(report).toMatchObject({
      code: 'defect',
      exit: 1,
      next: expect.stringContaining('/var/log/capstan/x.log'),
    });
    expect(report.message).toBe('This is a defect of Capstan: x is undefined');
    expect(describeError('a string').message).toContain('a string');
  });

  it('never repeats a secret', () => {
    new Secret('Hidden.123', 'test');
    const error = failure('broken', 'Hidden.123 failed', 'Use Hidden.123', new Error('no Hidden.123'));
    expect(JSON.stringify(describeError(new PreflightError([error])))).not.toContain('Hidden.123');
    expect(JSON.stringify(describeError(error))).not.toContain('Hidden.123');
  });
});

describe('errorLines', () => {
  it('numbers every failure of a preflight, each with its own next step', () => {
    const report = describeError(
      new PreflightError([
        refusal('not-root', 'Root is needed.', 'Use sudo.'),
        refusal('ports-taken', 'Port 389 is taken.\nPort 636 is taken.'),
      ]),
    );
    expect(errorLines(report)).toEqual([
      'error: 2 checks failed; nothing was changed. [preflight-failed]',
      '  1. Root is needed. [not-root]',
      '     next: Use sudo.',
      '  2. Port 389 is taken.\n    Port 636 is taken. [ports-taken]',
    ]);
  });

  it('hands no escape of a program to the terminal', () => {
    const error = failure('a-code', 'It printed: \u001b[2J\u001b]0;title\u0007no\rgood', 'Do \u0007it.');
    expect(errorLines(describeError(error)).join('\n')).toMatch(/^[^\p{Cc}]*\n[^\p{Cc}]*$/u);
  });

  it('puts causes and the next step below the sentence', () => {
    const error = refusal('a-code', 'A sentence.', 'A step.', new Error('a cause'));
    expect(errorLines(describeError(error))).toEqual([
      'error: A sentence. [a-code]',
      '  because: a cause',
      '  next: A step.',
    ]);
  });
});
