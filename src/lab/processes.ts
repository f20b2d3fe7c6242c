import { access, readdir, readFile } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';

/** The ids of a process's children, oldest first (proc_pid_task(5)). */
export async function childrenOf(pid: number): Promise<number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '');
  return text.split(' ').filter(Boolean).map(Number);
}

/** The command line of a process, or an empty array when there is none. */
export async function commandLineOf(pid: number): Promise<string[]> {
  const text = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
  return text.split('\0').slice(0, -1);
}

/** Whether there is a process of this id; one that ended counts until its parent waited for it. */
export async function lives(pid: number): Promise<boolean> {
  return access(`/proc/${pid}`).then(
    () => true,
    () => false,
  );
}

/** Whether a process is the first one of a pid namespace directly below ours. */
export async function isNamespaceInit(pid: number): Promise<boolean> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  return /^NSpid:\s+\d+\s+1$/m.test(status);
}

/** The ids of all processes whose command line passes the test. */
export async function findProcesses(test: (commandLine: string[]) => boolean): Promise<number[]> {
  const ids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
  const lines = await Promise.all(ids.map(async (id) => ({ id, line: await commandLineOf(id) })));
  return lines
    .filter(({ id, line }) => id !== process.pid && line.length > 0 && test(line))
    .map(({ id }) => id);
}

/** Sends a signal to processes that may have ended already. */
export function signalAll(ids: readonly number[], signal: NodeJS.Signals): void {
  for (const id of ids) {
    try {
      process.kill(id, signal);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }
}

/**
 * Waits until a test holds.
 * @param seconds how long at most
 * @returns whether it held in time
 */
export async function waitUntil(
  test: () => Promise<boolean>,
  seconds: number,
  every = 0.1,
): Promise<boolean> {
  const end = performance.now() + seconds * 1000;
  while (!(await test())) {
    if (performance.now() > end) return false;
    await pause(every * 1000);
  }
  return true;
}
