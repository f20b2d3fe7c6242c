import { createHash } from 'node:crypto';
import { connect, createServer, type Server } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { type CapstanError, interruption } from '../errors.ts';

/** How one waits for a lock. */
export interface LockOptions {
  /** Called once when another process has the lock. */
  onWait?: () => void;
  /** Ends the wait, not the work. */
  signal?: AbortSignal;
}

/** A lock that this process has. */
export interface Lock {
  release(): Promise<void>;
}

/** Milliseconds between two tries to get a lock. */
const RETRY = 200;
/** Milliseconds that a holder may take to say who it is. */
const ANSWER = 1000;
/** The most characters of a holder's words about itself. */
const WORDS = 200;

/**
 * Runs `work` while no other process on this machine runs under the same name; waits for its turn.
 * @param name any text; a path serves well
 * @throws CapstanError `interrupted` when the signal ends the wait
 */
export async function withLock<T>(
  name: string,
  work: () => Promise<T>,
  { onWait, signal }: LockOptions = {},
): Promise<T> {
  let lock = await takeLock(name);
  if (!lock) onWait?.();
  while (!lock) {
    if (signal?.aborted) throw interrupted();
    await pause(RETRY);
    lock = await takeLock(name);
  }
  try {
    return await work();
  } finally {
    await lock.release();
  }
}

/**
 * Takes the lock of a name, or gives undefined when another process has it.
 * The lock is a socket in the abstract namespace (unix(7)): the kernel lets go of it when the process ends,
 * however it ends, so that no stale lock can be left behind. It is one machine's, more exactly one network
 * namespace's.
 * @param words what the holder says of itself to {@link lockHolder}
 */
export function takeLock(name: string, words = ''): Promise<Lock | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer((stranger) => {
      stranger.on('error', () => {});
      stranger.end(words);
    });
    server.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'EADDRINUSE' ? resolve(undefined) : reject(error),
    );
    server.listen(addressOf(name), () => {
      server.unref();
      resolve({ release: () => closed(server) });
    });
  });
}

/** What the holder of a lock says of itself, on one line; nothing where it says nothing or there is none. */
export function lockHolder(name: string): Promise<string> {
  return new Promise((resolve) => {
    let words = '';
    const socket = connect(addressOf(name));
    const end = () => {
      socket.destroy();
      resolve(words.replaceAll(/\p{Cc}+/gu, ' ').slice(0, WORDS));
    };
    socket.setTimeout(ANSWER, end);
    socket.setEncoding('utf8');
    socket.on('data', (part: string) => {
      words += part;
      if (words.length > WORDS) end();
    });
    socket.once('error', end);
    socket.once('close', end);
  });
}

function addressOf(name: string): string {
  return `\0capstan-${createHash('sha256').update(name).digest('hex')}`;
}

function interrupted(): CapstanError {
  const message = 'Interrupted while another command of Capstan was at work on the same thing.';
  return interruption(message);
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}
