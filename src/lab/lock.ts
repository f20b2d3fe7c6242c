import { createHash } from 'node:crypto';
import { createServer, type Server } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { labPlace } from './names.ts';

/**
 * Runs `work` while no other process on this machine runs under the same name; waits for its turn.
 * The lock is a socket in the abstract namespace (unix(7)): the kernel lets go of it when the process ends,
 * however it ends, so that no stale lock can be left behind.
 * @param name any text; a path serves well
 * @param onWait called once when another process has the lock
 */
export async function withLock<T>(name: string, work: () => Promise<T>, onWait?: () => void): Promise<T> {
  const address = `\0capstan-${createHash('sha256').update(name).digest('hex')}`;
  let holder = await bind(address);
  if (!holder) onWait?.();
  while (!holder) {
    await pause(200);
    holder = await bind(address);
  }
  try {
    return await work();
  } finally {
    await closed(holder);
  }
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

/** The name of the lock that every change of a lab runs under. */
export function labLock(lab: string): string {
  return labPlace(lab).folder;
}
