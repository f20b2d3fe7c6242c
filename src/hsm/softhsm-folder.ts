/**
 * The folder of one SoftHSM token on disk. The folders above it can be written to by the group of SoftHSM, and root
 * works in them: a folder is opened once, without following a link, and what is in it is reached through its descriptor,
 * so that nobody can put another place there meanwhile.
 */
import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, rename, rmdir, unlink } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { type CapstanError, refusal } from '../errors.ts';
import { pathExists } from '../host/files.ts';
import type { TarFile } from '../host/tar.ts';
import type { SoftHsmStore } from './softhsm.ts';
import { isFolderOf, isTokenFile, mainFile, TOKEN_LIMITS, type TokenContent } from './token-file.ts';

const { O_RDONLY, O_WRONLY, O_CREAT, O_EXCL, O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK } = constants;

/** How the folder begins in which a token is put together before it gets its name; SoftHSM passes it over. */
const STAGE = '.capstan-import-';

/** Readings of a folder until two after another are the same, and the time between them. */
const READINGS = 10;
const PAUSE_MILLISECONDS = 200;

/** Owner and modes of the folder of a token and of its files. */
export interface FolderRights {
  uid: number;
  gid: number;
  folderMode: number;
  fileMode: number;
}

async function withFolder<Result>(
  path: string,
  work: (folder: FileHandle) => Promise<Result>,
): Promise<Result> {
  const folder = await open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  try {
    return await work(folder);
  } finally {
    await folder.close();
  }
}

/** The path of what an open folder holds; of the folder itself, without a name (proc(5), `/proc/pid/fd`). */
function inside(folder: FileHandle, name = '.'): string {
  return `/proc/self/fd/${folder.fd}/${name}`;
}

/** The names of the folders of a store, those of tokens and others. A store that is not there has none. */
export async function tokenFolders(store: SoftHsmStore): Promise<string[]> {
  const entries = await readdir(store.folder, { withFileTypes: true }).catch((error: unknown) => {
    throw refusal(
      'softhsm-store-unusable',
      `The folder of SoftHSM's tokens, ${store.folder} (${store.configuration}), cannot be read: ${(error as Error).message}`,
      'Make it, as SoftHSM’s package does.',
      error,
    );
  });
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
}

/**
 * The folder of the token with this serial.
 * @throws CapstanError `softhsm-store-unusable`, `token-folder-missing`
 */
export async function folderOf(store: SoftHsmStore, serial: string): Promise<string> {
  const [folder, second] = (await tokenFolders(store)).filter((name) => isFolderOf(name, serial));
  if (folder !== undefined && second === undefined) return folder;
  throw refusal(
    'token-folder-missing',
    `${store.folder} (${store.configuration}) has ${second ? 'several folders' : 'no folder'} of the token with the serial ${serial}.`,
    'See whether SoftHSM has another configuration for pkiuser, or whether the folder was renamed: its name ends in the serial.',
  );
}

/**
 * The files of a token's folder. It is read until two readings after another are the same, because its token may be in
 * use.
 * @throws CapstanError `token-busy`, `token-folder-strange`, `token-too-large`
 */
export async function readTokenFolder(store: SoftHsmStore, folder: string): Promise<TarFile[]> {
  const path = `${store.folder}/${folder}`;
  return withFolder(path, async (handle) => {
    let before = await readFiles(handle, path);
    for (let reading = 1; reading < READINGS; reading++) {
      await pause(PAUSE_MILLISECONDS);
      const now = await readFiles(handle, path);
      if (before && now && isSame(before, now)) return now;
      before = now;
    }
    throw refusal(
      'token-busy',
      `The token's folder ${path} changes all the time.`,
      'Wait until nothing is written to the token any more, or stop what uses it.',
    );
  });
}

/** One reading; undefined where a file went away meanwhile, or is just being written. */
async function readFiles(folder: FileHandle, path: string): Promise<TarFile[] | undefined> {
  const files: TarFile[] = [];
  let left = TOKEN_LIMITS.bytes;
  for (const name of (await readdir(inside(folder))).toSorted()) {
    if (!isTokenFile(name)) throw strange(path, name);
    const file = await readTokenFile(folder, name, path, left);
    if (!file || (name.endsWith('.object') && file.content.length === 0)) return undefined;
    left -= file.content.length;
    files.push(file);
  }
  return files;
}

