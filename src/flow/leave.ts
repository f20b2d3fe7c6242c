/** How a server leaves the cluster: what stands against it, and how its peers come to keep nothing of it. */
import { agreementsOf } from '../directory/agreement.ts';
import { withLocalDirectory } from '../directory/client.ts';
import { recordedServers, removeServer, type ServerEntry, serversWith } from '../directory/masters.ts';
import { CA_SUFFIX } from '../dogtag/deployment.ts';
import { type CapstanError, isInterruption, PreflightError, refusal, sentenceOf } from '../errors.ts';
import type { Host } from '../host/host.ts';
import type { Check } from '../plan/step.ts';
import { removeCaTraces, removeKraTraces } from './ca-users.ts';
import { disconnectRecorded } from './connectors.ts';
import { cutOff, unlessDown } from './cut-off.ts';
import { type Link, linksOf, partsOf } from './feeds.ts';
import { peersOf } from './peers.ts';
import { caOf } from './roles.ts';
import { directoryOf, type Site } from './site.ts';
import { clusterOf, readTopology, suffixesOf, suppliersOf } from './topology.ts';

/**
 * What stands against taking a server out of the cluster, as refusals; nothing where it is alone, for then nobody is
 * left who could miss anything. Codes: `last-ca`, `renewal-master`, `crl-generator`, `last-kra`.
 * @param leaving its host name
 * @param servers all that are recorded, {@link recordedServers}
 */
export function objectionsTo(leaving: string, servers: readonly ServerEntry[]): CapstanError[] {
  const isLeaving = ({ hostname }: ServerEntry) => hostname.toLowerCase() === leaving.toLowerCase();
  const others = servers.filter((server) => !isLeaving(server));
  const ca = caOf(servers.find(isLeaving));
  if (!ca || others.length === 0) return [];
  const heir = others.find((server) => caOf(server)?.enabled)?.hostname;
  const isLastKra = serversWith(servers, 'KRA').length > 0 && serversWith(others, 'KRA').length === 0;
  if (heir === undefined) return [lastCa(leaving, others), ...(isLastKra ? [lastKra(leaving, others)] : [])];
  return [
    ...(isLastKra ? [lastKra(leaving, others)] : []),
    ...(ca.renewalMaster ? [heldRole(leaving, 'renewal-master', heir)] : []),
    ...(ca.crlGenerator ? [heldRole(leaving, 'crl-generator', heir)] : []),
  ];
}

function lastKra(leaving: string, others: readonly ServerEntry[]): CapstanError {
  const names = others.map(({ hostname }) => hostname).join(', ');
  return refusal(
    'last-kra',
    `${leaving} has the last KRA of the cluster; without it, nobody recovers what is archived.`,
    `Give another server one first, with "capstan kra-add" there (${names}). With --force, the archive stays in the directory, and its keys on the token.`,
  );
}

function lastCa(leaving: string, others: readonly ServerEntry[]): CapstanError {
  const names = others.map(({ hostname }) => hostname).join(', ');
  return refusal(
    'last-ca',
    `${leaving} has the last certificate authority of the cluster; without it, nobody issues or revokes anything for ${names}.`,
    `Give another server one first, with "capstan ca-add" there. Or say --force: the keys stay on the token, the certificates and requests are lost.`,
  );
}

/** What a server does for all, in words. */
const DUTIES = {
  'renewal-master': {
    role: 'renewal-master',
    what: 'renews the certificates that all servers share',
    loss: 'nobody renews them any more',
  },
  'crl-generator': { role: 'crl', what: 'generates the CRLs', loss: 'the last CRL runs out' },
} as const;

function heldRole(leaving: string, code: keyof typeof DUTIES, heir: string): CapstanError {
  const { role, what, loss } = DUTIES[code];
  return refusal(
    code,
    `${leaving} ${what}.`,
    `Hand that over first, with "capstan role move ${role} ${heir}". With --force, ${loss} until another server is told to.`,
  );
}

/** How the servers with a suffix are connected. */
export interface Connections {
  suffix: string;
  servers: readonly string[];
  links: readonly Link[];
}

/**
 * What stands against it because others hear of each other through the server that leaves; code `topology-cut`. What is
 * in parts already is not counted.
 */
