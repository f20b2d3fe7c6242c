import type { Host } from '../host/host.ts';
import type { LockOptions } from '../host/lock.ts';
import { labPlace } from './names.ts';

/** How one waits for a lab that another command changes: told once, and until the run is ended. */
export function labWait(host: Host, lab: string, onLine: (line: string) => void): LockOptions {
  const onWait = () => onLine(`waiting for another command that works on the lab ${lab}`);
  return { onWait, signal: host.signal };
}

/** The name of the lock that every change of a lab runs under. */
export function labLock(lab: string): string {
  return labPlace(lab).folder;
}
