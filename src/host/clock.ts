/** What this host takes for the time, and why it may be believed. */
import { stat } from 'node:fs/promises';
import type { Host } from './host.ts';

/** Milliseconds; the difference of the time zones of two machines is less. */
const DAY = 86_400_000;

/** The clock of this host. */
export interface Clock {
  now: Date;
  /** Whether it says a time before this very program was made: it is wrong, and every certificate would be, too. */
  beforeProgram: boolean;
  /** Whether the kernel's clock follows a time server (timedatectl(1), NTPSynchronized). */
  synchronised: boolean;
}

/** Reads the clock. @throws CapstanError `command-failed` */
export async function readClock(host: Host): Promise<Clock> {
  const { mtime } = await stat(new URL(import.meta.url));
  const now = new Date();
  const { stdout } = await host.run('timedatectl', ['show', '--property=NTPSynchronized', '--value'], {
    accept: [0, 1],
  });
  return {
    now,
    beforeProgram: now.getTime() < mtime.getTime() - DAY,
    synchronised: stdout.trim() === 'yes',
  };
}
