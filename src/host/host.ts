import { commandRunner, type Run } from './command.ts';
import { type Log, noLog } from './log.ts';

/** The machine that Capstan works on, as the domain folders see it. */
export interface Host {
  run: Run;
  log: Log;
  /** Aborts when the person at the terminal, or the system, ends the run. */
  signal: AbortSignal;
}

/** This machine, with every program and change of it written to `log`. */
export function openHost(log: Log = noLog, signal: AbortSignal = new AbortController().signal): Host {
  return { run: commandRunner(log, signal), log, signal };
}
