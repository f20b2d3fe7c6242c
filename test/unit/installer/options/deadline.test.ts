import { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import {
  type DeadlineValues,
  deadlineOptions,
  readDeadlines,
} from '../../../../installer/options/deadline.ts';

/** What a command line leaves behind. */
function values(...words: string[]): DeadlineValues {
  const command = deadlineOptions(new Command().option('--token-timeout <seconds>'));
  return command.parse(words, { from: 'user' }).opts();
}

function read(...words: string[]): unknown {
  try {
    return readDeadlines(values(...words));
  } catch (error) {
    return error;
  }
}

describe('--deadline', () => {
  it('changes nothing when it is not there', () => expect(read()).toEqual({}));

  it('is repeatable', () => {
    expect(read('--deadline', 'ldap=5', '--deadline=pkispawn=7200')).toEqual({ ldap: 5, pkispawn: 7200 });
  });

  it('has --token-timeout for another name of one', () => {
    expect(read('--token-timeout', '120')).toEqual({ token: 120 });
    expect(read('--token-timeout', '120', '--deadline', 'ldap=5')).toEqual({ token: 120, ldap: 5 });
    expect(read('--token-timeout', '120', '--deadline', 'token=120')).toEqual({ token: 120 });
    expect(read('--token-timeout', '120', '--deadline', 'token=60')).toMatchObject({
      code: 'deadline-invalid',
    });
  });

  it.each(['', '0', '-5', '1.5', '60s', '86401', ' 60', '6e1'])('--token-timeout %j is refused', (text) => {
    expect(read(`--token-timeout=${text}`)).toMatchObject({
      code: 'deadline-invalid',
      exit: 2,
      message: expect.stringContaining('token'),
    });
  });

  it.each(['ldap', 'ldap=x', 'x=1', '=', ''])('--deadline %j is refused', (text) => {
    expect(read(`--deadline=${text}`)).toMatchObject({ code: 'deadline-invalid', exit: 2 });
  });

  it('says of a control character that it is one', () => {
    expect(read('--deadline', 'ldap=5\u0007')).toMatchObject({ code: 'option-unprintable', exit: 2 });
  });
});
