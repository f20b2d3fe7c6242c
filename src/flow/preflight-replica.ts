/** What a host and the cluster that it joins must be like for each other; all known before anything changes. */
import { once } from 'node:events';
import { connect } from 'node:net';
import type { ServerEntry } from '../directory/masters.ts';
import type { HsmRecord } from '../directory/record.ts';
import { nextId } from '../directory/replica-id.ts';
import { atLeast, formatVersion, type Version } from '../dogtag/version.ts';
import { isInterruption, refusal, sentenceOf } from '../errors.ts';
import { addressesOf, freeBytes } from '../host/facts.ts';
import type { Host } from '../host/host.ts';
import { within } from '../host/wait.ts';
import { quoted } from '../names/quoted.ts';
import type { Check } from '../plan/step.ts';
import type { Secret } from '../secret/secret.ts';
import type { Cluster } from './cluster.ts';
import { possessionCheck } from './cluster-token.ts';
import { nearestFolder } from './preflight.ts';
import { dogtagOf, recordedToken, type TokenChoice } from './site.ts';

/** What the checks are about. */
export interface Joiner {
  /** The fully qualified name of this host. */
  hostname: string;
  cluster: Cluster;
  /** The token and its user PIN; undefined for a server that gets no CA. */
  token: { choice: TokenChoice; pin: Secret } | undefined;
  /** Whether it is a server of the cluster already, which gets a CA. */
  isMember?: boolean;
}

/** Seconds by which two clocks may differ: more, and certificates are not valid yet, and 389-ds mistakes the order of changes. */
const LARGEST_SKEW = 60;
/** Seconds that a join secret must be good for yet: it is needed last by the clone of the CA, after some minutes. */
const NEEDED_LIFETIME = 300;
/** LDAPS, and the CA's HTTP and HTTPS. */
const PORTS = [636, 8080, 8443];
/** Seconds until a TCP connection is given up: enough for three SYNs (tcp(7)). */
const CONNECT_SECONDS = 8;
const KIB = 1024;
/** A certificate with its request and indexes in the databases, and once more in the changelog while it is copied. */
const BYTES_OF_CERTIFICATE = 64 * KIB;

/** Everything about the cluster that can be known before the first change on a host that joins it. */
export function clusterChecks(host: Host, joiner: Joiner): Check[] {
  const { cluster, hostname, token } = joiner;
  const { server } = cluster;
  return [
    {
      id: 'membership',
      title: joiner.isMember
        ? `${hostname} is a server of the cluster without a CA`
        : `${hostname} is no server of the cluster yet`,
      run: async () => checkMembership(joiner),
    },
    { id: 'releases', title: `Dogtag is not older than on ${server}`, run: () => checkReleases(cluster) },
    {
      id: 'clocks',
      title: `The clocks of this host and ${server} agree`,
      run: async () => checkClocks(cluster),
    },
    ...(cluster.joinSecretLeft === undefined
      ? []
      : [
          {
            id: 'join-secret',
            title: 'The join secret is good for long enough',
            run: async () => checkJoinSecret(cluster.joinSecretLeft ?? 0),
          },
        ]),
    {
      id: 'way-there',
      title: `The ports of ${server} can be reached from here`,
      run: () => checkWayThere(host, server),
    },
    ...(cluster.nextReplicaId === undefined ? [] : [replicaIdCheck(cluster.nextReplicaId)]),
    { id: 'room', title: 'There is room for the data of the cluster', run: () => checkRoom(cluster) },
    ...(token ? [possessionCheck(host, cluster, token)] : []),
  ];
}

/**
 * The token of the cluster, as this host reaches it: the name is the recorded one, the library may be another here.
 * @param given what the command line names
 * @throws CapstanError `token-name-differs`
 */
export function tokenOfCluster(
  record: HsmRecord,
  given: { tokenName?: string | undefined; libraryPath?: string | undefined },
): TokenChoice {
  const { tokenName, libraryPath = record.libraryPath } = given;
  if (tokenName === undefined || tokenName === record.tokenName)
    return recordedToken({ label: record.tokenName, libraryPath }, record);
  throw refusal(
    'token-name-differs',
    `The keys of the cluster are on the token ${quoted(record.tokenName)}; ${quoted(tokenName)} (--token-name) is another one. A cluster has one token: keys on different ones cannot be mixed.`,
    'Leave --token-name out. --library-path may name the library of this host, where it lies elsewhere.',
  );
}

/**
 * Refuses a server that is this host itself.
 * @throws CapstanError `server-is-this-host`
 */
export function requireOtherHost(server: string, hostname: string): void {
  if (server.toLowerCase() !== hostname.toLowerCase()) return;
  throw refusal(
    'server-is-this-host',
    `${server} is this host itself; it cannot join itself.`,
    'Name a server of the cluster with --server. The first server is built with "capstan server-install".',
  );
}

function checkMembership({ hostname, cluster, isMember = false }: Joiner): string {
  const known = cluster.servers.find((server) => server.hostname.toLowerCase() === hostname.toLowerCase());
  if (isMember) requireMember(hostname, cluster.domain, known);
  else if (known) throw serverExists(hostname, cluster, known);
  return `its servers: ${cluster.servers.map((one) => one.hostname).join(', ') || 'none recorded'}`;
}

function requireMember(hostname: string, domain: string, known: ServerEntry | undefined): void {
  if (!known) {
    throw refusal(
      'server-unknown',
      `${hostname} is not recorded as a server of ${domain}.`,
      'Install it with "capstan replica-install".',
    );
  }
  if (known.roles.some(({ name }) => name === 'CA'))
    throw refusal(
      'ca-exists',
      `${hostname} is recorded as a server with a CA already.`,
      '"capstan status" shows it.',
    );
}

