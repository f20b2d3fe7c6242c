import { CapstanError, EXIT_REFUSED, interruption, refusal } from '../src/errors.ts';
import { type Host, openHost } from '../src/host/host.ts';
import { type Guard, startGuard } from '../src/host/leftovers.ts';
import { type Lock, lockHolder, takeLock } from '../src/host/lock.ts';
import { holdLog, noLog, type RunLog } from '../src/host/log.ts';
import { pause, type Wait } from '../src/host/wait.ts';
import type { PlanEvent } from '../src/plan/step.ts';
import { type DeadlineValues, readDeadlines } from './options/deadline.ts';
import type { OutputValues } from './options/output.ts';
import { describeError, stackOf } from './view/error.ts';
import { waitSentence } from './view/text.ts';
import { openView, type View } from './view/view.ts';

/** One run of a command: how it is shown, how it is ended, and where its story is kept. */
export interface Session {
  view: View;
  /** Aborts on the first SIGINT, SIGTERM or SIGHUP. */
  signal: AbortSignal;
  /**
   * A signal for what follows an interruption, an undo for instance: it aborts on the second of the signals, and only
   * the third one ends the program at once. Without a call of this, the second one does.
   */
  secondSignal(): AbortSignal;
  /**
   * The machine, with every program that is run on it written to the run's log.
   * @throws CapstanError `deadline-invalid`, `not-root`, `log-file-unusable`
   */
  openHost(): Host;
  /**
   * The same for a run that changes the machine: no other can begin until it has ended, and what it leaves behind when
   * it is killed is cleared away by a guard.
   * @param options.patient whether another one is waited for, which a service can do
   * @throws CapstanError those of `openHost`, `already-running`; `interrupted`
   */
  takeHost(options?: { patient?: boolean }): Promise<Host>;
}

/** The name of the lock that every run has that changes this machine. */
const LOCK = '/var/lib/capstan';

/** Where the log of a command lies unless --log-file names another place; a sub-command's follows a hyphen. */
export function logFileOf(command: string): string {
  return `/var/log/capstan/${command.replaceAll(' ', '-')}.log`;
}

/**
 * Runs the work of a command with a view, a log and signals, and tells what goes wrong, in the view and in the log.
 * @returns the exit code
 */
export async function runSession(
  command: string,
  output: OutputValues,
  work: (session: Session) => Promise<number | undefined>,
): Promise<number> {
  let log = noLog;
  let lock: Lock | undefined;
  let guard: Guard | undefined;
  const signals = watchSignals((name) => log.write(`${name}: stop`));
  const shown = await openView(output.output);
  // The log begins on disk when the run begins to look at the host: what is refused before leaves nothing behind.
  const listen = (event: PlanEvent) => {
    log.keep();
    shown.listen(event);
  };
  const open = () => {
    const deadlines = readDeadlines(output);
    log = openRunLog(command, output.logFile);
    const onWaiting = (wait: Wait) => shown.listen({ type: 'waiting', ...wait });
    return openHost(log, signals.signal, { deadlines, onWaiting });
  };
  const take = async ({ patient = false } = {}) => {
    const host = open();
    lock = await takeMachine(command, patient ? host : undefined);
    guard = startGuard(host.runId);
    return host;
  };
  const { signal, second: secondSignal } = signals;
  const view = { ...shown, listen };
  try {
    const code = await work({ view, signal, secondSignal, openHost: open, takeHost: take });
    log.keep();
    return code ?? 0;
  } catch (error) {
    const report = describeError(error, log);
    log.write(`error ${report.code}: ${storyOf(error)}`);
    if (report.exit !== EXIT_REFUSED) keepIfPossible(log);
    shown.error(report);
    return report.exit;
  } finally {
    await shown.end();
    log.close();
    await guard?.release();
    await lock?.release();
    signals.release();
  }
}

