import { readdir, stat } from 'node:fs/promises';
import { isInterruption } from '../errors.ts';
import { endOfFile } from '../host/files.ts';
import type { Host } from '../host/host.ts';
import { instanceUnit } from './destroy.ts';

/** Bytes of a log that are read at most, its end: a stack trace of Tomcat has 10 KiB. */
const TAIL = 512 * 1024;

/** Where the logs of an instance ended when it was made. By sizes and not by times: a clock may jump. */
export interface LogMark {
  instance: string;
  sizes: ReadonlyMap<string, number>;
  /** The place in the system journal (journalctl(1), `--after-cursor`). */
  cursor: string | undefined;
}

/** What the logs of the subsystems of an instance say since a mark. */
export interface LogsSince {
  debug: string;
  selftests: string;
  journal: string;
}

/** Marks where the logs of the subsystems of an instance end now; logs that are not there yet count from their begin. */
export async function markLogs(host: Host, instance: string): Promise<LogMark> {
  const sizes = new Map<string, number>();
  for (const file of await logFiles(instance)) sizes.set(file, await sizeOf(file));
  const { stdout } = await host.run('journalctl', ['--quiet', '-n', '0', '--show-cursor'], {
    accept: [0, 1],
  });
  return { instance, sizes, cursor: /^-- cursor: (\S+)$/m.exec(stdout)?.[1] };
}

/** Reads what the logs of the subsystems say since a mark, the last half megabyte of each. */
export async function logsSince(host: Host, mark: LogMark): Promise<LogsSince> {
  const files = await logFiles(mark.instance);
  // Dogtag begins a new log at midnight, and may take away an old one at any time.
  const texts = await Promise.all(
    files.map((file) => endOfFile(file, TAIL, mark.sizes.get(file)).catch(() => '')),
  );
  const isSelfTests = (file: string) => file.endsWith('/selftests.log');
  return {
    debug: texts.filter((_, index) => !isSelfTests(files[index] ?? '')).join('\n'),
    selftests: texts.filter((_, index) => isSelfTests(files[index] ?? '')).join('\n'),
    journal: await journalSince(host, mark),
  };
}

/** The debug logs, one a day, oldest first, and the log of self-tests. */
async function logFiles(instance: string): Promise<string[]> {
  const folders = ['ca', 'kra'].map((subsystem) => `/var/log/pki/${instance}/${subsystem}`);
  const files = await Promise.all(folders.map(logsIn));
  return files.flat();
}

async function logsIn(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch(() => []);
  return names
    .filter((name) => /^debug\..*log$/.test(name) || name === 'selftests.log')
    .toSorted()
    .map((name) => `${folder}/${name}`);
}

async function sizeOf(file: string): Promise<number> {
  return stat(file).then(
    ({ size }) => size,
    () => 0,
  );
}

async function journalSince(host: Host, { instance, cursor }: LogMark): Promise<string> {
  const since = cursor === undefined ? ['-n', '200'] : ['--after-cursor', cursor];
  const text = await journalctl(host, ['-o', 'cat', '-u', instanceUnit(instance), ...since]);
  return text.slice(-TAIL);
}

/** What journalctl(1) prints. That it cannot be asked must not make a failure of work that needs no journal. */
async function journalctl(host: Host, args: readonly string[]): Promise<string> {
  try {
    return (await host.run('journalctl', ['--quiet', ...args], { accept: [0, 1] })).stdout;
  } catch (error) {
    if (isInterruption(error)) throw error;
    return '';
  }
}
