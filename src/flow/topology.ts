/** How the servers of the cluster feed each other: asked of all of them at the same time. */
import { readFile } from 'node:fs/promises';
import { agreementsOf, receiversOnDisk } from '../directory/agreement.ts';
import { type Directory, withLocalDirectory } from '../directory/client.ts';
import { type ServerIdentity, serverIdentity } from '../directory/identity.ts';
import { type RoleEntry, recordedServers, type ServerEntry } from '../directory/masters.ts';
import { withRemoteDirectory } from '../directory/remote.ts';
import { replicasOf } from '../directory/ruv.ts';
import { CA_SUFFIX } from '../dogtag/deployment.ts';
import { failure, isInterruption, sentenceOf } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { pause, within } from '../host/wait.ts';
import { type FeedLook, feedsOf, type Looks, linksOf, partsOf, type ReplicationLook } from './feeds.ts';
import { CA_FILE, directoryOf, installedServer, type Site } from './site.ts';

/** What the server on this host needs to ask the others. */
export interface Cluster {
  site: Site;
  /** The domain's suffix. */
  suffix: string;
  /** The CA certificate, PEM. */
  caCertificate: string;
  identity: ServerIdentity;
  /** The servers that are recorded, by name. */
  servers: ServerEntry[];
}

/** Who asks, and what is trusted. */
type Access = Pick<Cluster, 'caCertificate' | 'identity'>;

/**
 * The cluster of the server on this host, as its directory has it recorded. When that is down, a server that it feeds is
 * asked; when none of these answers either, they and this server are all that is known.
 * @throws CapstanError `not-root`, `not-installed`, `servers-unknown`, `command-failed`, `interrupted`
 */
export async function clusterOf(host: Host): Promise<Cluster> {
  const { site } = await installedServer();
  const instance = directoryOf(site);
  const [identity, caCertificate] = await Promise.all([
    serverIdentity(host, instance),
    readFile(CA_FILE, 'utf8'),
  ]);
  const access = { identity, caCertificate };
  const servers = await knownServers(host, site, access);
  if (servers.length > 0) return { site, suffix: instance.suffix, ...access, servers };
  throw failure(
    'servers-unknown',
    `The directory of ${site.domain} has no servers recorded.`,
    'It was made by a Capstan that knew of no replicas; install the server again with this one.',
  );
}

async function knownServers(host: Host, site: Site, access: Access): Promise<ServerEntry[]> {
  const instance = directoryOf(site);
  const read = (directory: Directory) => recordedServers(directory, instance.suffix);
  const servers = await unlessUnreachable(withLocalDirectory(host, instance, read));
  if (servers) return servers;
  const neighbours = await receiversOnDisk(instance);
  for (const neighbour of neighbours) {
    const told = await unlessUnreachable(
      askOne(host, neighbour, (bounded) => atServer(bounded, access, neighbour, read)),
    );
    if (told?.length) return told;
  }
  return [site.hostname, ...neighbours].map((hostname) => ({ hostname, roles: [] }));
}

/** What was asked; undefined where nobody answered. */
async function unlessUnreachable<T>(asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked;
  } catch (error) {
    if (isInterruption(error)) throw error;
    return undefined;
  }
}

/**
 * Works with the directory of one server of the cluster, as the server on this host.
 * @throws CapstanError `directory-unreachable`, `directory-untrusted`, `directory-credentials-refused`, ...
 */
export function atServer<T>(
  host: Host,
  { caCertificate, identity }: Access,
  hostname: string,
  use: (directory: Directory) => Promise<T>,
): Promise<T> {
  return withRemoteDirectory(host, { hostname, caCertificate, as: identity }, use);
}

/**
 * Does something that asks one server, within the deadline `cluster` for all of it; what still runs then is ended.
 * @throws CapstanError `deadline-passed`, `interrupted`, and whatever the work throws
 */
