import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openHost } from '../../../src/host/host.ts';
import { cachedFolder, olderKin } from '../../../src/lab/cache.ts';

const host = openHost();
const [OLD, RECENT, NEW] = ['aaaaaaaaaaaaaaaa', 'bbbbbbbbbbbbbbbb', 'cccccccccccccccc'];

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cache-'));
});
afterEach(() => rm(folder, { recursive: true }));

/** A folder with one file, and when it was last asked for. */
async function asked(name: string, hoursAgo: number): Promise<void> {
  await cachedFolder(host, { path: join(folder, name), make: fill });
  const then = new Date(Date.now() - hoursAgo * 3_600_000);
  await utimes(join(folder, `${name}.used`), then, then);
}

async function fill(unfinished: string): Promise<void> {
  await mkdir(unfinished);
  await writeFile(join(unfinished, 'file'), 'content');
}

test('a folder is made once', async () => {
  let made = 0;
  const make = async (unfinished: string) => {
    made += 1;
    await fill(unfinished);
  };
  const path = join(folder, NEW);
  const all = [1, 2, 3].map(() => cachedFolder(host, { path, make }));
  expect(await Promise.all(all)).toEqual([path, path, path]);
  expect(made).toBe(1);
  expect(await readdir(path)).toEqual(['file']);
});

test('what was cut short is never taken for a whole folder, and is made anew', async () => {
  const path = join(folder, NEW);
  const half = async (unfinished: string) => {
    await mkdir(unfinished);
    await writeFile(join(unfinished, 'half'), '');
    throw new Error('cut short');
  };
  await expect(cachedFolder(host, { path, make: half })).rejects.toThrow('cut short');
  expect(await readdir(folder)).not.toContain(NEW);
  await cachedFolder(host, { path, make: fill });
  expect(await readdir(path)).toEqual(['file']);
});

test('a new folder takes the place of old ones that nobody uses, whole or not', async () => {
  await asked(OLD, 1);
  await asked(RECENT, 0);
  await mkdir(join(folder, 'dddddddddddddddd.unfinished'));
  await mkdir(join(folder, `other-${OLD}`));
  await cachedFolder(host, { path: join(folder, NEW), make: fill });
  expect((await readdir(folder)).sort()).toEqual([
    RECENT,
    `${RECENT}.used`,
    NEW,
    `${NEW}.used`,
    `other-${OLD}`,
  ]);
});

test('what a running program names is used', async () => {
  await asked(OLD, 1);
  const path = join(folder, OLD);
  const program = spawn('sh', ['-c', 'echo started; read -r line', 'sh', path]);
  await once(program.stdout, 'data');
  await cachedFolder(host, { path: join(folder, NEW), make: fill });
  expect(await readdir(folder)).toContain(OLD);
  program.stdin.end();
  await once(program, 'close');
  await cachedFolder(host, { path: join(folder, 'eeeeeeeeeeeeeeee'), make: fill });
  expect(await readdir(folder)).not.toContain(OLD);
});

test('kin has the same name but for the hash', () => {
  const names = [
    OLD,
    `host-bullseye-${OLD}`,
    `host-bullseye-${NEW}.used`,
    `host-bullseye-${RECENT}`,
    'notes',
  ];
  expect(olderKin(`/c/host-bullseye-${NEW}`, names)).toEqual([
    `/c/host-bullseye-${OLD}`,
    `/c/host-bullseye-${RECENT}`,
  ]);
});
