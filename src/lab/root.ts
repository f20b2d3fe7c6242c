import { createHash } from 'node:crypto';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { CapstanError, refusal } from '../errors.ts';
import { pathExists } from '../host/files.ts';
import type { Host } from '../host/host.ts';
import { cachedFolder } from './cache.ts';
import { machineMirror } from './mirror.ts';
import { ARCHIVE_KEYRING, CACHE_FOLDER, MIRROR_OVERRIDE, type RootRecipe } from './settings.ts';

/** Seconds that a build may take; most of it is the download. */
const BUILD_DEADLINE = 1800;

/**
 * How mmdebstrap is called, whatever the packages. The manual page folders must exist though pages are left out:
 * openjdk's postinst makes links in them (Debian bug 863199).
 */
const OPTIONS = [
  '--variant=minbase',
  '--mode=root',
  '--aptopt=Acquire::Check-Valid-Until "false"',
  '--aptopt=APT::Install-Recommends "false"',
  '--setup-hook=mkdir -p "$1"/usr/share/man/man1 "$1"/usr/share/man/man8',
  '--dpkgopt=path-exclude=/usr/share/man/man*/*',
  '--dpkgopt=path-exclude=/usr/share/locale/*',
  '--dpkgopt=path-exclude=/usr/share/doc/*',
  '--dpkgopt=path-include=/usr/share/doc/*/copyright',
];

/**
 * Arguments of setpriv(1) for a program in mount and process namespaces of its own. When this process ends, however
 * it ends, the program and all its children end; what they mounted is gone with them.
 */
export const OWN_NAMESPACES: readonly string[] = [
  ...['--pdeathsig', 'KILL', 'unshare', '--mount', '--propagation', 'private'],
  ...['--pid', '--fork', '--kill-child', '--mount-proc'],
];

/** The cache key of a recipe: the same packages from the same suite, made the same way. */
export function rootKey(recipe: RootRecipe): string {
  const facts = JSON.stringify([recipe.suite, recipe.updates, [...recipe.packages].sort(), OPTIONS]);
  return createHash('sha256').update(facts).digest('hex').slice(0, 16);
}

/** Where the root of a recipe is, or will be. A folder of this name is always whole. */
export function rootPath(recipe: RootRecipe): string {
  return join(CACHE_FOLDER, 'roots', `${recipe.name}-${recipe.suite}-${rootKey(recipe)}`);
}

/**
 * The path of a complete root file system of the recipe, from the cache or built now with mmdebstrap.
 * It is shared: use it as a lower layer, never write to it.
 * @param onLine told what the build is doing
 * @throws CapstanError `mirror-unknown`, `mirror-unreachable`, `keyring-missing`, `command-failed`
 */
export async function rootFilesystem(
  host: Host,
  recipe: RootRecipe,
  onLine: (line: string) => void = () => {},
): Promise<string> {
  return cachedFolder(host, {
    path: rootPath(recipe),
    make: (unfinished) => build(host, recipe, unfinished, onLine),
    onWait: () => onLine(`waiting for another process that builds the ${recipe.name} image`),
  });
}

async function build(host: Host, recipe: RootRecipe, folder: string, onLine: (line: string) => void) {
  const mirror = MIRROR_OVERRIDE ?? (await machineMirror());
  await requireArchive(host, mirror, recipe.suite);
  onLine(`building the ${recipe.name} image (${recipe.suite}) from ${mirror}`);
  const sources = [recipe.suite, ...recipe.updates].map(
    (suite) => `deb [signed-by=${ARCHIVE_KEYRING}] ${mirror} ${suite} main`,
  );
  const include = recipe.packages.length > 0 ? [`--include=${recipe.packages.join(',')}`] : [];
  const args = [...OPTIONS, ...include, recipe.suite, folder, ...sources];
  await host.run('setpriv', [...OWN_NAMESPACES, 'mmdebstrap', ...args], {
    deadline: BUILD_DEADLINE,
    onLine,
    env: await aptProxies(host),
  });
}

/** Refuses early, and clearly, what mmdebstrap would report after many lines. */
async function requireArchive(host: Host, mirror: string, suite: string): Promise<void> {
  if (!(await pathExists(ARCHIVE_KEYRING))) {
    throw refusal(
      'keyring-missing',
      `The key that signs the Debian archive is not here: ${ARCHIVE_KEYRING}`,
      'Install the package debian-archive-keyring.',
    );
  }
  const address = `${mirror}/dists/${suite}/InRelease`;
  const folder = join(CACHE_FOLDER, 'roots');
  const target = join(folder, `.InRelease-${process.pid}`);
  try {
    // apt's own downloader: it goes through the proxies and with the credentials that apt has.
    await host.run('/usr/lib/apt/apt-helper', ['download-file', address, target], { deadline: 60 });
  } catch (error) {
    const unanswered = ['command-failed', 'command-deadline'];
    if (!(error instanceof CapstanError && unanswered.includes(error.code))) throw error;
    throw refusal(
      'mirror-unreachable',
      `The Debian mirror does not have ${suite}, or does not answer: ${address} cannot be fetched.`,
      'Check the network and the apt sources of this machine, or name a mirror in CAPSTAN_LAB_MIRROR; ' +
        'the archive of Debian has the releases that mirrors dropped.',
      error,
    );
  } finally {
    const names = (await readdir(folder)).filter((name) => name.startsWith(`.InRelease-${process.pid}`));
    for (const name of names) await rm(join(folder, name), { force: true });
  }
}

/** The proxies that the machine's apt uses, for the apt that mmdebstrap runs (it does not read apt.conf). */
async function aptProxies(host: Host): Promise<Record<string, string>> {
  const names = ['http_proxy', 'Acquire::http::Proxy', 'https_proxy', 'Acquire::https::Proxy'];
  const { stdout } = await host.run('apt-config', ['shell', ...names]);
  const found = [...stdout.matchAll(/^(https?_proxy)='(.+)'$/gm)].map(([, name, value]) => [name, value]);
  return Object.fromEntries(found);
}
