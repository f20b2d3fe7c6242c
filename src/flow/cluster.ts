/** What a cluster is like, read from the server that is joined before anything changes here. */
import { X509Certificate } from 'node:crypto';
import type { Directory } from '../directory/client.ts';
import { replicaIdDn } from '../directory/identity.ts';
import { clockOf, passwordExpiry } from '../directory/lifetime.ts';
import { recordedServers, type ServerEntry } from '../directory/masters.ts';
import { type HsmRecord, readHsmRecord } from '../directory/record.ts';
import { type DirectoryCredentials, presentedChain, withRemoteDirectory } from '../directory/remote.ts';
import { publishedCaCertificates } from '../directory/tree.ts';
import { CA_SUFFIX } from '../dogtag/deployment.ts';
import { caSession } from '../dogtag/rest.ts';
import { dogtagProfile, parseDogtagVersion, type Version } from '../dogtag/version.ts';
import { CapstanError, refusal } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { formatDn, parseDn, sameDn, valuesOf } from '../names/dn.ts';
import { dnOfLines } from '../names/x500.ts';
import { countCertificates, isJoinUser } from './join.ts';
import { asRefusal } from './refusals.ts';

/** How the server that is joined is reached. */
export interface Access {
  /** Its fully qualified name. */
  server: string;
  /** The CA certificate, PEM; see {@link trustedCa}. */
  caCertificate: string;
  as: DirectoryCredentials;
}

/** The cluster, as the server that is joined knows it. */
export interface Cluster {
  /** The server that was asked. */
  server: string;
  /** PEM. */
  caCertificate: string;
  /** The name of the security domain. */
  realm: string;
  domain: string;
  suffix: string;
  /** RFC 4514, as everything that is a name here. */
  caSubject: string;
  /** What the subjects of certificates end in, from that of the server's own. */
  subjectBase: string;
  /** Of the CA, in bits. */
  keySize: 2048 | 3072 | 4096;
  record: HsmRecord;
  /** The servers of the cluster with their roles; none where the directory is not Capstan's. */
  servers: ServerEntry[];
  /** The serial numbers of the token as the servers with a CA saw it. */
  tokenSerials: string[];
  /** The release of Dogtag on the server. */
  dogtag: Version;
  /** Seconds that the server's clock is ahead of this host's, exact to one second; negative where it is behind. */
  clockSkew: number;
  /** How many certificates the CA has issued; undefined where they may not be counted. */
  certificates: number | undefined;
  /** The counter of replica ids; undefined where it may not be seen, as by who joins with a secret. */
  nextReplicaId: number | undefined;
  /** Seconds until the join secret ends that the cluster was read with; undefined for the Directory Manager. */
  joinSecretLeft: number | undefined;
}

/** Key sizes of a CA, in bits. */
const KEY_SIZES = [2048, 3072, 4096] as const;

/**
 * Reads all that an installation must know of the cluster before it changes anything. Nothing is written.
 * @throws CapstanError, all as refusals: `directory-unreachable`, `directory-untrusted`,
 *   `directory-credentials-refused`, `join-secret-refused`, `directory-refused`, `suffix-unknown`, `server-without-ca`, `hsm-record-missing`,
 *   `hsm-record-malformed`, `ca-certificate-differs`, `ca-key-unsupported`, `subject-base-unknown`, `ca-unreachable`,
 *   `ca-refused`, `security-domain-unknown`, `dogtag-version-unknown`, `dogtag-unsupported`; and `interrupted`
 */
export async function readCluster(host: Host, access: Access): Promise<Cluster> {
  try {
    const { server, caCertificate, as } = access;
    const ca = new X509Certificate(caCertificate);
    const inDirectory = await withRemoteDirectory(
      host,
      { hostname: server, caCertificate, as },
      (directory) => readDirectory(directory, access, ca),
    );
    const inDogtag = await readDogtag(host, access);
    const caSubject = dnOfLines(ca.subject);
    const subjectBase = await subjectBaseOf(host, access, ca);
    const names = { server, caCertificate, caSubject, subjectBase };
    return { ...names, keySize: keySizeOf(ca), ...inDirectory, ...inDogtag };
  } catch (error) {
    throw refusalOf(access, error);
  }
}

