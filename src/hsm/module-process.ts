import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { setTimeout as startTimer } from 'node:timers';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { CapstanError } from '../errors.ts';
import { runMark } from '../host/command.ts';
import type { Host } from '../host/host.ts';
import { lineRedactor } from '../secret/redaction.ts';
import {
  callError,
  endedError,
  hangsError,
  interruptedError,
  type ModulePlace,
  startError,
} from './module-errors.ts';
import type { CallName, Calls, ChildMessage } from './protocol.ts';

/** Which library is used, and how. */
export interface ModuleRequest {
  libraryPath: string;
  /** The user as whom the library runs, with all its groups; Capstan's own unless told. */
  user?: string;
  /** Variables that the vendor's library needs, beside PATH and LANG. Never for secrets. */
  env?: Readonly<Record<string, string>>;
}

/** A running module process. */
export interface ModuleProcess {
  /** Asks one question and waits for the answer; questions are asked one after the other. */
  ask<Name extends CallName>(call: Name, question: Calls[Name]['ask']): Promise<Calls[Name]['answer']>;
  /** Ends the process and everything it started. Safe to call twice. */
  end(): Promise<void>;
  pid: number | undefined;
}

/** Lines of a library's output that are kept; a trace option left on writes without end. */
const LOGGED_LINES = 1000;
const LAST_WORDS_LENGTH = 300;
/** How long an ended process may take to be gone and read to its end. */
const SETTLING_MILLISECONDS = 2000;
const CLEAN_ENVIRONMENT = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LANG: 'C.UTF-8' };

/**
 * What surrounds the process. Standard input is a pipe that the installer holds and never writes to: when it closes, on
 * purpose or because the installer died, the whole process group is killed, even a library that hangs and would never
 * notice. No core file is written, because the memory holds the PIN.
 */
const SURROUNDINGS = [
  'exec 4<&0 </dev/null',
  '{ read -r _ <&4; kill -KILL 0; } 3<&- >/dev/null 2>&1 &',
  'ulimit -c 0',
  'exec "$@" 4<&-',
].join('\n');

/** The module process is this file's neighbour: TypeScript in a checkout, JavaScript in the bundle. */
function childFile(): string {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  return fileURLToPath(new URL(`./module-child.${extension}`, import.meta.url));
}

/**
 * Starts the process that will hold the library. Nothing of the vendor's is loaded until the first question, `open`.
 * A process of its own session keeps terminal signals away from the library, and the library away from the terminal.
 */
export function startModuleProcess(host: Host, request: ModuleRequest): ModuleProcess {
  const child = fork(childFile(), [], {
    execPath: '/bin/sh',
    execArgv: ['-c', SURROUNDINGS, 'capstan-module', process.execPath],
    stdio: ['pipe', 'pipe', 'pipe', 'ipc'],
    env: { ...CLEAN_ENVIRONMENT, ...runMark(host.runId), ...request.env },
    cwd: '/',
    detached: true,
  });
  const place: ModulePlace = {
    libraryPath: request.libraryPath,
    user: request.user,
    entered: undefined,
    lastWords: undefined,
  };
  const outputRead = keepOutput(host, child, place);
  return conversation(host, child, place, outputRead);
}

/** Sends what the library prints to the log, and remembers its last line. */
function keepOutput(host: Host, child: ChildProcess, place: ModulePlace): Promise<unknown> {
  let left = LOGGED_LINES;
  const keep = async (stream: Readable | null) => {
    if (!stream) return;
    const redactLine = lineRedactor();
    for await (const line of createInterface({ input: stream })) {
      const clean = redactLine(line).trim();
      if (!clean) continue;
      place.lastWords = clean.slice(0, LAST_WORDS_LENGTH);
      left -= 1;
      if (left >= 0) host.log.write(`${place.libraryPath} printed: ${clean}`);
      if (left === 0) host.log.write(`${place.libraryPath} prints more, which is left out`);
    }
  };
  // A broken pipe ends the reading; how the process ended is told elsewhere.
  return Promise.allSettled([keep(child.stdout), keep(child.stderr)]);
}

/** Kills the process with everything in its group. Not after its end: the number may belong to another by then. */
function kill(child: ChildProcess): void {
  child.stdin?.destroy();
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    // The group may be gone already, or not be there yet; the process itself is what counts.
    child.kill('SIGKILL');
  }
}

/**
 * Resolves when the process has ended and its last messages and lines are read, or when that takes too long: a helper
 * that the library left behind may hold the pipes open, and a process stuck in the kernel does not die.
 */
async function settled(child: ChildProcess, outputRead: Promise<unknown>): Promise<void> {
  const exited =
    child.pid === undefined || child.exitCode !== null || child.signalCode !== null
      ? undefined
      : once(child, 'exit');
  const disconnected = child.connected ? once(child, 'disconnect') : undefined;
  const timer = new AbortController();
  await Promise.race([
    Promise.allSettled([exited, disconnected, outputRead]),
    setTimeout(SETTLING_MILLISECONDS, undefined, { signal: timer.signal }).catch(() => {}),
  ]);
  timer.abort();
  child.stdout?.destroy();
  child.stderr?.destroy();
  if (child.connected) child.disconnect();
  child.unref();
}

/** One question on its way. */
interface Pending {
  number: number;
  resolve: (answer: unknown) => void;
  reject: (error: CapstanError) => void;
}

function conversation(
  host: Host,
  child: ChildProcess,
  place: ModulePlace,
  outputRead: Promise<unknown>,
): ModuleProcess {
  let pending: Pending | undefined;
  let over: (() => CapstanError) | undefined;
  let asked = 0;
  const finish = (error: () => CapstanError) => {
    if (over) return;
    over = error;
    kill(child);
    // What the library printed and entered last arrives after its end, and belongs into the error.
    void settled(child, outputRead).then(() => pending?.reject(error()));
  };
  const interrupt = () => finish(() => interruptedError(place));
  child.stdin?.on('error', () => {});
  child.on('error', (cause) => finish(() => startError(place, cause)));
  child.once('exit', (code, signal) => finish(() => endedError(place, code, signal)));
  child.on('message', (message: ChildMessage) => {
    if ('entering' in message) place.entered = message.entering;
    else if (pending?.number !== message.number) return;
    else if (!('failure' in message)) pending.resolve(message.answer);
    // A library that did not open is of no use any more, and its end brings its last words.
    else if (message.number === 1) finish(() => callError(place, message.failure));
    else pending.reject(callError(place, message.failure));
  });
  host.signal.addEventListener('abort', interrupt, { once: true });
  if (host.signal.aborted) interrupt();
  return {
    pid: child.pid,
    async ask(call, question) {
      if (over) throw over();
      asked += 1;
      const number = asked;
      const deadline = call === 'generate' ? 'keygen' : 'token';
      const seconds = host.deadlines[deadline];
      const timer = startTimer(() => finish(() => hangsError(place, seconds, deadline)), seconds * 1000);
      const told = host.waiting(`the PKCS#11 library ${place.libraryPath} (${call})`, seconds);
      try {
        return await new Promise((resolve, reject) => {
          pending = { number, resolve: resolve as Pending['resolve'], reject };
          // A channel that is gone shows as the exit of the process; the callback keeps it from being thrown.
          child.send({ number, call, ...question }, () => {});
        });
      } finally {
        told();
        clearTimeout(timer);
        pending = undefined;
      }
    },
    async end() {
      host.signal.removeEventListener('abort', interrupt);
      kill(child);
      await settled(child, outputRead);
    },
  };
}