export function cutsBy(leaving: string, connections: readonly Connections[]): CapstanError[] {
  return connections.flatMap(({ suffix, servers, links }) => {
    const stays = (name: string) => name.toLowerCase() !== leaving.toLowerCase();
    const after = partsOf(
      servers.filter(stays),
      links.filter((link) => link.every(stays)),
    );
    if (after.length <= partsOf(servers, links).length) return [];
    const [one = [], other = []] = after;
    return [
      refusal(
        'topology-cut',
        `Without ${leaving}, ${suffix} would be in ${after.length} parts that hear nothing of each other: ${after.map((part) => part.join(', ')).join(' | ')}.`,
        `Connect them first, with "capstan topology add ${one[0]} ${other[0]}".`,
      ),
    ];
  });
}

/**
 * Looks whether the server on this host may leave. With a directory that is down there is nobody to ask, and nothing is
 * refused: a server that is broken must be removable.
 */
export function leavingCheck(host: Host, site: Site): Check {
  const { name, suffix } = directoryOf(site);
  return {
    id: 'leaving',
    title: `No other server needs ${site.hostname}`,
    async run() {
      const servers = await withLocalDirectory(host, { name }, (directory) =>
        recordedServers(directory, suffix),
      ).catch(unlessDown);
      if (!servers) return 'its directory does not answer, so that nothing is known of others';
      const others = servers.filter(({ hostname }) => hostname !== site.hostname).length;
      if (others === 0) return 'it is the only one';
      const cuts = others > 1 ? cutsBy(site.hostname, await connectionsOf(host)) : [];
      const objections = [...objectionsTo(site.hostname, servers), ...cuts];
      if (objections.length > 0) throw new PreflightError(objections);
      return `${others} stay`;
    },
  };
}

/** How the servers are connected, as far as they answer; nothing where this one cannot ask them any more. */
async function connectionsOf(host: Host): Promise<Connections[]> {
  try {
    const cluster = await clusterOf(host);
    const { feeds } = await readTopology(host, cluster);
    return suffixesOf(cluster).map((suffix) => ({
      suffix,
      servers: suppliersOf(cluster, suffix),
      links: linksOf(feeds, suffix),
    }));
  } catch (error) {
    if (isInterruption(error)) throw error;
    host.log.write(`how the servers are connected could not be found out: ${sentenceOf(error)}`);
    return [];
  }
}

/** How a server leaves. */
export interface Leaving {
  /** Whether it goes on although a peer could not be told. */
  force: boolean;
  line(text: string): void;
}

/**
 * Takes the server on this host out of the cluster, whether it is the first or joined another one: its record and
 * roles, its membership of the security domain, its agreements and accounts on all peers, its replica id, its identity.
 * Its own data stay, and so does what it does for itself. Safe to call twice; where there are no peers, nothing is done.
 * @throws CapstanError `peers-not-cleaned` after the rest is done; not with `force`
 */
export async function leaveCluster(host: Host, site: Site, { force, line }: Leaving): Promise<void> {
  const { name, suffix } = directoryOf(site);
  const feeds = await withLocalDirectory(host, { name }, agreementsOf).catch(unlessDown);
  if (!feeds || feeds.length === 0) return;
  // While its agent is known: the CAs of the others send no more keys here.
  const untold = await disconnectRecorded(host, site).catch((error: unknown) => {
    if (isInterruption(error)) throw error;
    return [sentenceOf(error)];
  });
  for (const one of untold) line(`Its KRA was not taken out of the connector of ${one}`);
  const others = await withLocalDirectory(host, { name }, async (directory) => {
    const servers = await recordedServers(directory, suffix);
    if (feeds.some((feed) => feed.suffix === CA_SUFFIX)) {
      await removeKraTraces(directory, site.hostname);
      await removeCaTraces(directory, site.hostname);
    }
    await removeServer(directory, suffix, site.hostname);
    return servers.filter(({ hostname }) => hostname !== site.hostname);
  });
  const peers = peersOf(host, site);
  for (const one of [CA_SUFFIX, suffix]) {
    const supplier = feeds.find((feed) => feed.suffix === one)?.receiver;
    if (supplier === undefined) continue;
    const sharing = one === suffix ? others : others.filter(caOf);
    // A server that is alone with its data from then on supplies nobody.
    const unmakeAt = sharing.length === 1 ? supplier : undefined;
    const cut = { suffix: one, forget: one === suffix, unmakeAt };
    await cutOff(host, { ...site, supplier }, peers, cut, line).catch((error: unknown) => {
      if (!force || isInterruption(error)) throw error;
      line(sentenceOf(error));
    });
  }
}
