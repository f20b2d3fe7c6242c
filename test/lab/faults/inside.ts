/**
 * Runs in a lab's host, under Capstan's own Node, and imports nothing else: starts Capstan, watches its journal, and
 * strikes at the moment that was asked for. The plan comes as JSON on standard input; what happened goes as JSON
 * to standard output, one line each.
 */
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, openSync, readFileSync, statSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** What is done to a run at one moment of it. */
export type Blow =
  /** A signal to Capstan's own process and to nothing else. */
  | { signal: NodeJS.Signals }
  /** SIGKILL for Capstan and for the process that watches over it; what Capstan ran goes on. */
  | { killWithGuard: true }
  /** A shell script, as root. */
  | { script: string }
  /** Something that is done from outside the host. */
  | { outside: string };

/** A moment of a run, and what is done then. */
export interface Strike {
  /** The id of a step. */
  step: string;
  /** What the journal says of the step. */
  state: 'applying' | 'done' | 'undoing' | 'undone';
  /** Milliseconds after the journal says so. */
  after: number;
  blow: Blow;
}

/** A command and what is done while it runs, one after another. */
export interface Attack {
  argv: readonly string[];
  /** The journal that the command writes, where it is not the server's own. */
  journal?: string;
  /** Additional environment of Capstan's own process. */
  env?: Readonly<Record<string, string>>;
  strikes: readonly Strike[];
  /** Seconds until Capstan is killed for good, and the attack has failed. */
  deadline: number;
}

/** A strike that was made. */
export interface Hit {
  step: string;
  /** Seconds since the command began. */
  at: number;
  /** Milliseconds between the step's state and the strike. */
  after: number;
  /** The step's state in the journal right after the strike. */
  found: string;
}

/** What the attack came to. */
export interface Ending {
  exit: number | null;
  signal: string | null;
  hits: Hit[];
  seconds: number;
  /** Whether the deadline ended it. */
  overdue: boolean;
}

const FOLDER = '/run/faults';
const POLL = 2;

interface Entry {
  id: string;
  state: string;
  at: string;
}

const plan: Attack = JSON.parse(readFileSync(0, 'utf8'));
const journal = plan.journal ?? '/var/lib/capstan/server.json';

/** The journal's steps; none where there is no journal, or it is being created. */
function entries(): Entry[] {
  try {
    return JSON.parse(readFileSync(journal, 'utf8')).steps;
  } catch {
    return [];
  }
}

function stateOf(step: string): string {
  return entries().find(({ id }) => id === step)?.state ?? 'no entry';
}

/** A number that changes with every writing of the journal, which replaces the file. */
function version(): string {
  try {
    const { ino, mtimeNs } = statSync(journal, { bigint: true });
    return `${ino} ${mtimeNs}`;
  } catch {
    return '';
  }
}

/** Watches for states that the journal did not have when the run began, nor in an earlier call. */
function watcher(): (step: string, state: string) => boolean {
  const old = new Set(entries().map(({ id, state, at }) => `${id} ${state} ${at}`));
  const seen = new Set<string>();
  let last = version();
  return (step, state) => {
    const now = version();
    if (now !== last) {
      last = now;
      for (const entry of entries()) {
        if (!old.has(`${entry.id} ${entry.state} ${entry.at}`)) seen.add(`${entry.id} ${entry.state}`);
      }
    }
    return seen.has(`${step} ${state}`);
  };
}

function tell(message: unknown): void {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

function strike(blow: Blow, pid: number): void {
  if ('signal' in blow) process.kill(pid, blow.signal);
  else if ('outside' in blow) tell({ outside: blow.outside });
  else if ('script' in blow) execFileSync('bash', ['-ec', blow.script]);
  else for (const id of [pid, ...guardsOf(pid)]) process.kill(id, 'SIGKILL');
}

/** The children that watch over Capstan: shells that know themselves by this word. */
function guardsOf(pid: number): number[] {
  return children(pid).filter((id) => readFileSync(`/proc/${id}/cmdline`, 'utf8').includes('capstan-guard'));
}

function children(pid: number): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
    .trim()
    .split(' ')
    .filter(Boolean)
    .map(Number);
}

async function attack({ argv, env, strikes, deadline }: Attack): Promise<Ending> {
  mkdirSync(FOLDER, { recursive: true });
  const output = openSync(`${FOLDER}/events`, 'w');
  const errors = openSync(`${FOLDER}/errors`, 'w');
  const begun = performance.now();
  const seen = watcher();
  const [file = '', ...args] = argv;
  const program = spawn(file, args, {
    stdio: ['ignore', output, errors],
    env: { ...process.env, ...env },
  });
  const ended = new Promise<{ exit: number | null; signal: string | null }>((resolve) => {
    program.once('exit', (exit, signal) => resolve({ exit, signal }));
  });
  let running = true;
  void ended.then(() => {
    running = false;
  });
  const late = () => performance.now() - begun > deadline * 1000;
  const hits: Hit[] = [];
  for (const { step, state, after, blow } of strikes) {
    while (running && !late() && !seen(step, state)) await sleep(POLL);
    const reached = performance.now();
    // A step that is quicker than usual is struck at its end.
    const over = () => performance.now() - reached >= after || stateOf(step) !== state;
    while (running && !late() && !over()) await sleep(POLL);
    if (!running || late()) break;
    strike(blow, program.pid as number);
    const now = performance.now();
    const found = stateOf(step);
    hits.push({ step, at: (now - begun) / 1000, after: now - reached, found });
  }
  while (running && !late()) await sleep(20);
  const overdue = running;
  if (running) program.kill('SIGKILL');
  return { ...(await ended), hits, seconds: (performance.now() - begun) / 1000, overdue };
}

tell(await attack(plan));
