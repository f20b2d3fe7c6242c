/** The memory of running processes, as Linux tells it in /proc. */
import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';

/** What {@link watchMemory} gives back. */
export interface MemoryWatch {
  /** Ends the watch. */
  end(): void;
  /** The highest memory seen so far, in megabytes (10^6 bytes). */
  peak(): number;
}

/**
 * Watches all processes of one program on one lab host, five times a second. The peak is the larger of two:
 * the highest sum of their proportional set sizes (proc(5), smaps_rollup), where pages that they share count once,
 * and the highest resident set of a single one, which the kernel keeps (VmHWM), so that no peak between two looks
 * is missed.
 * @param program the path of the program as its processes see it
 * @param namespace the name of the host's network namespace; it need not be there yet
 */
export function watchMemory(program: string, namespace: string): MemoryWatch {
  let peak = 0;
  const look = () => {
    const ids = readdirSync('/proc').filter(
      (name) => /^\d+$/.test(name) && runs(name, program, network(namespace)),
    );
    const shared = ids
      .map((id) => bytes(`/proc/${id}/smaps_rollup`, 'Pss'))
      .reduce((sum, one) => sum + one, 0);
    peak = Math.max(peak, shared, ...ids.map((id) => bytes(`/proc/${id}/status`, 'VmHWM')));
  };
  const timer = setInterval(look, 200);
  return { end: () => clearInterval(timer), peak: () => peak / 1e6 };
}

/** How /proc names a network namespace (namespaces(7)), or undefined when there is none of this name. */
function network(namespace: string): string | undefined {
  const file = statSync(`/run/netns/${namespace}`, { throwIfNoEntry: false });
  return file && `net:[${file.ino}]`;
}

function runs(id: string, program: string, within: string | undefined): boolean {
  try {
    return readlinkSync(`/proc/${id}/ns/net`) === within && readlinkSync(`/proc/${id}/exe`).endsWith(program);
  } catch {
    return false;
  }
}

/** A line `Name:   123 kB` in bytes; 0 when the process has ended. */
function bytes(file: string, name: string): number {
  try {
    return (
      Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(readFileSync(file, 'utf8'))?.[1] ?? 0) * 1024
    );
  } catch {
    return 0;
  }
}
