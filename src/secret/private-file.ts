import {
  chownSync,
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  mkdtempSync,
  openSync,
  rmSync,
  statfsSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { refusal } from '../errors.ts';
import type { Secret } from './secret.ts';

/** Where a private folder is made: file systems that live in memory, the first that is there. */
export const PRIVATE_PARENTS: readonly string[] = ['/run', '/dev/shm'];

/** How the name of a private folder begins; by it, the one of a process that was killed is told. */
export function privatePrefix(pid: number | string): string {
  return `capstan-${pid}-`;
}

/** TMPFS_MAGIC and RAMFS_MAGIC (statfs(2)). */
const MEMORY_FILE_SYSTEMS = [0x01021994, 0x858458f6];

/** A user and group, by number. */
export interface Owner {
  uid: number;
  gid: number;
}

/** A folder of mode 0700 in memory, for files that hold secrets during one call. */
export interface PrivateFolder {
  readonly path: string;
  /**
   * Writes a file of mode 0600 and returns its path. An existing file is never overwritten or followed.
   * @param owner who may read it; the folder's owner unless told
   */
  write(name: string, content: string | Secret, owner?: Owner): string;
}

/**
 * Lends a private folder to `work` and removes it with all that is in it, whatever happens.
 * @param owner who may enter the folder besides root; the caller unless told
 * @throws CapstanError `no-private-folder`
 */
export async function withPrivateFolder<Result>(
  work: (folder: PrivateFolder) => Promise<Result>,
  owner?: Owner,
): Promise<Result> {
  const path = makeFolder();
  const remove = () => rmSync(path, { recursive: true, force: true });
  // A forced end of the program skips `finally`, but not this.
  process.once('exit', remove);
  try {
    if (owner) chownSync(path, owner.uid, owner.gid);
    return await work({
      path,
      write: (name, content, fileOwner = owner) => writeIn(path, name, content, fileOwner),
    });
  } finally {
    remove();
    process.removeListener('exit', remove);
  }
}

function makeFolder(): string {
  let cause: unknown;
  for (const parent of PRIVATE_PARENTS) {
    try {
      if (MEMORY_FILE_SYSTEMS.includes(statfsSync(parent).type))
        return mkdtempSync(join(parent, privatePrefix(process.pid)));
    } catch (error) {
      cause = error;
    }
  }
  throw refusal(
    'no-private-folder',
    `There is no writable file system in memory at ${PRIVATE_PARENTS.join(' or ')} for files that hold passwords.`,
    'Mount a tmpfs on /run, as every systemd host has it.',
    cause,
  );
}

function writeIn(folder: string, name: string, content: string | Secret, owner: Owner | undefined): string {
  const path = join(folder, name);
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
  const descriptor = openSync(path, flags, 0o600);
  try {
    fchmodSync(descriptor, 0o600);
    if (owner) fchownSync(descriptor, owner.uid, owner.gid);
    writeFileSync(descriptor, typeof content === 'string' ? content : content.reveal());
  } finally {
    closeSync(descriptor);
  }
  return path;
}
