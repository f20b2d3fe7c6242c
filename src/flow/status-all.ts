/** How all servers of the cluster are: what `capstan status --all` asks. */
import { checkSignature, checkStatus } from '../dogtag/health.ts';
import { sentenceOf } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { dogtagOf } from './site.ts';
import type { Finding } from './status.ts';
import {
  askOne,
  type Cluster,
  clusterOf,
  isWell,
  readTopology,
  type ServerLook,
  type Topology,
} from './topology.ts';

/** How one server is, as another one sees it. */
export interface ServerStatus extends ServerLook {
  well: boolean;
  findings: Finding[];
}

/** How the cluster is, as one of its servers sees it. */
export interface ClusterStatus extends Topology {
  /** The server that asked. */
  hostname: string;
  realm: string;
  well: boolean;
  servers: ServerStatus[];
  /** What to do about what is unwell, as instructions to a person. */
  next: string[];
}

/**
 * Asks every server at the same time how it is: its directory and its agreements over LDAPS, its CA for a signature.
 * Nothing is changed. However many are silent, it takes the deadline `cluster` and a few seconds.
 * @throws CapstanError `not-root`, `not-installed`, `servers-unknown`, `command-failed`, `interrupted`
 */
export async function clusterStatus(host: Host): Promise<ClusterStatus> {
  const cluster = await clusterOf(host);
  const [topology, authorities] = await Promise.all([
    readTopology(host, cluster),
    Promise.all(cluster.servers.map((server) => authority(host, cluster, server))),
  ]);
  const servers = topology.servers.map((server, index) => {
    const findings = [directory(server), ...(authorities[index] ?? [])];
    return { ...server, findings, well: findings.every(({ well }) => well) };
  });
  const well = isWell(topology) && servers.every((server) => server.well);
  const { hostname, realm } = cluster.site;
  return { ...topology, hostname, realm, well, servers, next: nextSteps(servers, topology) };
}

function directory({ problem, replicaId }: ServerLook): Finding {
  const detail = problem ?? (replicaId === undefined ? 'answers' : `answers, replica ${replicaId}`);
  return { area: 'directory', name: 'LDAPS', well: problem === undefined, detail };
}

/** What a server with a CA says when it is asked for its state and for a signature, and its KRA for its state. */
async function authority(
  host: Host,
  { caCertificate }: Cluster,
  { hostname, roles }: Cluster['servers'][number],
): Promise<Finding[]> {
  const has = (role: 'CA' | 'KRA') => roles.some(({ name, enabled }) => name === role && enabled);
  if (!has('CA')) return [];
  // A server without a CA has no Dogtag to tell how the others speak; those of a cluster are of one release.
  const profile = await dogtagOf().catch(() => ({ statusFormat: 'xml' }) as const);
  const looks: Look[] = [
    ['CA status', (bounded) => checkStatus(bounded, hostname, profile)],
    ['CA signature', (bounded) => checkSignature(bounded, hostname, caCertificate)],
    ...(has('KRA')
      ? [['KRA status', (bounded: Host) => checkStatus(bounded, hostname, profile, 'KRA')] as Look]
      : []),
  ];
  const findings: Finding[] = [];
  try {
    await askOne(host, hostname, async (bounded) => {
      for (const [name, look] of looks) {
        findings.push({ area: areaOf(name), name, well: true, detail: await look(bounded) });
      }
    });
  } catch (error) {
    if (host.signal.aborted) throw error;
    const name = looks[findings.length]?.[0] ?? 'CA';
    findings.push({ area: areaOf(name), name, well: false, detail: sentenceOf(error) });
  }
  return findings;
}

/** What is asked of a server, by name. */
type Look = [name: string, look: (host: Host) => Promise<string>];

function areaOf(name: string): Finding['area'] {
  return name.startsWith('KRA') ? 'kra' : 'ca';
}

function nextSteps(servers: readonly ServerStatus[], { feeds, parts }: Topology): string[] {
  const unwell = servers.filter((server) => !server.well).map(({ hostname }) => hostname);
  const silent = servers.filter(({ problem }) => problem !== undefined).map(({ hostname }) => hostname);
  const troubled = feeds.filter(
    ({ sender, receiver, well }) => !well && ![sender, receiver].some((name) => unwell.includes(name)),
  );
  const states = troubled.map(({ state }) => state);
  const standing = troubled.filter(({ state }) => state === 'behind');
  return [
    ...unwell.map((hostname) => `Run "capstan status" on ${hostname}.`),
    ...(silent.length > 0
      ? [`A server that is gone for good is forgotten with "capstan topology forget": ${silent.join(', ')}?`]
      : []),
    ...(states.includes('uninitialised')
      ? ['Install a server with other data again: "capstan uninstall" and "capstan replica-install" there.']
      : []),
    ...new Set(
      standing.map(
        ({ sender, receiver }) =>
          `Make a feed that stands still anew: capstan topology add ${sender} ${receiver}`,
      ),
    ),
    ...(states.some((state) => state !== 'uninitialised' && state !== 'behind')
      ? ['See /var/log/dirsrv/slapd-*/errors on the sender; servers reach each other on TCP port 636.']
      : []),
    ...partsStep(parts),
  ];
}

/** How the first two of several parts are connected. */
function partsStep(parts: Topology['parts']): string[] {
  const [one, other] = parts.find((suffix) => suffix.parts.length > 1)?.parts ?? [];
  return one && other ? [`Connect the parts: capstan topology add ${one[0]} ${other[0]}`] : [];
}
