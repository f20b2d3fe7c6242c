import { readFile, statfs } from 'node:fs/promises';
import { networkInterfaces, totalmem } from 'node:os';
import { isInterruption, refusal, sentenceOf } from '../errors.ts';
import type { Host } from './host.ts';

/** Bytes of memory of this host. */
export function memoryBytes(): number {
  return totalmem();
}

/** What is left on a file system. */
export interface Room {
  /** For root's use. */
  bytes: number;
  /** Files that can still be made; undefined where the file system does not count them. */
  files: number | undefined;
}

/** What is left on the file system that holds `path`. */
export async function roomOf(path: string): Promise<Room> {
  const { bavail, bsize, files, ffree } = await statfs(path);
  return { bytes: bavail * bsize, files: files > 0 ? ffree : undefined };
}

/** Bytes that are free for root's use on the file system that holds `path`. */
export async function freeBytes(path: string): Promise<number> {
  return (await roomOf(path)).bytes;
}

/** Bytes of memory that programs can have without swapping (proc(5), MemAvailable). */
export async function availableMemory(): Promise<number> {
  const [, kib] = /^MemAvailable:\s+(\d+) kB$/m.exec(await readFile('/proc/meminfo', 'utf8')) ?? [];
  if (kib === undefined) throw new Error('/proc/meminfo does not tell MemAvailable.');
  return Number(kib) * 1024;
}

/** Whether the kernel is in FIPS mode (sysctl crypto.fips_enabled); a kernel without that setting is not. */
export async function isFips(): Promise<boolean> {
  const text = await readFile('/proc/sys/crypto/fips_enabled', 'utf8').catch(() => '0');
  return text.trim() === '1';
}

/** The TCP ports of `wanted` that something listens on already (proc(5), /proc/net/tcp; state 0A is LISTEN). */
export async function portsInUse(wanted: readonly number[]): Promise<number[]> {
  const tables = await Promise.all(
    ['/proc/net/tcp', '/proc/net/tcp6'].map((file) => readFile(file, 'utf8').catch(() => '')),
  );
  const listening = new Set<number>();
  for (const line of tables.flatMap((table) => table.split('\n').slice(1))) {
    const [, local, , state] = line.trim().split(/\s+/);
    if (state === '0A' && local) listening.add(Number.parseInt(local.slice(local.lastIndexOf(':') + 1), 16));
  }
  return wanted.filter((port) => listening.has(port));
}

/** Asks the system's resolver and writes down what it says, as JSON. */
const LOOKUP = `require('node:dns').lookup(process.argv[1], { all: true }, (error, found) =>
  require('node:fs').writeSync(1, JSON.stringify(error ? { code: error.code } : { found })))`;

/**
 * The addresses that the resolver gives for a name; none where it does not know it. It is asked in a process of its
 * own, because getaddrinfo(3) cannot be called off: it would keep this one from ending while no name server answers.
 * @throws CapstanError `resolver-failed` (also after the deadline `resolver`), `command-interrupted`
 */
export async function addressesOf(host: Host, name: string): Promise<string[]> {
  const failed = (why: string, cause?: unknown) =>
    refusal(
      'resolver-failed',
      `The resolver could not be asked for ${name}: ${why}`,
      'Check /etc/resolv.conf and the name servers.',
      cause,
    );
  const options = { deadline: 'resolver', what: `the address of ${name}` } as const;
  const { stdout } = await host
    .run(process.execPath, ['-e', LOOKUP, name], options)
    .catch((error: unknown) => {
      throw isInterruption(error) ? error : failed(sentenceOf(error), error);
    });
  const { code, found } = JSON.parse(stdout) as { code?: string; found?: { address: string }[] };
  if (found) return found.map(({ address }) => address);
  // ENODATA: the name is there, and has no address.
  if (code === 'ENOTFOUND' || code === 'ENODATA') return [];
  throw failed(`getaddrinfo ${code}`);
}

/** The addresses of this host's interfaces, loopback included. */
export function ownAddresses(): string[] {
  return Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map(({ address }) => address));
}
