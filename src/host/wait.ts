import { setTimeout as sleep } from 'node:timers/promises';
import { type CapstanError, failure, interruption } from '../errors.ts';
import { type DeadlineName, type Deadlines, longerHint } from './deadlines.ts';

/** Something that takes long, and how long it may take. */
export interface Wait {
  /** What is waited for, for a person: `certmonger (get_requests)`. */
  what: string;
  /** Seconds from its begin after which it is given up. */
  deadline: number;
}

/** Begins a wait; the function that it returns ends it. */
export type Waiting = (what: string, seconds: number) => () => void;

/** Milliseconds until a wait is worth a line: what is over sooner needs no explanation. */
const WORTH_TELLING = 2000;

/** Tells of every wait that takes longer than 2 s, once. */
export function waitTeller(tell: (wait: Wait) => void): Waiting {
  return (what, deadline) => {
    const timer = setTimeout(() => tell({ what, deadline }), WORTH_TELLING);
    return () => clearTimeout(timer);
  };
}

/** The part of a host that a wait needs. */
export interface Waiter {
  signal: AbortSignal;
  deadlines: Deadlines;
  waiting: Waiting;
}

/**
 * Does work that somebody else may never answer: it ends at its deadline, measured by a clock that nobody sets, and
 * when the run is interrupted. The work learns of both by the signal that it gets, so that it can let go.
 * @param what for a person: `the directory EXAMPLE-TEST`
 * @throws CapstanError `deadline-passed`, `interrupted` (exit code 130), and whatever the work throws
 */
export async function within<T>(
  host: Waiter,
  name: DeadlineName,
  what: string,
  work: (signal: AbortSignal) => PromiseLike<T>,
): Promise<T> {
  if (host.signal.aborted) throw interrupted(what);
  const over = new AbortController();
  const { promise, reject } = Promise.withResolvers<never>();
  const end = (error: CapstanError) => {
    reject(error);
    over.abort(error);
  };
  const interrupt = () => end(interrupted(what));
  const seconds = host.deadlines[name];
  const timer = setTimeout(() => end(passed(name, seconds)), seconds * 1000);
  host.signal.addEventListener('abort', interrupt, { once: true });
  const told = host.waiting(what, seconds);
  try {
    return await Promise.race([promise, work(over.signal)]);
  } finally {
    told();
    clearTimeout(timer);
    host.signal.removeEventListener('abort', interrupt);
  }
}

/**
 * Lets some time pass between two looks at something that somebody else brings about.
 * @throws CapstanError `interrupted` as soon as the run is interrupted
 */
export async function pause(host: Pick<Waiter, 'signal'>, milliseconds: number, what: string): Promise<void> {
  await sleep(milliseconds, undefined, { signal: host.signal }).catch(() => {
    throw interrupted(what);
  });
}

function passed(name: DeadlineName, seconds: number): CapstanError {
  return failure('deadline-passed', `no answer within ${seconds} s (${longerHint(name)})`);
}

function interrupted(what: string): CapstanError {
  return interruption(`The run was interrupted while it waited for ${what}.`);
}