/** The refusal that an error is before anything has changed; one of the join secret says what to do about it. */
function refusalOf({ server, as }: Access, error: unknown): unknown {
  const isCredentials = error instanceof CapstanError && error.code === 'directory-credentials-refused';
  if (isCredentials && 'dn' in as && isJoinUser(as.dn)) return joinSecretRefused(server, error);
  return asRefusal(error);
}

/** The directory says the same of a secret that is wrong, used up or replaced; only of one that ended it says so. */
function joinSecretRefused(server: string, error: CapstanError) {
  const ended = error.message.includes('password expired');
  return refusal(
    'join-secret-refused',
    ended
      ? `The time of the join secret is over: the directory of ${server} does not take it any more.`
      : `The directory of ${server} does not take the join secret: it is mistyped, used up, replaced by a newer one, or of another host.`,
    `Draw a new one with "capstan replica-prepare" on ${server}, for this host.`,
    error,
  );
}

async function readDirectory(directory: Directory, { server, as }: Access, ca: X509Certificate) {
  const { suffix, suffixes } = await suffixesOf(directory, server);
  if (!suffixes.some((one) => sameDn(parseDn(one), parseDn(CA_SUFFIX)))) throw withoutCa(server);
  const record = await readHsmRecord(directory, suffix);
  const domain = valuesOf(parseDn(suffix), 'dc').join('.');
  if (!record) throw withoutRecord(domain);
  await requireSameCa(directory, suffix, server, ca);
  const servers = await recordedServers(directory, suffix);
  const roles = servers.flatMap((one) => one.roles).filter(({ name }) => name === 'CA');
  const tokenSerials = [...new Set(roles.flatMap(({ tokenSerial }) => tokenSerial ?? []))];
  const certificates = await countCertificates(directory);
  const clockSkew = await skewOf(directory);
  const joinSecretLeft = 'dn' in as ? await secondsLeft(directory, as.dn) : undefined;
  const [counter] =
    (await directory.entry(replicaIdDn(suffix), ['nsDS5ReplicaId']))?.values('nsDS5ReplicaId') ?? [];
  const nextReplicaId = counter === undefined ? undefined : Number(counter);
  const names = { suffix, domain, record, servers, tokenSerials };
  return { ...names, certificates, clockSkew, nextReplicaId, joinSecretLeft };
}

/** Seconds, by the clock of the server, until a password ends; undefined where it does not. */
async function secondsLeft(directory: Directory, dn: string): Promise<number | undefined> {
  const [end, now] = [await passwordExpiry(directory, dn), await clockOf(directory)];
  return end && now && (end.getTime() - now.getTime()) / 1000;
}

/** The suffixes that the server serves, and among them the domain's. */
async function suffixesOf(directory: Directory, server: string) {
  const root = await directory.entry('', ['namingContexts']);
  const suffixes = root?.values('namingContexts') ?? [];
  const suffix = suffixes.find((one) => /^dc=/i.test(one));
  if (suffix) return { suffix, suffixes };
  throw refusal(
    'suffix-unknown',
    `The directory of ${server} serves no domain; its suffixes are ${suffixes.join(', ') || 'none'}.`,
    'Name a server of the cluster with --server.',
  );
}

function withoutCa(server: string) {
  return refusal(
    'server-without-ca',
    `${server} has no CA: its directory does not serve ${CA_SUFFIX}.`,
    'Name a server of the cluster that has one with --server; "capstan topology list" shows them.',
  );
}

function withoutRecord(domain: string) {
  return refusal(
    'hsm-record-missing',
    `The domain ${domain} has no HSM record: its CA keeps its keys in software, on each server a copy. Capstan builds replicas of a CA whose keys are in an HSM; keys in software and in an HSM cannot be mixed in one cluster, and keys cannot be moved into an HSM afterwards.`,
    'Build a new cluster on the HSM with "capstan server-install", or extend this one with the tools that it was built with.',
  );
}