async function readTokenFile(
  folder: FileHandle,
  name: string,
  path: string,
  limit: number,
): Promise<TarFile | undefined> {
  let file: FileHandle;
  try {
    file = await open(inside(folder, name), O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw strange(path, name, error);
  }
  try {
    const facts = await file.stat();
    if (!facts.isFile()) throw strange(path, name);
    if (facts.size > limit) throw tooLarge(path);
    return { path: name, content: await file.readFile(), modified: facts.mtime };
  } finally {
    await file.close();
  }
}

function isSame(one: readonly TarFile[], other: readonly TarFile[]): boolean {
  const isSameFile = (file: TarFile, index: number) =>
    file.path === other[index]?.path && file.content.equals(other[index].content);
  return one.length === other.length && one.every(isSameFile);
}

function strange(folder: string, name: string, cause?: unknown): CapstanError {
  return refusal(
    'token-folder-strange',
    `${JSON.stringify(name)} in the token's folder ${folder} is no file of SoftHSM.`,
    'See what it is, and take it away.',
    cause,
  );
}

function tooLarge(folder: string): CapstanError {
  return refusal(
    'token-too-large',
    `The files of the token in ${folder} have more than ${TOKEN_LIMITS.bytes} bytes.`,
    'Delete from it what no rehearsal needs, with the tools of SoftHSM.',
  );
}

/** Whether any token of the store has this label, also one that no user but its owner sees. */
export async function labelIsTaken(store: SoftHsmStore, label: string): Promise<boolean> {
  const padded = Buffer.alloc(32, ' ');
  padded.write(label);
  for (const folder of await tokenFolders(store)) {
    const path = `${store.folder}/${folder}`;
    const main = await withFolder(path, (handle) =>
      readTokenFile(handle, mainFile(store.backend), path, TOKEN_LIMITS.bytes),
    ).catch(unlessGone);
    if (main?.content.includes(padded)) return true;
  }
  return false;
}

function unlessGone(error: unknown): undefined {
  if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
}

/** Owner and modes of a token's folder that is there, for another one beside it; no more than its group may do. */
export async function rightsOf(store: SoftHsmStore, folder: string): Promise<FolderRights> {
  return withFolder(`${store.folder}/${folder}`, async (handle) => {
    const { uid, gid, mode } = await handle.stat();
    const file = await open(inside(handle, mainFile(store.backend)), O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    const fileMode = (await file.stat()).mode & 0o660;
    await file.close();
    return { uid, gid, folderMode: mode & 0o2770, fileMode };
  });
}

/**
 * Gives the files of a token's folder that belong to root to the owner of the folder, who could not read them: SoftHSM makes
 * each file for the one who writes it (2.6.1).
 */
export async function ownTokenFolder(store: SoftHsmStore, folder: string): Promise<void> {
  await withFolder(`${store.folder}/${folder}`, async (handle) => {
    const { uid, gid } = await handle.stat();
    if (uid === 0) return;
    for (const name of (await readdir(inside(handle))).filter(isTokenFile)) {
      const file = await open(inside(handle, name), O_RDONLY | O_NOFOLLOW | O_NONBLOCK).catch(unlessGone);
      try {
        const facts = await file?.stat();
        if (facts?.isFile() && facts.uid === 0) await file?.chown(uid, gid);
      } finally {
        await file?.close();
      }
    }
  });
}

/** Owner and modes for the first token of a user, as SoftHSM makes it: for its owner alone. */
export async function firstRights(
  store: SoftHsmStore,
  { uid, gid }: { uid: number; gid: number },
): Promise<FolderRights> {
  return withFolder(store.folder, async (handle) => {
    const parent = await handle.stat();
    const setgid = parent.mode & 0o2000;
    return { uid, gid: setgid ? parent.gid : gid, folderMode: 0o700 | setgid, fileMode: 0o600 };
  });
}

/**
 * Puts the folder of a token into the store: whole or not at all, on disk when this returns.
 * @returns what takes it away again
 * @throws CapstanError `token-exists`
 */
export async function writeTokenFolder(
  store: SoftHsmStore,
  { folder, files }: TokenContent,
  rights: FolderRights,
): Promise<() => Promise<void>> {
  await withFolder(store.folder, async (top) => {
    await removeStages(top);
    const stageName = `${STAGE}${randomBytes(8).toString('hex')}`;
    await mkdir(inside(top, stageName), { mode: 0o700 });
    try {
      await withFolder(inside(top, stageName), async (stage) => {
        await writeFiles(stage, folder, files, rights);
        // A folder would take the place of an empty one without a word.
        if (await pathExists(inside(top, folder))) throw folderExists(store, folder);
        await rename(inside(stage, folder), inside(top, folder));
      });
      await top.sync();
    } finally {
      // Empty by now, and passed over by SoftHSM: what cannot be removed is taken away by the next import.
      await removeFolder(top, stageName).catch(() => {});
    }
  });
  return () =>
    withFolder(store.folder, async (top) => {
      await removeFolder(top, folder);
      await top.sync();
    });
}

function folderExists({ folder: top }: SoftHsmStore, folder: string): CapstanError {
  return refusal(
    'token-exists',
    `The folder ${top}/${folder} is there already.`,
    'Delete that token first, with softhsm2-util --delete-token, should nobody need it.',
  );
}

async function writeFiles(
  stage: FileHandle,
  folder: string,
  files: readonly TarFile[],
  { uid, gid, folderMode, fileMode }: FolderRights,
): Promise<void> {
  await mkdir(inside(stage, folder), { mode: 0o700 });
  await withFolder(inside(stage, folder), async (handle) => {
    for (const { path, content } of files) {
      const file = await open(inside(handle, path), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
      try {
        await file.writeFile(content);
        await file.chown(uid, gid);
        await file.chmod(fileMode);
        await file.sync();
      } finally {
        await file.close();
      }
    }
    // The mode last: a change of the owner takes the set-group-ID bit away (chown(2)).
    await handle.chown(uid, gid);
    await handle.chmod(folderMode);
    await handle.sync();
  });
}

/** Takes away what killed runs left. No other run is at work: it would hold the lock of this machine. */
async function removeStages(top: FileHandle): Promise<void> {
  for (const name of await readdir(inside(top))) {
    if (name.startsWith(STAGE)) await removeFolder(top, name);
  }
}

/**
 * Removes a folder with the files of a token in it, and, of a stage, the folder of the token; nothing else. A process
 * of SoftHSM that looks into the store may have left a file even in a stage.
 */
async function removeFolder(parent: FileHandle, name: string): Promise<void> {
  await withFolder(inside(parent, name), async (folder) => {
    for (const entry of await readdir(inside(folder), { withFileTypes: true })) {
      if (isTokenFile(entry.name)) await unlink(inside(folder, entry.name)).catch(unlessGone);
      else if (entry.isDirectory()) await removeFolder(folder, entry.name);
    }
  });
  await rmdir(inside(parent, name));
}