function serverExists(hostname: string, { domain, server }: Cluster, { roles }: ServerEntry) {
  const names = roles.map(({ name }) => name).join(', ');
  return refusal(
    'server-exists',
    `${hostname} is recorded as a server of ${domain} already${names ? `, with the roles ${names}` : ''}.`,
    `If it is gone for good, have the cluster forget it: "capstan topology forget ${hostname}" on ${server}.`,
  );
}

async function checkReleases(cluster: Cluster): Promise<string> {
  const { version } = await dogtagOf();
  requireNotOlder(version, cluster);
  return `${formatVersion(version)} here, ${formatVersion(cluster.dogtag)} there`;
}

/**
 * A newer release may join: that is how a cluster is brought to one. An older one would not know what the newer ones
 * put into the data that they share (FreeIPA has the same rule).
 * @throws CapstanError `dogtag-older`
 */
export function requireNotOlder(here: Version, { server, dogtag }: Pick<Cluster, 'server' | 'dogtag'>): void {
  if (atLeast([here[0], here[1], 0], [dogtag[0], dogtag[1], 0])) return;
  throw refusal(
    'dogtag-older',
    `Dogtag PKI ${formatVersion(here)} of this host is older than ${formatVersion(dogtag)} of ${server}.`,
    `Install Dogtag PKI ${dogtag[0]}.${dogtag[1]} or newer.`,
  );
}

/** @throws CapstanError `clock-skew` */
function checkClocks({ server, clockSkew }: Cluster): string {
  requireSameTime(server, clockSkew);
  return clockSkew === 0 ? 'less than a second apart' : `${Math.abs(clockSkew)} s apart`;
}

/**
 * Refuses a clock that differs by {@link LARGEST_SKEW} seconds or more.
 * @param skew seconds that the server's clock is ahead
 * @throws CapstanError `clock-skew`
 */
export function requireSameTime(server: string, skew: number): void {
  if (Math.abs(skew) < LARGEST_SKEW) return;
  throw refusal(
    'clock-skew',
    `The clock of this host is ${Math.abs(skew)} s ${skew > 0 ? 'behind' : 'ahead of'} that of ${server}; less than ${LARGEST_SKEW} s are needed.`,
    'Have both set their clocks by a time server.',
  );
}

/** @throws (from its run) CapstanError `replica-ids-used-up` */
function replicaIdCheck(counter: number): Check {
  // Whether others have the number already is seen when it is drawn: the next free one is taken then.
  const run = async () => String(nextId(counter, new Set()));
  return { id: 'replica-ids', title: 'There is a replica id left', run };
}

/** @throws CapstanError `join-secret-ending` */
function checkJoinSecret(left: number): string {
  if (left >= NEEDED_LIFETIME) return `until ${new Date(Date.now() + left * 1000).toISOString()}`;
  throw refusal(
    'join-secret-ending',
    `The join secret ends in ${Math.max(0, Math.floor(left / 60))} minutes; joining may need ${NEEDED_LIFETIME / 60}.`,
    'Draw a new one with "capstan replica-prepare" on the server that is joined.',
  );
}

async function checkWayThere(host: Host, server: string): Promise<string> {
  const [address] = await addressesOf(host, server);
  if (!address) {
    throw refusal(
      'server-unresolvable',
      `The name ${server} does not resolve here.`,
      'Add it to the DNS or to /etc/hosts.',
    );
  }
  const flaws = await Promise.all(PORTS.map((port) => wayTo(host, address, port)));
  const closed = PORTS.flatMap((port, index) => (flaws[index] ? [`${port} (${flaws[index]})`] : []));
  if (closed.length === 0)
    return `TCP ${PORTS.join(', ')} of ${address}; ${server} must reach this host at TCP 636`;
  throw refusal(
    'ports-unreachable',
    `${server} (${address}) cannot be reached at TCP ${closed.join(', ')}.`,
    'Open the ports in the firewalls between the hosts, both ways: 636, 8080, 8443.',
  );
}

/**
 * Tries a TCP connection, and sends nothing.
 * @returns undefined where it stands, else why not: the code of the system's error, or `silent`
 * @throws CapstanError `interrupted`
 */
export async function wayTo(host: Host, address: string, port: number): Promise<string | undefined> {
  const socket = connect({ host: address, port });
  const hurried = { ...host, deadlines: { ...host.deadlines, ldap: CONNECT_SECONDS } };
  try {
    await within(hurried, 'ldap', `TCP ${port} of ${address}`, () => once(socket, 'connect'));
    return undefined;
  } catch (error) {
    if (isInterruption(error)) throw error;
    const code = (error as NodeJS.ErrnoException).code ?? '';
    return code === 'deadline-passed' || code === 'ETIMEDOUT' ? 'silent' : code || sentenceOf(error);
  } finally {
    socket.on('error', () => {});
    socket.destroy();
  }
}

/** The databases of the directory grow to what they are on the server. */
async function checkRoom({ certificates }: Cluster): Promise<string | undefined> {
  if (certificates === undefined) return undefined;
  const folder = await nearestFolder('/var/lib/dirsrv');
  const [free, needed] = [await freeBytes(folder), certificates * BYTES_OF_CERTIFICATE];
  if (free >= needed) return `${certificates} certificates, at most ${mib(needed)}; ${mib(free)} are free`;
  throw refusal(
    'disk-too-small',
    `The ${certificates} certificates of the cluster need ${mib(needed)}; ${folder} has ${mib(free)} left.`,
    'Make room on this file system.',
  );
}

function mib(bytes: number): string {
  return `${Math.ceil(bytes / KIB ** 2)} MiB`;
}
