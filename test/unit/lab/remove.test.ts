import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openHost } from '../../../src/host/host.ts';
import { mountPointsIn, removeFolders } from '../../../src/lab/remove.ts';

test('mount points at and below a folder are found, and none beside it', () => {
  const mountinfo = `22 1 8:1 / / rw - ext4 /dev/sda rw
31 22 0:27 / /lab/one rw shared:6 - fuse bindfs rw
32 22 0:28 / /lab/one/token\\040view rw - fuse bindfs rw
33 22 0:29 / /lab/one-more rw - tmpfs tmpfs rw
`;
  expect(mountPointsIn(mountinfo, '/lab/one')).toEqual(['/lab/one', '/lab/one/token view']);
  expect(mountPointsIn(mountinfo, '/lab/two')).toEqual([]);
});

test('nothing is removed where something is mounted', async () => {
  await expect(removeFolders(openHost(), ['/proc'])).rejects.toMatchObject({ code: 'folder-mounted' });
});

test('folders are removed with all in them; that one is not there is no error', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'remove-'));
  try {
    await mkdir(join(folder, 'a/b/c'), { recursive: true });
    await removeFolders(openHost(), [join(folder, 'a'), join(folder, 'missing')]);
    expect(await readdir(folder)).toEqual([]);
  } finally {
    await rm(folder, { recursive: true });
  }
});
