import { type FileHandle, unlink } from 'node:fs/promises';
import { hostname } from 'node:os';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { failure } from '../errors.ts';
import { type Exhibit, gatherer } from '../host/evidence.ts';
import type { Host } from '../host/host.ts';
import { createNewFile } from '../host/new-file.ts';
import { type TarFile, tarBlocks } from '../host/tar.ts';
import type { Listener } from '../plan/step.ts';
import { version } from '../version.ts';
import { type Report, requireRoot } from './site.ts';
import { supportAreas } from './support/areas.ts';
import { withKnownSecretsHidden } from './support/secrets.ts';

/** How a support bundle is made. */
export interface BundleOptions {
  /** The archive to write, an absolute path; a new file in /root, named by host and time, unless told. */
  file?: string | undefined;
  listen: Listener;
}

const FOLDER = '/root';

/**
 * Gathers what helps to find a fault on this host, however broken it is, into one archive that nobody but its owner may
 * read and that holds no secret that was found on this host. Nothing else is changed.
 * @throws CapstanError `not-root`, `output-file-exists`, `output-file-unusable`, `support-bundle-not-written`,
 *   `interrupted`
 */
export async function supportBundle(host: Host, { file, listen }: BundleOptions): Promise<Report> {
  requireRoot('Only root can read the logs of this host.');
  const made = new Date();
  const name = `capstan-support-${hostname().replace(/[^\w.-]/g, '_')}-${stamp(made)}`;
  const path = file ?? `${FOLDER}/${name}.tar.gz`;
  // Before anything is gathered: who named an unusable file should not wait for that.
  const output = await createNewFile(path, 'support bundle');
  try {
    const exhibits = await withKnownSecretsHidden(() => exhibitsOf(host, listen));
    const size = await writeArchive(output, path, archiveOf(name, made, exhibits));
    return reportOf(path, size, exhibits);
  } catch (error) {
    await unlink(path).catch(() => {});
    throw error;
  } finally {
    await output.close();
  }
}

/** All areas at once, because what hangs must not hang one after the other; told of one by one, in their order. */
async function exhibitsOf(host: Host, listen: Listener): Promise<Exhibit[]> {
  const areas = await supportAreas();
  listen({ type: 'plan', steps: areas.map(({ id, title }) => ({ id, title })) });
  const gather = gatherer(host);
  const gathered = areas.map(async ({ evidence }) => gather(await evidence()));
  // An interruption ends all of them, and is told once.
  for (const one of gathered) one.catch(() => {});
  const all: Exhibit[] = [];
  for (const [index, { id, title }] of areas.entries()) {
    const begun = performance.now();
    listen({ type: 'step-started', id, title });
    all.push(...((await gathered[index]) ?? []));
    const seconds = Math.round(performance.now() - begun) / 1000;
    listen({ type: 'step-finished', id, title, seconds, changed: true });
  }
  return all;
}

function* archiveOf(name: string, made: Date, exhibits: readonly Exhibit[]): Generator<TarFile> {
  const manifest = Buffer.from(`${JSON.stringify(manifestOf(made, exhibits), undefined, 2)}\n`);
  yield { path: `${name}/manifest.json`, content: manifest, modified: made };
  for (const { member, content, modified } of exhibits) {
    if (content) yield { path: `${name}/${member}`, content, modified: modified ?? made };
  }
}

/** What the bundle says of itself: for each member what it is, or why it could not be had. */
function manifestOf(made: Date, exhibits: readonly Exhibit[]): object {
  return {
    what: 'Facts about a host with a certificate authority, for those who look for a fault.',
    secrets:
      'Every password and PIN that the programs of this host keep in files, private keys, password hashes and what looks like a credential stand as [secret]. Names, addresses, subjects of certificates and what was done with them are here: look before you hand this on.',
    made: made.toISOString(),
    host: hostname(),
    capstan: version(),
    node: process.version,
    members: exhibits.map(({ content, modified, ...facts }) => ({
      ...facts,
      ...(content && { bytes: content.length }),
      ...(modified && { modified: modified.toISOString() }),
    })),
  };
}

/** @returns the bytes of the archive */
async function writeArchive(output: FileHandle, path: string, files: Iterable<TarFile>): Promise<number> {
  const archive = await promisify(gzip)(Buffer.concat([...tarBlocks(files)]));
  try {
    await output.writeFile(archive);
    await output.sync();
    return archive.length;
  } catch (error) {
    throw failure(
      'support-bundle-not-written',
      `The support bundle could not be written to ${path}: ${(error as Error).message}`,
      'Name a file where there is room, with --output-file.',
      error,
    );
  }
}

function reportOf(path: string, size: number, exhibits: readonly Exhibit[]): Report {
  const missing = exhibits.filter(({ content }) => !content).length;
  return {
    title: `The support bundle is ${path}.`,
    facts: [
      { name: 'Size', value: `${(size / 1024).toFixed(0)} KiB` },
      {
        name: 'Members',
        value: `${exhibits.length - missing}; ${missing} more could not be had, manifest.json says why`,
      },
    ],
    next: [
      `Look at what is in it before you hand it on: tar -tzf ${path}`,
      'Passwords, PINs and private keys are hidden; names, addresses and subjects of certificates are not.',
    ],
  };
}

/** `20261122T062230Z` */
function stamp(time: Date): string {
  return time.toISOString().replace(/[-:]|\.\d+/g, '');
}
