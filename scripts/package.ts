/** Makes the bundle: everything that a host without Node, and with glibc 2.31 or later, needs to run Capstan. */
import { createHash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join, relative } from 'node:path';
import { failure } from '../src/errors.ts';
import type { Host } from '../src/host/host.ts';
import { withLock } from '../src/host/lock.ts';
import { CACHE_FOLDER } from '../src/lab/settings.ts';
import { toolchainRun } from '../src/lab/toolchain.ts';
import { ADDON_ARGUMENTS, stageAddon } from './addon.ts';
import { build } from './build.ts';
import { productionPackages, stagePackages } from './lib/stage.ts';
import { BUNDLE, HOME, NODE, quiet, say, script, scriptHost, since, VERSION } from './lib/task.ts';

const STAGE = join(HOME, 'build/bundle');
const TOP = join(STAGE, 'capstan');
const STAMP = `${BUNDLE}.inputs`;

/** The newest symbol versions of Debian 11, the oldest system supported: glibc 2.31 and GCC 10's libstdc++. */
const NEWEST_SYMBOLS: Readonly<Record<string, string>> = {
  GLIBC: '2.31',
  GLIBCXX: '3.4.28',
  CXXABI: '1.3.12',
};

/** What every entry of the archive is dated, in seconds since 1970, so that the same inputs give the same bytes. */
const DATE = process.env.SOURCE_DATE_EPOCH ?? '1767225600';

/**
 * Builds the bundle, unless it is there and nothing that goes into it has changed; resolves to its path.
 * @throws CapstanError `symbols-too-new`, `package-missing`, and what the compiler and the toolchain throw
 */
export async function makeBundle(host: Host): Promise<string> {
  return withLock(BUNDLE, () => makeAlone(host), {
    onWait: () => say('waiting for another process that makes the bundle'),
    signal: host.signal,
  });
}

async function makeAlone(host: Host): Promise<string> {
  await build(host);
  const start = performance.now();
  const inputs = inputsHash();
  if (existsSync(BUNDLE) && existsSync(STAMP) && readFileSync(STAMP, 'utf8') === inputs) {
    tell('the bundle is up to date');
    return BUNDLE;
  }
  stage();
  copyFileSync(await releaseAddon(host), releaseAddonPath());
  await verify(host);
  // A run that is killed here must not leave a new bundle beside the stamp of an old one.
  rmSync(STAMP, { force: true });
  await archive(host);
  writeFileSync(STAMP, inputs);
  rmSync(STAGE, { recursive: true });
  tell(`the bundle is made (${since(start)})`);
  return BUNDLE;
}

function tell(what: string): void {
  say(`${what}: ${relative(HOME, BUNDLE)}, ${(statSync(BUNDLE).size / 1e6).toFixed(1)} MB`);
}

function stage(): void {
  rmSync(STAGE, { recursive: true, force: true });
  mkdirSync(join(TOP, 'bin'), { recursive: true });
  copyFileSync(realpathSync(NODE), join(TOP, 'bin/node'));
  copyFileSync(join(HOME, 'bin/capstan'), join(TOP, 'bin/capstan'));
  for (const program of ['node', 'capstan']) chmodSync(join(TOP, 'bin', program), 0o755);
  for (const folder of ['dist', 'templates', 'schema']) {
    cpSync(join(HOME, folder), join(TOP, folder), {
      recursive: true,
      filter: (file) => !file.endsWith('.map'),
    });
  }
  copyFileSync(join(HOME, 'LICENSE'), join(TOP, 'LICENSE'));
  copyFileSync(join(realpathSync(NODE), '../../LICENSE'), join(TOP, 'bin/node.LICENSE'));
  const { name, version, description, license, type, dependencies } = manifest();
  const shipped = { name, version, description, license, private: true, type, dependencies };
  writeFileSync(join(TOP, 'package.json'), `${JSON.stringify(shipped, null, 2)}\n`);
  stagePackages(TOP);
  mkdirSync(join(releaseAddonPath(), '..'), { recursive: true });
}

function releaseAddonPath(): string {
  return join(TOP, 'node_modules/pkcs11js/build/Release/pkcs11.node');
}

