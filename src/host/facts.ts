import { lookup } from 'node:dns/promises';
import { readFile, statfs } from 'node:fs/promises';
import { networkInterfaces, totalmem } from 'node:os';
import { refusal } from '../errors.ts';

/** Bytes of memory of this host. */
export function memoryBytes(): number {
  return totalmem();
}

/** Bytes that are free for root's use on the file system that holds `path`. */
export async function freeBytes(path: string): Promise<number> {
  const { bavail, bsize } = await statfs(path);
  return bavail * bsize;
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

/** The addresses that the resolver gives for a name; none where it does not know it. @throws CapstanError `resolver-failed` */
export async function addressesOf(name: string): Promise<string[]> {
  const found = await lookup(name, { all: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOTFOUND' || error.code === 'ENODATA') return [];
    throw refusal(
      'resolver-failed',
      `The resolver could not be asked for ${name}: ${error.message}`,
      'Check /etc/resolv.conf and the name servers.',
      error,
    );
  });
  return found.map(({ address }) => address);
}

/** The addresses of this host's interfaces, loopback included. */
export function ownAddresses(): string[] {
  return Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map(({ address }) => address));
}
