import { mkdir, mkdtemp, readdir, readlink, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { openHost } from '../../../src/host/host.ts';

const host = openHost();
let folder: string;
let bundleLayer: typeof import('../../../src/lab/bundle.ts').bundleLayer;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bundle-'));
  vi.stubEnv('CAPSTAN_CACHE', join(folder, 'cache'));
  ({ bundleLayer } = await import('../../../src/lab/bundle.ts'));
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true });
});

/** An archive with `bin/capstan` in it, below `top`. */
async function archive(name: string, top: string): Promise<string> {
  const tree = join(folder, name);
  await mkdir(join(tree, top, 'bin'), { recursive: true });
  await writeFile(join(tree, top, 'bin/capstan'), `#!/bin/sh\n# ${name}\n`, { mode: 0o755 });
  const file = `${tree}.tar.gz`;
  await host.run('tar', ['-C', tree, '-czf', file, top === '' ? '.' : top]);
  return file;
}

/** The layers that are whole. */
const layers = async () =>
  (await readdir(join(folder, 'cache/bundles'))).filter((name) => !name.includes('.'));

test.each([
  ['with a folder around it', 'capstan'],
  ['without one', ''],
])('a bundle %s lies in /opt/capstan, its program on the path', async (name, top) => {
  const layer = await bundleLayer(host, await archive(name.replaceAll(' ', '-'), top));
  expect((await stat(join(layer ?? '', 'opt/capstan/bin/capstan'))).mode & 0o777).toBe(0o755);
  expect(await readlink(join(layer ?? '', 'usr/local/bin/capstan'))).toBe('/opt/capstan/bin/capstan');
});

test('an archive that was cut short, or that is no bundle, is refused and leaves no layer', async () => {
  const short = await archive('short', 'capstan');
  await truncate(short, 80);
  const foreign = join(folder, 'foreign.tar.gz');
  await host.run('tar', ['-C', import.meta.dirname, '-czf', foreign, 'bundle.test.ts']);
  const before = await layers();
  for (const file of [short, foreign]) {
    await expect(bundleLayer(host, file)).rejects.toMatchObject({ code: 'bundle-unusable', exit: 2 });
  }
  expect(await layers()).toEqual(before);
});

test('a bundle that is not there is refused; none is no layer', async () => {
  const missing = bundleLayer(host, join(folder, 'missing.tar.gz'));
  await expect(missing).rejects.toMatchObject({ code: 'bundle-missing', exit: 2 });
  expect(await bundleLayer(host, 'none')).toBeNull();
});