/** The addon compiled against the oldest supported C library; kept in the cache under the hash of its inputs. */
async function releaseAddon(host: Host): Promise<string> {
  const folder = join(HOME, 'build/addon-release');
  stageAddon(folder);
  const hash = createHash('sha256').update(JSON.stringify(ADDON_ARGUMENTS));
  addFiles(hash, folder);
  const kept = join(CACHE_FOLDER, 'addon', hash.digest('hex').slice(0, 32), 'pkcs11.node');
  if (!existsSync(kept)) {
    say('compiling the PKCS#11 addon against the oldest supported C library (Debian 11)');
    await toolchainRun(host, folder, ['g++', ...ADDON_ARGUMENTS], (line) => console.log(line));
    mkdirSync(join(kept, '..'), { recursive: true });
    copyFileSync(join(folder, 'pkcs11.node'), `${kept}.new`);
    renameSync(`${kept}.new`, kept);
  }
  rmSync(folder, { recursive: true });
  return kept;
}

/** Looks at the symbols, and runs what was staged on the oldest supported system: every package must load there. */
async function verify(host: Host): Promise<void> {
  await checkSymbols(host, join(TOP, 'bin/node'));
  await checkSymbols(host, releaseAddonPath());
  const packages = Object.keys(manifest().dependencies);
  const loadAll = `for (const name of ${JSON.stringify(packages)}) await import(name);
    const { default: { PKCS11 } } = await import('pkcs11js'); new PKCS11();`;
  writeFileSync(join(TOP, 'load.mjs'), loadAll);
  await toolchainRun(host, STAGE, ['/build/capstan/bin/node', '/build/capstan/load.mjs'], (line) =>
    say(line),
  );
  rmSync(join(TOP, 'load.mjs'));
  const lines: string[] = [];
  await toolchainRun(host, STAGE, ['/build/capstan/bin/capstan', '--version'], (line) => lines.push(line));
  if (!lines.some((line) => line.includes(VERSION))) {
    throw failure(
      'bundle-broken',
      `capstan --version in the bundle says "${lines.join(' ')}", not ${VERSION}.`,
    );
  }
  say('the bundle runs on Debian 11 and loads its addon and every package');
}

async function checkSymbols(host: Host, file: string): Promise<void> {
  const { stdout } = await quiet(host, 'objdump', ['-T', file]);
  const wanted = [...stdout.matchAll(/\((GLIBC|GLIBCXX|CXXABI)_([\d.]+)\)/g)];
  if (wanted.length === 0)
    throw failure('symbols-unreadable', `objdump finds no versioned symbols in ${file}.`);
  for (const [, library = '', version = ''] of wanted) {
    const newest = NEWEST_SYMBOLS[library] ?? '0';
    if (newer(version, newest)) {
      throw failure(
        'symbols-too-new',
        `${relative(STAGE, file)} needs ${library}_${version}; Debian 11 has ${newest} at most.`,
      );
    }
  }
}

function newer(version: string, than: string): boolean {
  return version.localeCompare(than, 'en', { numeric: true }) > 0;
}

async function archive(host: Host): Promise<void> {
  const fresh = `${BUNDLE}.new`;
  const same = [
    '--sort=name',
    `--mtime=@${DATE}`,
    '--owner=0',
    '--group=0',
    '--numeric-owner',
    '--format=gnu',
  ];
  const how = ['--mode=u=rwX,go=rX', '--use-compress-program=gzip -n -6'];
  await quiet(host, 'tar', [...same, ...how, '-C', STAGE, '-cf', fresh, 'capstan']);
  renameSync(fresh, BUNDLE);
}

/** A hash over everything that the bundle is made of and by. */
function inputsHash(): string {
  const hash = createHash('sha256').update(`${DATE} ${JSON.stringify(ADDON_ARGUMENTS)}`);
  for (const path of [
    'dist',
    'bin',
    'templates',
    'schema',
    'scripts',
    'LICENSE',
    'package.json',
    'package-lock.json',
  ]) {
    addFiles(hash, join(HOME, path));
  }
  return hash.update(productionPackages().join()).digest('hex');
}

function addFiles(hash: ReturnType<typeof createHash>, path: string): void {
  if (statSync(path).isDirectory()) {
    for (const name of readdirSync(path).sort()) addFiles(hash, join(path, name));
    return;
  }
  hash.update(`${path.slice(HOME.length)}\0`).update(readFileSync(path));
}

function manifest() {
  return JSON.parse(readFileSync(join(HOME, 'package.json'), 'utf8'));
}

if (import.meta.main) {
  await script(async () => {
    await makeBundle(scriptHost());
    return 0;
  });
}
