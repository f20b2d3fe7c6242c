/** What is known of the host: room, releases, services, files, what killed runs left. */
import { readdir, stat } from 'node:fs/promises';
import { instanceFolder } from '../../directory/instance.ts';
import { AGENT_KEY } from '../../dogtag/agent.ts';
import { INSTANCE } from '../../dogtag/certificates.ts';
import { caConfiguration } from '../../dogtag/crl.ts';
import { nssDatabase, passwordFile } from '../../dogtag/nssdb.ts';
import { formatVersion } from '../../dogtag/version.ts';
import { isInterruption, sentenceOf } from '../../errors.ts';
import type { DiskFacts, FileFacts, ReleaseFacts, UnitFacts } from '../../health/facts.ts';
import { roomOf } from '../../host/facts.ts';
import { presentPaths } from '../../host/files.ts';
import type { Host } from '../../host/host.ts';
import { isActive, isEnabled, startsAfter } from '../../host/services.ts';
import { accountOf } from '../../host/users.ts';
import { PRIVATE_PARENTS } from '../../secret/private-file.ts';
import { WRITTEN } from '../diagnose.ts';
import { checkCertmongerVersion, checkDirectoryVersion, GROWING } from '../preflight.ts';
import { AGENT_PKCS12, CA_FILE, directoryOf, dogtagOf, JOURNALS, PKI_USER, type Site } from '../site.ts';
import { serverUnits } from '../units.ts';

/** The file systems that a server writes to, each once, by the first folder on it. */
export async function disks(): Promise<DiskFacts[]> {
  const found = new Map<number, DiskFacts>();
  for (const folder of await presentPaths([...GROWING, ...WRITTEN])) {
    const { dev } = await stat(folder);
    if (found.has(dev)) continue;
    found.set(dev, { folder, growing: GROWING.includes(folder), ...(await roomOf(folder)) });
  }
  return [...found.values()];
}

/** The releases of the programs that Capstan drives. */
export async function releases(host: Host, hasCa: boolean): Promise<ReleaseFacts[]> {
  const looks: [program: string, look: () => Promise<string>][] = [
    ...(hasCa ? [['dogtag', async () => formatVersion((await dogtagOf()).version)] as [string, never]] : []),
    ['389-ds', () => checkDirectoryVersion(host)],
    ['certmonger', () => checkCertmongerVersion(host)],
  ];
  return Promise.all(
    looks.map(async ([program, look]) => {
      try {
        return { program, version: await look(), problem: undefined };
      } catch (error) {
        if (isInterruption(error)) throw error;
        return { program, version: undefined, problem: sentenceOf(error) };
      }
    }),
  );
}

/** The services of the server. */
export async function unitStates(host: Host, site: Site, hasCa: boolean): Promise<UnitFacts[]> {
  const units = await serverUnits(site, hasCa);
  return Promise.all(
    units.map(async (one) => {
      const [active, enabled, after] = await Promise.all([
        isActive(host, one.unit),
        isEnabled(host, one.bootUnit),
        one.mustFollow.length > 0 ? startsAfter(host, one.unit) : [],
      ]);
      return { ...one, active, enabled, after };
    }),
  );
}

/** Closed to all but the owner; closed to others; readable for all and writable for the owner. */
const PRIVATE = { forbidden: 0o077, needed: 0 };
const GROUP = { forbidden: 0o007, needed: 0 };
const PUBLIC = { forbidden: 0o022, needed: 0o444 };

/** certmonger's tracking requests, each with a PIN. */
const REQUESTS = '/var/lib/certmonger/requests';

/** The files of a server that hold secrets, or that others need: those that are there. */
export async function fileStates(host: Host, site: Site, hasCa: boolean): Promise<FileFacts[]> {
  const directory = instanceFolder(directoryOf(site));
  const database = nssDatabase(INSTANCE);
  const ofDogtag = [
    passwordFile(INSTANCE),
    caConfiguration(INSTANCE),
    `${database}/key4.db`,
    `${database}/cert9.db`,
  ];
  const ofDirectory = ['pwdfile.txt', 'pin.txt', 'key4.db', 'dse.ldif'].map((name) => `${directory}/${name}`);
  const ofRoot = [...JOURNALS, AGENT_KEY, AGENT_PKCS12, ...(await filesIn(REQUESTS))];
  // The instance's folder belongs to the account that the directory runs as.
  const directoryUser = await ownerOf(host, directory);
  const wanted = [
    ...(hasCa ? ofDogtag.map((path) => ({ path, wantedOwner: PKI_USER, ...GROUP })) : []),
    ...ofDirectory.map((path) => ({ path, wantedOwner: directoryUser, ...GROUP })),
    ...ofRoot.map((path) => ({ path, wantedOwner: 'root', ...PRIVATE })),
    { path: CA_FILE, wantedOwner: 'root', ...PUBLIC },
  ];
  const there = new Set(await presentPaths(wanted.map(({ path }) => path)));
  const names = await ownerNames(host, [PKI_USER, directoryUser]);
  const found = await Promise.all(
    wanted
      .filter(({ path }) => there.has(path))
      .map(async (one) => {
        // certmonger replaces its files whenever it likes.
        const facts = await stat(one.path).catch(() => undefined);
        return (
          facts && { ...one, mode: facts.mode & 0o7777, owner: names.get(facts.uid) ?? String(facts.uid) }
        );
      }),
  );
  return found.filter((one) => one !== undefined);
}

async function filesIn(folder: string): Promise<string[]> {
  return (await readdir(folder).catch(() => [])).map((name) => `${folder}/${name}`);
}

async function ownerNames(host: Host, users: readonly string[]): Promise<Map<number, string>> {
  const accounts = await Promise.all(users.map((user) => accountOf(host, user).catch(() => undefined)));
  const known = accounts.flatMap((account) => (account ? [[account.uid, account.name] as const] : []));
  return new Map([[0, 'root'], ...known]);
}

async function ownerOf(host: Host, path: string): Promise<string> {
  const { stdout } = await host.run('stat', ['--format=%U', path]);
  return stdout.trim();
}

/** What runs that were killed have left: folders in memory, and drafts of files. */
export async function leftBehind(): Promise<string[]> {
  const found: string[] = [];
  for (const parent of PRIVATE_PARENTS) {
    for (const name of await readdir(parent).catch(() => [])) {
      const [, pid] = /^capstan-(\d+)-/.exec(name) ?? [];
      if (pid !== undefined && (await presentPaths([`/proc/${pid}`])).length === 0)
        found.push(`${parent}/${name}`);
    }
  }
  const drafts = [...JOURNALS, CA_FILE, AGENT_KEY, caConfiguration(INSTANCE), passwordFile(INSTANCE)];
  return [...found, ...(await presentPaths(drafts.flatMap((path) => [`${path}.new`, `${path}.first`])))];
}
