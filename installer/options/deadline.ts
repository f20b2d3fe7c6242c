import type { Command } from 'commander';
import { refusal } from '../../src/errors.ts';
import { DEADLINE_NAMES, type Deadlines, parseDeadlines } from '../../src/host/deadlines.ts';
import { quoted } from '../../src/names/quoted.ts';
import { printable } from './field.ts';

/** What the deadline options leave behind. */
export interface DeadlineValues {
  deadline?: string[];
  tokenTimeout?: string;
}

/** Adds how long things may take; for every command that works on this host. */
export function deadlineOptions(command: Command): Command {
  return command.option(
    '--deadline <name=seconds>',
    `longest wait for one kind of work; repeatable. Names: ${DEADLINE_NAMES.join(', ')}`,
    (setting: string, earlier: string[] = []) => [...earlier, setting],
  );
}

/**
 * The deadlines that the options change; --token-timeout is another name for `token`.
 * @throws CapstanError `deadline-invalid`, `option-unprintable`
 */
export function readDeadlines({ deadline = [], tokenTimeout }: DeadlineValues): Partial<Deadlines> {
  const changed = parseDeadlines(deadline.map((setting) => printable('--deadline', setting)));
  if (tokenTimeout === undefined) return changed;
  if (!/^\d{1,5}$/.test(printable('--token-timeout', tokenTimeout))) {
    throw refusal(
      'deadline-invalid',
      `--token-timeout is ${quoted(tokenTimeout)}; whole seconds from 1 to 86400 are needed.`,
      'Give a number, as in --token-timeout 120.',
    );
  }
  return parseDeadlines([...deadline, `token=${tokenTimeout}`]);
}