/**
 * Works on this machine for a command that has neither a live view nor a log. The first SIGINT, SIGTERM or SIGHUP ends
 * what runs on it, the second one the program; either way no file with a secret is left behind.
 * @throws CapstanError `deadline-invalid`; `interrupted` where the work took the interruption for a finding
 */
export async function withHost<Result>(
  work: (host: Host) => Promise<Result>,
  values: DeadlineValues = {},
): Promise<Result> {
  const deadlines = readDeadlines(values);
  const signals = watchSignals();
  try {
    const result = await work(openHost(noLog, signals.signal, { deadlines, onWaiting: tellWatcher }));
    if (!signals.signal.aborted) return result;
  } finally {
    signals.release();
  }
  throw interruption('The command was interrupted.');
}

/** Says what a command without a view waits for, to a person who watches; a pipe gets the result alone. */
function tellWatcher(wait: Wait): void {
  if (process.stderr.isTTY) process.stderr.write(`${waitSentence(wait)}\n`);
}

/** Keeps the log of a run that failed; that it cannot be kept is no reason to tell less of the failure. */
function keepIfPossible(log: RunLog): void {
  try {
    log.keep();
  } catch {
    // The error itself is shown.
  }
}

/** Milliseconds between two tries of a run that waits for another one. */
const BETWEEN_TRIES = 1000;

/**
 * Only root's runs change anything; those of others must not be able to keep root's waiting.
 * @param waiting on whose signal another run is waited for; refused without it
 */
async function takeMachine(command: string, waiting: Host | undefined): Promise<Lock | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const words = `capstan ${command}, process ${process.pid}, since ${new Date().toISOString()}`;
  for (;;) {
    const lock = await takeLock(LOCK, words);
    if (lock) return lock;
    if (!waiting) break;
    await pause(waiting, BETWEEN_TRIES, 'another run of Capstan');
  }
  throw refusal(
    'already-running',
    `Another run of Capstan is at work on this host: ${(await lockHolder(LOCK)) || 'it does not say which'}.`,
    'Wait for it to end, then run the command again.',
  );
}

function openRunLog(command: string, named: string | undefined): RunLog {
  if (named === undefined && process.getuid?.() !== 0) {
    throw refusal(
      'not-root',
      `capstan ${command} needs root, to install services and to write its log.`,
      'Run it with sudo.',
    );
  }
  const log = holdLog(named ?? logFileOf(command));
  log.write(`begin ${command}`);
  return log;
}

/** Everything about an error, for the log: its sentences, and where what is behind it happened. */
function storyOf(error: unknown): string {
  if (!(error instanceof CapstanError)) return error instanceof Error ? stackOf(error) : String(error);
  const { message, causes, failures } = describeError(error);
  return [
    message,
    ...causes,
    ...failures.map((one) => `${one.code}: ${one.message}`),
    ...(error.cause instanceof Error ? [stackOf(error)] : []),
  ].join('\n');
}

const SIGNALS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

/** How a run is told to end. */
interface Signals {
  signal: AbortSignal;
  second(): AbortSignal;
  release(): void;
}

/**
 * The first signal asks the run to stop at a safe point, the second one asks what it does then, where that listens;
 * the next one ends the program at once.
 */
function watchSignals(tell: (name: string) => void = () => {}): Signals {
  const first = new AbortController();
  let second: AbortController | undefined;
  const stop = (name: NodeJS.Signals) => {
    tell(name);
    const next = [first, second].find((one) => one && !one.signal.aborted);
    if (!next) process.exit(SIGNALS[name as keyof typeof SIGNALS]);
    next.abort();
  };
  const names = Object.keys(SIGNALS) as (keyof typeof SIGNALS)[];
  for (const name of names) process.on(name, stop);
  return {
    signal: first.signal,
    second() {
      second ??= new AbortController();
      return second.signal;
    },
    release() {
      for (const name of names) process.removeListener(name, stop);
    },
  };
}