/** The directory must publish the CA that was trusted: everything else is verified with it. */
async function requireSameCa(directory: Directory, suffix: string, server: string, ca: X509Certificate) {
  const published = await publishedCaCertificates(directory, suffix);
  const key = (one: X509Certificate) => one.publicKey.export({ type: 'spki', format: 'der' });
  if (published.some((der) => key(new X509Certificate(der)).equals(key(ca)))) return;
  throw refusal(
    'ca-certificate-differs',
    published.length === 0
      ? `The directory of ${server} publishes no CA certificate.`
      : `The CA certificate that the directory of ${server} publishes is of another CA than ${dnOfLines(ca.subject)}, which was trusted.`,
    'Look into cn=CAcert,cn=ipa,cn=etc under the suffix of the domain on that server.',
  );
}

/** Seconds that the server's clock, which tells whole seconds, is ahead of this host's. */
async function skewOf(directory: Directory): Promise<number> {
  const before = Date.now();
  const theirs = await clockOf(directory);
  const ours = (before + Date.now()) / 2;
  // What the server says was true for up to a second.
  return theirs ? Math.round((theirs.getTime() + 500 - ours) / 1000) : 0;
}

function keySizeOf(ca: X509Certificate): Cluster['keySize'] {
  const { asymmetricKeyType, asymmetricKeyDetails } = ca.publicKey;
  const bits = asymmetricKeyType === 'rsa' ? asymmetricKeyDetails?.modulusLength : undefined;
  const size = KEY_SIZES.find((one) => one === bits);
  if (size) return size;
  throw refusal(
    'ca-key-unsupported',
    `The key of the CA is ${(asymmetricKeyType ?? 'unknown').toUpperCase()}${bits ? ` of ${bits} bits` : ''}; Capstan works with RSA of ${KEY_SIZES.join(', ')} bits.`,
  );
}

/** What the server's own certificate has after its CN: the subject base that the cluster was built with. */
async function subjectBaseOf(host: Host, { server }: Access, ca: X509Certificate): Promise<string> {
  const [own] = await presentedChain(host, server);
  const [first, ...rest] = own?.verify(ca.publicKey) ? parseDn(dnOfLines(own.subject)) : [];
  if (first?.[0]?.type.toUpperCase() === 'CN' && first[0].value === server && rest.length > 0)
    return formatDn(rest);
  throw refusal(
    'subject-base-unknown',
    `The certificate of the directory of ${server} is not of the form CN=${server},SUBJECT-BASE, issued by the CA of the cluster.`,
    'Name another server with --server.',
  );
}

/** What the CA of the server says of itself, over verified HTTPS. */
async function readDogtag(host: Host, { server, caCertificate }: Access) {
  const dogtag = await releaseOf(host, server, caCertificate);
  const { restPath } = dogtagProfile(dogtag);
  const session = caSession(host, { hostname: server, caCertificate, restPath });
  try {
    const { id } = ((await session.get('/securityDomain/domainInfo')) ?? {}) as { id?: string };
    if (id) return { dogtag, realm: id };
  } finally {
    session.close();
  }
  throw refusal(
    'security-domain-unknown',
    `The CA of ${server} does not tell the name of its security domain.`,
  );
}

async function releaseOf(host: Host, server: string, caCertificate: string): Promise<Version> {
  const session = caSession(host, { hostname: server, caCertificate, restPath: '/pki' });
  try {
    // REST v1 can be switched off from 11.10; v2 is there from 11.6.
    const info = await session.get('/rest/info').catch((error: unknown) => {
      if (!(error instanceof CapstanError) || error.code !== 'ca-refused') throw error;
      return session.get('/v2/info');
    });
    return parseDogtagVersion(String((info as { Version?: unknown } | undefined)?.Version ?? ''));
  } finally {
    session.close();
  }
}
