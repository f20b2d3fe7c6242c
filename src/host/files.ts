import { lstat, mkdir, open, readFile, rename, rm, rmdir, stat, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Who owns a file, and what they may do with it. */
export interface FileRights {
  /** Permission bits; 0o644 unless told. */
  mode?: number;
  uid?: number;
  gid?: number;
}

/** Whether anything has this path, a dangling link included. */
export async function pathExists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return false;
      throw error;
    },
  );
}

/**
 * Writes a file so that a reader, and a power cut, sees the old content or the new one and nothing between:
 * temporary file, fsync, rename, fsync of the folder. The folder is made if missing. The temporary file is always the
 * same, so that the one of a killed run is found again: two runs must not write one file at the same time.
 */
export async function writeFileAtomically(
  path: string,
  content: string | Uint8Array,
  rights: FileRights = {},
): Promise<void> {
  const folder = dirname(path);
  await mkdir(folder, { recursive: true });
  const draft = draftOf(path);
  const file = await open(draft, 'w', rights.mode ?? 0o644);
  try {
    await file.writeFile(content);
    await file.chmod(rights.mode ?? 0o644);
    if (rights.uid !== undefined) await file.chown(rights.uid, rights.gid ?? rights.uid);
    await file.sync();
    await file.close();
    await rename(draft, path);
  } catch (error) {
    await file.close().catch(() => {});
    await unlink(draft).catch(() => {});
    throw error;
  }
  await syncFolder(folder);
}

function draftOf(path: string): string {
  return `${path}.new`;
}

/**
 * Removes a file that {@link writeFileAtomically} wrote, and the temporary one that a killed run may have left beside
 * it; that nothing is there is no error.
 */
export async function removeFile(path: string): Promise<void> {
  for (const one of [draftOf(path), path]) await rm(one, { force: true });
}

/**
 * The text that a file holds from a place on, the last `limit` bytes of it at most. In a file that is shorter than the
 * place, another one by now, all counts.
 */
export async function endOfFile(path: string, limit: number, from = 0): Promise<string> {
  const handle = await open(path, 'r');
  try {
    const { size } = await handle.stat();
    const start = Math.max(size < from ? 0 : from, size - limit);
    const buffer = Buffer.alloc(size - start);
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, start);
    return buffer.toString('utf8', 0, bytesRead);
  } finally {
    await handle.close();
  }
}

/** The paths that exist, in their order. */
export async function presentPaths(paths: readonly string[]): Promise<string[]> {
  const there = await Promise.all(paths.map(pathExists));
  return paths.filter((_, index) => there[index]);
}

/** The paths that do not exist, in their order. */
export async function absentPaths(paths: readonly string[]): Promise<string[]> {
  const there = new Set(await presentPaths(paths));
  return paths.filter((path) => !there.has(path));
}

/** Changes the text of an existing file atomically; its owner and permission bits stay. */
export async function editFile(path: string, change: (text: string) => string): Promise<void> {
  const [text, { mode, uid, gid }] = await Promise.all([readFile(path, 'utf8'), stat(path)]);
  await writeFileAtomically(path, change(text), { mode: mode & 0o777, uid, gid });
}

/** Removes a file or a folder with all in it; that nothing is there is no error. */
export async function removeTree(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true });
}

/** Removes a folder that holds nothing; one that holds something, is a mount point or is not there stays as it is. */
export async function removeEmptyFolder(path: string): Promise<void> {
  await rmdir(path).catch((error: NodeJS.ErrnoException) => {
    if (!['ENOENT', 'ENOTEMPTY', 'EEXIST', 'EBUSY'].includes(error.code ?? '')) throw error;
  });
}

/** Has a folder on disk as it is: the names of the files in it. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