export function askOne<T>(host: Host, hostname: string, work: (host: Host) => Promise<T>): Promise<T> {
  return within(host, 'cluster', `all that ${hostname} is asked`, (over) =>
    work(host.under(AbortSignal.any([host.signal, over]))),
  );
}

/** A server, and whether it told about its replication. */
export interface ServerLook {
  hostname: string;
  roles: RoleEntry[];
  /** Its replica id for the domain's suffix. */
  replicaId: number | undefined;
  /** Why it did not answer, for a person; undefined where it did. */
  problem: string | undefined;
}

/** How the servers feed each other. */
export interface Topology {
  servers: ServerLook[];
  feeds: FeedLook[];
  /** For each suffix the groups of servers that are connected with each other: one, when all is well. */
  parts: { suffix: string; parts: string[][] }[];
}

/** Milliseconds that changes get to arrive before they count as a lag. */
const SETTLING = 2000;

/** Asks all servers at the same time; where one seems to be behind another, they are asked again a moment later. */
export async function readTopology(host: Host, cluster: Cluster): Promise<Topology> {
  const first = await askAll(host, cluster, cluster.servers);
  const answered = cluster.servers.filter(({ hostname }) => first.looks.has(hostname));
  const time = () => Date.now() / 1000;
  const feeds = feedsOf(first.looks, first.looks, time());
  if (feeds.every(({ lag }) => !lag?.length)) return topologyOf(cluster, first, feeds);
  await pause(host, SETTLING, 'changes to arrive');
  const second = await askAll(host, cluster, answered);
  const looks = new Map([...first.looks, ...second.looks]);
  return topologyOf(cluster, { ...first, looks }, feedsOf(first.looks, looks, time()));
}

interface Answers {
  looks: Looks;
  problems: ReadonlyMap<string, string>;
}

async function askAll(host: Host, cluster: Cluster, servers: readonly ServerEntry[]): Promise<Answers> {
  const looks = new Map<string, ReplicationLook>();
  const problems = new Map<string, string>();
  await Promise.all(
    servers.map(async ({ hostname }) => {
      try {
        looks.set(hostname, await askOne(host, hostname, (bounded) => look(bounded, cluster, hostname)));
      } catch (error) {
        if (host.signal.aborted) throw error;
        problems.set(hostname, sentenceOf(error));
      }
    }),
  );
  return { looks, problems };
}

function look(host: Host, cluster: Cluster, hostname: string): Promise<ReplicationLook> {
  return atServer(host, cluster, hostname, async (directory) => ({
    replicas: await replicasOf(directory),
    agreements: await agreementsOf(directory),
  }));
}

function topologyOf(cluster: Cluster, { looks, problems }: Answers, feeds: FeedLook[]): Topology {
  const servers = cluster.servers.map(({ hostname, roles }) => ({
    ...{ hostname, roles, problem: problems.get(hostname) },
    replicaId: looks.get(hostname)?.replicas.find(({ suffix }) => suffix === cluster.suffix)?.id,
  }));
  const parts = suffixesOf(cluster).map((suffix) => ({
    suffix,
    parts: partsOf(suppliersOf(cluster, suffix), linksOf(feeds, suffix)),
  }));
  return { servers, feeds, parts };
}

/** The suffixes of the cluster. */
export function suffixesOf({ suffix }: Cluster): string[] {
  return [suffix, CA_SUFFIX];
}

/** The servers that have a suffix: Dogtag's is on those with a CA. */
export function suppliersOf(cluster: Cluster, suffix: string): string[] {
  return cluster.servers
    .filter(({ roles }) => suffix === cluster.suffix || roles.some(({ name }) => name === 'CA'))
    .map(({ hostname }) => hostname);
}

/** Whether every server answers, every feed is well, and all servers are connected. */
export function isWell({ servers, feeds, parts }: Topology): boolean {
  return (
    servers.every(({ problem }) => problem === undefined) &&
    feeds.every(({ well }) => well) &&
    parts.every((one) => one.parts.length <= 1)
  );
}
