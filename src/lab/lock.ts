import { createHash } from 'node:crypto';
import { createServer, type Server } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { CapstanError, EXIT_INTERRUPTED } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { labPlace } from './names.ts';

/** How one waits for a lock. */
export interface LockOptions {
  /** Called once when another process has the lock. */
  onWait?: () => void;
  /** Ends the wait, not the work. */
  signal?: AbortSignal;
}

/**
 * Runs `work` while no other process on this machine runs under the same name; waits for its turn.
 * The lock is a socket in the abstract namespace (unix(7)): the kernel lets go of it when the process ends,
 * however it ends, so that no stale lock can be left behind. It is one machine's, more exactly one network
 * namespace's.
 * @param name any text; a path serves well
 * @throws CapstanError `interrupted` when the signal ends the wait
 */
export async function withLock<T>(
  name: string,
  work: () => Promise<T>,
  { onWait, signal }: LockOptions = {},
): Promise<T> {
  const address = `\0capstan-${createHash('sha256').update(name).digest('hex')}`;
  let holder = await bind(address);
  if (!holder) onWait?.();
  while (!holder) {
    if (signal?.aborted) throw interrupted();
    await pause(200);
    holder = await bind(address);
  }
  try {
    return await work();
  } finally {
    await closed(holder);
  }
}

function interrupted(): CapstanError {
  const message = 'Interrupted while another command of Capstan was at work on the same thing.';
  return new CapstanError({ code: 'interrupted', message, exit: EXIT_INTERRUPTED });
}

/** The bound socket, or undefined when another process has it. */
function bind(address: string): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer((stranger) => stranger.destroy());
    server.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'EADDRINUSE' ? resolve(undefined) : reject(error),
    );
    server.listen(address, () => {
      server.unref();
      resolve(server);
    });
  });
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}

/** How one waits for a lab that another command changes: told once, and until the run is ended. */
export function labWait(host: Host, lab: string, onLine: (line: string) => void): LockOptions {
  const onWait = () => onLine(`waiting for another command that works on the lab ${lab}`);
  return { onWait, signal: host.signal };
}

/** The name of the lock that every change of a lab runs under. */
export function labLock(lab: string): string {
  return labPlace(lab).folder;
}
