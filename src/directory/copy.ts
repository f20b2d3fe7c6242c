/** Whether another server fills the directory just now. */
import { endOfFile } from '../host/files.ts';
import type { Host } from '../host/host.ts';
import { pause, within } from '../host/wait.ts';
import type { DirectoryInstance } from './instance.ts';

/** Bytes of the errors log that are read at most, its end: a copy writes a line every twenty seconds. */
const TAIL = 64 * 1024;
/** Milliseconds between two looks. */
const LOOK = 500;

/** Where a copy begins in the errors log (389-ds 1.4.4, `multimaster_be_state_change`), and where one is over. */
const BEGINS = / is going offline; disabling replication$/;
const OVER = / is coming online; enabling replication$|[Aa]bort|abandon| starting up$/;

/**
 * Whether the instance takes in a copy of a suffix that another server sends. It serves that suffix to nobody meanwhile, and
 * must not be told to stop: ns-slapd then waits for an end of the copy that does not come, and systemd kills it after
 * ten minutes (389-ds 1.4.4.11, seen).
 */
export async function isTakingCopy({ name }: Pick<DirectoryInstance, 'name'>): Promise<boolean> {
  return takesCopyIn(await endOfFile(`/var/log/dirsrv/slapd-${name}/errors`, TAIL).catch(() => ''));
}

/** The same by the text of an errors log. */
export function takesCopyIn(log: string): boolean {
  const lines = log.split('\n');
  const begun = lines.findLastIndex((line) => BEGINS.test(line));
  return begun >= 0 && !lines.slice(begun + 1).some((line) => OVER.test(line));
}

/**
 * Waits until no copy comes in any more.
 * @returns whether one did
 * @throws CapstanError `deadline-passed` after the deadline `replication-init`, `interrupted`
 */
export async function untilCopyTaken(
  host: Host,
  instance: Pick<DirectoryInstance, 'name'>,
): Promise<boolean> {
  if (!(await isTakingCopy(instance))) return false;
  const what = `the directory ${instance.name} to take in the copy that another server sends`;
  await within(host, 'replication-init', what, async (signal) => {
    while ((await isTakingCopy(instance)) && !signal.aborted) await pause(host, LOOK, what);
  });
  return true;
}
