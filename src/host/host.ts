import { randomUUID } from 'node:crypto';
import { commandRunner, type Run } from './command.ts';
import { type Deadlines, deadlinesWith } from './deadlines.ts';
import { type Log, noLog } from './log.ts';
import { type Wait, type Waiting, waitTeller } from './wait.ts';

/** The machine that Capstan works on, as the domain folders see it. */
export interface Host {
  run: Run;
  log: Log;
  /** Aborts when the person at the terminal, or the system, ends the run. */
  signal: AbortSignal;
  /** Seconds that each kind of work may take. */
  deadlines: Deadlines;
  /** Says what is being waited for, should it take long; the function that it returns ends the wait. */
  waiting: Waiting;
  /** The id of this run, which every program finds in its environment as CAPSTAN_RUN. */
  runId: string;
  /** The same machine on another signal; one that never aborts unless told. */
  under(signal?: AbortSignal): Host;
}

/** What a host may be opened with. */
export interface HostOptions {
  /** Deadlines other than the ones of the table. */
  deadlines?: Partial<Deadlines>;
  /** Told of each wait that takes longer than 2 s. */
  onWaiting?: ((wait: Wait) => void) | undefined;
  /** See {@link Host.runId}; drawn unless told. */
  runId?: string;
}

/** This machine, with every program and change of it written to `log`. */
export function openHost(
  log: Log = noLog,
  signal: AbortSignal = new AbortController().signal,
  options: HostOptions = {},
): Host {
  const deadlines = deadlinesWith(options.deadlines);
  const waiting = waitTeller(options.onWaiting ?? (() => {}));
  const runId = options.runId ?? randomUUID();
  return {
    run: commandRunner({ log, signal, deadlines, waiting, runId }),
    log,
    signal,
    deadlines,
    waiting,
    runId,
    under: (other) => openHost(log, other, { ...options, runId }),
  };
}
