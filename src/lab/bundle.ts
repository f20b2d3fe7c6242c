import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, readdir, readFile, symlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { CapstanError, refusal } from '../errors.ts';
import { pathExists } from '../host/files.ts';
import type { Host } from '../host/host.ts';
import { cachedFolder } from './cache.ts';
import { CACHE_FOLDER } from './settings.ts';

/** Where the bundle is in a host, and where its program is linked from. */
const INSTALLED = 'opt/capstan';
const LINK = 'usr/local/bin/capstan';

/** Capstan's own files, as this program runs from them. */
interface OwnFiles {
  /** The folder that holds package.json. */
  folder: string;
  version: string;
  /** Whether it is a checkout rather than an unpacked bundle. */
  checkout: boolean;
}

/** Finds Capstan's own files: upwards from this one to the package's folder. */
async function ownFiles(): Promise<OwnFiles> {
  let folder = import.meta.dirname;
  for (;;) {
    const manifest = await readFile(join(folder, 'package.json'), 'utf8').catch(() => undefined);
    const { name, version } = manifest ? JSON.parse(manifest) : {};
    if (name === 'capstan')
      return { folder, version, checkout: await pathExists(join(folder, 'tsconfig.json')) };
    if (folder === dirname(folder))
      throw new Error(`No package.json of capstan above ${import.meta.dirname}`);
    folder = dirname(folder);
  }
}

/**
 * The overlay layer with the bundle in /opt/capstan and its program on the path, unpacked once per content.
 * @param bundle a file, `none`, or undefined for the default: the checkout's own build, or the installed bundle
 * @returns the layer's folder, or null for `none`
 * @throws CapstanError `bundle-missing`, `bundle-unusable`
 */
export async function bundleLayer(host: Host, bundle: string | undefined): Promise<string | null> {
  if (bundle === 'none') return null;
  const own = await ownFiles();
  if (bundle === undefined && !own.checkout)
    return layer(host, await treeHash(host, own.folder), copyOf(own.folder));
  const file = bundle ?? join(own.folder, 'build', `capstan-${own.version}-linux-x64.tar.gz`);
  if (!(await pathExists(file))) {
    throw refusal(
      'bundle-missing',
      `The bundle that the hosts get is not there: ${file}`,
      'Build it with: npm run package\nor name another with --bundle FILE.',
    );
  }
  return layer(host, await fileHash(file), unpacked(file));
}

/** Puts the bundle's files into the folder that is given. */
type Fill = (host: Host, folder: string) => Promise<void>;

async function layer(host: Host, hash: string, fill: Fill): Promise<string> {
  const make = async (unfinished: string) => {
    await mkdir(join(unfinished, INSTALLED), { recursive: true, mode: 0o755 });
    await mkdir(dirname(join(unfinished, LINK)), { recursive: true, mode: 0o755 });
    await fill(host, join(unfinished, INSTALLED));
    await requireProgram(unfinished);
    await symlink(`/${INSTALLED}/bin/capstan`, join(unfinished, LINK));
  };
  return cachedFolder(host, { path: join(CACHE_FOLDER, 'bundles', hash), make });
}

async function requireProgram(folder: string): Promise<void> {
  if (!(await pathExists(join(folder, INSTALLED, 'bin/capstan'))))
    throw unusable('The bundle has no bin/capstan.');
}

function unusable(message: string, cause?: unknown): CapstanError {
  return refusal('bundle-unusable', message, 'Build it again with: npm run package', cause);
}

/** Unpacks an archive, with or without a folder around everything. */
function unpacked(file: string): Fill {
  return async (host, folder) => {
    const { stdout } = await host.run('tar', ['-tzf', file], { deadline: 120 }).catch((error) => {
      const broken = error instanceof CapstanError && error.code === 'command-failed';
      throw broken ? unusable(`The bundle ${file} is no whole archive.`, error) : error;
    });
    const wrapped = /^(\.\/)?[^/\n]+\/bin\/capstan$/m.test(stdout) && !/^(\.\/)?bin\/capstan$/m.test(stdout);
    const strip = wrapped ? [`--strip-components=${/^\.\//m.test(stdout) ? 2 : 1}`] : [];
    const options = ['--no-same-owner', '--directory', folder, ...strip];
    await host.run('tar', ['-xzf', file, ...options], { deadline: 300 });
  };
}

function copyOf(tree: string): Fill {
  return async (host, folder) => {
    const names = await readdir(tree);
    const sources = names.map((name) => join(tree, name));
    await host.run('cp', ['-a', '--reflink=auto', ...sources, folder], { deadline: 300 });
  };
}

async function fileHash(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  return hash.digest('hex').slice(0, 16);
}

/** The hash of a tree's listing; an installed bundle does not change its files in place. */
async function treeHash(host: Host, folder: string): Promise<string> {
  const { stdout } = await host.run('find', [folder, '-printf', '%P %s %T@\n'], { deadline: 120 });
  return createHash('sha256').update(stdout.split('\n').sort().join('\n')).digest('hex').slice(0, 16);
}
