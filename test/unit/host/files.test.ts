import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { absentPaths, editFile, presentPaths } from '../../../src/host/files.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'capstan-files-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

test('an edited file keeps its permission bits', async () => {
  const file = join(folder, 'CS.cfg');
  writeFileSync(file, 'a=1\nb=2\n');
  chmodSync(file, 0o640);
  await editFile(file, (text) => text.replace('a=1\n', ''));
  expect(readFileSync(file, 'utf8')).toBe('b=2\n');
  expect(statSync(file).mode & 0o777).toBe(0o640);
});

test('paths are told apart by whether they exist, in their order', async () => {
  const [there, gone] = [folder, join(folder, 'nowhere')];
  expect(await presentPaths([gone, there])).toEqual([there]);
  expect(await absentPaths([there, gone])).toEqual([gone]);
});
