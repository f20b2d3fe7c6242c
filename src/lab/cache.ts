import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { pathExists } from '../host/files.ts';
import type { Host } from '../host/host.ts';
import { withLock } from '../host/lock.ts';
import { findProcesses } from './processes.ts';
import { removeFolders } from './remove.ts';
import { STATE_FOLDER } from './settings.ts';

/** Seconds for which nobody takes away what was just asked for: the asker has not yet written down that it uses it. */
const GRACE = 600;

const UNFINISHED = '.unfinished';
const USED = '.used';

/** A folder in the cache, and how it is made. */
export interface CachedFolder {
  /** Ends in a hash of everything that its content follows from. */
  path: string;
  /** Makes the content in a folder that is not there yet; it gets its name when it is whole. */
  make(unfinished: string): Promise<void>;
  /** Called once when another process makes it just now. */
  onWait?: () => void;
}

/**
 * The folder, from the cache or made now: a folder of that name is always whole. Older ones of its kind (the same name
 * but for the hash) go, unless something uses them.
 * @throws what `make` throws
 */
export async function cachedFolder(host: Host, { path, make, onWait }: CachedFolder): Promise<string> {
  await mkdir(dirname(path), { recursive: true, mode: 0o755 });
  const made = await withLock(
    path,
    async () => {
      // Under the lock, so that nobody who prunes sees it unused from here on.
      await writeFile(`${path}${USED}`, '');
      if (await pathExists(path)) return false;
      const unfinished = `${path}${UNFINISHED}`;
      await removeFolders(host, [unfinished]);
      await make(unfinished);
      // A power cut after the renaming must not leave files of no length under the final name.
      await host.run('sync', ['--file-system', unfinished], { deadline: 300 });
      await rename(unfinished, path);
      return true;
    },
    { signal: host.signal, ...(onWait && { onWait }) },
  );
  if (made) await prune(host, path);
  return path;
}

/** The folders beside `path` that are of its kind, whole or not: the same name but for the hash at its end. */
export function olderKin(path: string, names: readonly string[]): string[] {
  const kind = (name: string) => name.replace(/[0-9a-f]{16}$/, '');
  const mine = basename(path);
  const whole = names.map((name) => (name.endsWith(UNFINISHED) ? name.slice(0, -UNFINISHED.length) : name));
  const kin = whole.filter(
    (name) => /[0-9a-f]{16}$/.test(name) && kind(name) === kind(mine) && name !== mine,
  );
  return [...new Set(kin)].map((name) => join(dirname(path), name));
}

async function prune(host: Host, path: string): Promise<void> {
  for (const old of olderKin(path, await readdir(dirname(path)))) {
    await withLock(
      old,
      async () => {
        if (await isUsed(old)) return;
        const unfinished = `${old}${UNFINISHED}`;
        if (await pathExists(old)) {
          await removeFolders(host, [unfinished]);
          // Renamed first: a removal that is cut short must not leave half a folder under the name of a whole one.
          await rename(old, unfinished);
        }
        await removeFolders(host, [unfinished]);
        await rm(`${old}${USED}`, { force: true });
      },
      { signal: host.signal },
    );
  }
}

/** Whether a lab, a snapshot or a running program names a folder of the cache, or somebody asked for it just now. */
async function isUsed(path: string): Promise<boolean> {
  const asked = await stat(`${path}${USED}`).catch(() => undefined);
  if (asked && Date.now() - asked.mtimeMs < GRACE * 1000) return true;
  for (const record of await labRecords()) if ((await readFile(record, 'utf8')).includes(path)) return true;
  return (await findProcesses((line) => line.some((word) => word.includes(path)))).length > 0;
}

/** The files in which labs and their snapshots say what they are made of. */
async function labRecords(): Promise<string[]> {
  const labs = await readdir(STATE_FOLDER).catch(() => []);
  const perLab = labs.map(async (lab) => {
    const snapshots = join(STATE_FOLDER, lab, 'snapshots');
    const names = await readdir(snapshots).catch(() => []);
    return [
      join(STATE_FOLDER, lab, 'state.json'),
      ...names.map((name) => join(snapshots, name, 'snapshot.json')),
    ];
  });
  const found: string[] = [];
  for (const file of (await Promise.all(perLab)).flat()) if (await pathExists(file)) found.push(file);
  return found;
}
