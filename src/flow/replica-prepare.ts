/** Lets a host join the cluster without the Directory Manager's password: from a server that is part of it. */
import { randomInt, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { type Directory, withLocalDirectory } from '../directory/client.ts';
import { recordedServers } from '../directory/masters.ts';
import { CA_SUFFIX } from '../dogtag/deployment.ts';
import { refusal } from '../errors.ts';
import { addressesOf, ownAddresses } from '../host/facts.ts';
import type { Host } from '../host/host.ts';
import { isUnfinished } from '../plan/journal.ts';
import { Secret } from '../secret/secret.ts';
import { joinExpiry, prepareJoin, undoJoin } from './join.ts';
import { wayTo } from './preflight-replica.ts';
import { CA_FILE, directoryOf, installedServer, type Site } from './site.ts';
import { fingerprintOf } from './trust.ts';

/** A host that may join now. */
export interface Preparation {
  /** Who may join. */
  hostname: string;
  /** The server that it joins: this one. */
  server: string;
  /** Of the CA certificate; see {@link fingerprintOf}. */
  fingerprint: string;
  secret: Secret;
  /** When the secret ends. */
  expires: Date;
  address: string;
  /**
   * What came back when LDAPS of that host was tried: `refused` proves the way to a host without a server yet, `open`
   * says that something listens there, `silent` and other codes of the system say that the way may be closed.
   */
  way: string;
}

/** LDAPS, at which this server will reach the one that joins. */
const LDAPS = 636;

/**
 * Draws a join secret for a host: it is looked up, tried, and entered into the directory. Of several secrets for one
 * host the last one is good. A server whose joining stopped in the middle may get another one, to go on with.
 * @param lifetime seconds
 * @throws CapstanError `not-root`, `not-installed`, `server-unfinished`, `server-without-ca`, `server-exists`,
 *   `hostname-unresolvable`, `hostname-here`, `resolver-failed`, `directory-unreachable`, `directory-refused`
 */
export async function prepareReplica(host: Host, hostname: string, lifetime: number): Promise<Preparation> {
  const { journal, site } = await installedServer();
  if (isUnfinished(journal)) throw unfinished();
  const address = await addressOf(host, site, hostname);
  const instance = directoryOf(site);
  const { suffix } = instance;
  const secret = drawnSecret();
  const { way, expires } = await withLocalDirectory(host, instance, async (directory) => {
    await requireCa(directory, site);
    await requireJoiner(directory, suffix, hostname);
    const answer = (await wayTo(host, address, LDAPS)) ?? 'open';
    const request = { suffix, subjectBase: site.subjectBase, hostname, secret, lifetime };
    return {
      way: answer === 'ECONNREFUSED' ? 'refused' : answer,
      expires: await prepareJoin(directory, request),
    };
  });
  const fingerprint = fingerprintOf(new X509Certificate(await readFile(CA_FILE)));
  host.log.write(`a join secret for ${hostname} until ${expires.toISOString()}`);
  return { hostname, server: site.hostname, fingerprint, secret, expires, address, way };
}

/**
 * Takes back that a host may join: its secret is dead and its identity forgotten. That it may not is no error.
 * @returns whether it had a secret, good or over
 * @throws CapstanError `not-root`, `not-installed`, `server-unfinished`, `server-exists`, `directory-unreachable`,
 *   `directory-refused`
 */
export async function revokeReplica(host: Host, hostname: string): Promise<boolean> {
  const { journal, site } = await installedServer();
  if (isUnfinished(journal)) throw unfinished();
  const instance = directoryOf(site);
  const { suffix } = instance;
  return withLocalDirectory(host, instance, async (directory) => {
    await requireStranger(directory, suffix, hostname);
    const had = (await joinExpiry(directory, hostname)) !== undefined;
    await undoJoin(directory, { suffix, hostname });
    return had;
  });
}

/** Letters and digits that are not taken for each other when somebody reads them out or types them. */
const LETTERS = 'abcdefghijkmnpqrstuvwxyz23456789';
const GROUPS = 6;
const GROUP = 5;

/** A secret of 150 bits that can be typed: six groups of five letters and digits. */
export function drawnSecret(): Secret {
  const group = () => Array.from({ length: GROUP }, () => LETTERS.charAt(randomInt(LETTERS.length))).join('');
  return new Secret(Array.from({ length: GROUPS }, group).join('-'), 'join secret');
}

async function addressOf(host: Host, site: Site, hostname: string): Promise<string> {
  if (hostname === site.hostname) throw isServer(hostname);
  const addresses = await addressesOf(host, hostname);
  const [address] = addresses;
  if (!address) {
    throw refusal(
      'hostname-unresolvable',
      `The name ${hostname} does not resolve on ${site.hostname}, which must reach it to replicate.`,
      'Add it to the DNS or to /etc/hosts of every server of the cluster.',
    );
  }
  const own = addresses.find((one) => ownAddresses().includes(one) || one.startsWith('127.'));
  if (own === undefined) return address;
  throw refusal(
    'hostname-here',
    `The name ${hostname} resolves to ${own}, which is an address of this server itself.`,
    'Correct the DNS or /etc/hosts: the new server needs a name and an address of its own.',
  );
}

async function requireCa(directory: Directory, { hostname }: Site): Promise<void> {
  const root = await directory.entry('', ['namingContexts']);
  if (root?.values('namingContexts').includes(CA_SUFFIX)) return;
  throw refusal(
    'server-without-ca',
    `This server, ${hostname}, has no CA; a host joins a server that has one.`,
    'Run the command on a server with a CA, or give this one a CA with "capstan ca-add".',
  );
}

/** The user that a host joins as is there until it has joined, while the host may be recorded as a server already. */
async function requireJoiner(directory: Directory, suffix: string, hostname: string): Promise<void> {
  if ((await joinExpiry(directory, hostname)) === undefined)
    await requireStranger(directory, suffix, hostname);
}

async function requireStranger(directory: Directory, suffix: string, hostname: string): Promise<void> {
  const servers = await recordedServers(directory, suffix);
  if (servers.some((server) => server.hostname.toLowerCase() === hostname)) throw isServer(hostname);
}

function isServer(hostname: string) {
  return refusal(
    'server-exists',
    `${hostname} is a server of the cluster already.`,
    'Prepare a host that is none yet. If that one is gone for good, "capstan topology forget" has the cluster forget it.',
  );
}

function unfinished() {
  return refusal(
    'server-unfinished',
    'The installation of this server did not come to its end, or is being removed.',
    '"capstan status" tells how far it came.',
  );
}
