import { X509Certificate } from 'node:crypto';
import { withRemoteDirectory } from '../directory/remote.ts';
import { failure } from '../errors.ts';
import type { Host } from '../host/host.ts';
import type { Step } from '../plan/step.ts';
import type { Secret } from '../secret/secret.ts';
import type { Cluster } from './cluster.ts';
import { explained, type Need } from './diagnose.ts';
import type { Installation } from './installation.ts';
import { prepareJoin } from './join.ts';
import { type Joining, joiningWith } from './joining.ts';
import { KRA_NEEDS, kraFacts, kraSteps } from './kra.ts';
import { undoneAwake } from './recovery.ts';
import { joinResumeChecks, replicaChecks } from './replica-checks.ts';
import { CA_FILE, CA_STEP, directoryOf, type JoinedSite, type Report, siteFacts } from './site.ts';
import { keysOnToken, type TokenUndo } from './steps/authority.ts';
import { startAtBoot } from './steps/boot.ts';
import { cloneAuthority } from './steps/clone.ts';
import { directoryInstance, directoryRights } from './steps/directory.ts';
import { memberDirectoryCertificate } from './steps/directory-certificate.ts';
import { DIRECTORY_MANAGER, joinEnded, joined } from './steps/join.ts';
import { systemNssDatabase } from './steps/nss.ts';
import { trustedCaCertificate } from './steps/record.ts';
import { caReplication, domainReplication } from './steps/replication.ts';
import { caRole, serverRecord } from './steps/roles.ts';
import { tracking } from './steps/tracking.ts';

/** What is known of a replica besides its names; kept in its journal. */
export interface ReplicaSite extends JoinedSite {
  /** Whether it gets a clone of the CA at once. */
  setupCa: boolean;
  /** The CA certificate of the cluster, PEM, trusted from the first byte on. */
  caCertificate: string;
  /** Whether it joins with a join secret; it joins with the Directory Manager's password otherwise. */
  joinsBySecret: boolean;
}

/** The secrets that a replica is made with. */
export interface ReplicaSecrets {
  /** The Directory Manager's: the new directory's, and without a join secret that of the server that is joined. */
  ds: Secret;
  /** The user PIN of the token; undefined without a CA. */
  token: Secret | undefined;
  /** From `capstan replica-prepare`; undefined where the Directory Manager prepares the join now. */
  join: Secret | undefined;
}

/** What `replica-install` was asked for. */
export interface ReplicaRequest extends ReplicaSite {
  secrets: ReplicaSecrets;
  /** What was read of the cluster before anything changed; undefined when an unfinished run goes on. */
  cluster?: Cluster;
}

/** What an undo of a join does besides taking it back. */
export interface JoinUndo {
  /** What it does with the keys of a first KRA. */
  token: TokenUndo;
  /** Whether it goes on although another server cannot be told. */
  force?: boolean | undefined;
}

/** How long a join secret is good that only its own run knows, in seconds: longer than any deadline of that run. */
const PREPARED_HERE = 86_400;

/**
 * Joins a server to a cluster: directory, replication both ways, and a clone of the CA with the keys on the token.
 * @param manager the Directory Manager's password, where an undo may use it
 */
export function replicaSteps(
  host: Host,
  site: ReplicaSite,
  secrets: () => ReplicaSecrets,
  manager: () => Secret | undefined,
  { token, force = false }: JoinUndo,
): Step[] {
  const joining = joiningOf(host, site, secrets);
  const directorySecret = () => ({ ds: secrets().ds });
  const cloneSecrets = () => ({ ds: secrets().ds, token: tokenPin(secrets()) });
  const steps = [
    systemNssDatabase(host),
    trustedCaCertificate(host, site, site.caCertificate),
    joined(host, site, joining, manager),
    directoryInstance(host, site, directorySecret, false),
    memberDirectoryCertificate(host, site, joining),
    directoryRights(host, site),
    domainReplication(host, site, joining, force),
    serverRecord(host, site),
    ...(site.setupCa ? cloneSteps(host, site, joining, secrets, force) : []),
    ...(site.setupKra ? kraSteps(host, site, cloneSecrets, { token, keepCa: false }) : []),
    startAtBoot(host, site, site.setupCa),
    joinEnded(host, site, joining, site.setupCa),
  ];
  return explainedSteps(host, site, secrets, steps);
}

/** The steps that make a clone of the CA on a server whose directory is part of the cluster. */
export function cloneSteps(
  host: Host,
  site: JoinedSite,
  joining: Joining,
  secrets: () => ReplicaSecrets,
  force: boolean,
): Step[] {
  const cloneSecrets = () => ({ ds: secrets().ds, token: tokenPin(secrets()) });
  return [
    caReplication(host, site, joining, force),
    cloneAuthority(host, site, joining, cloneSecrets),
    keysOnToken(host, site, cloneSecrets),
    tracking(host, site),
    caRole(host, site),
  ];
}

/** The steps, each of which tells the true cause when it fails, and has the directory run that its undo needs. */
export function explainedSteps(
  host: Host,
  site: JoinedSite,
  secrets: () => ReplicaSecrets,
  steps: readonly Step[],
): Step[] {
  const patient = { site, pin: () => tokenPin(secrets()) };
  const all = { ...KRA_NEEDS, ...NEEDS };
  return steps.map((step) => {
    const needs = all[step.id] ?? ['disk'];
    const told = explained(host, patient, needs, step);
    return needs.includes('directory') ? undoneAwake(host, site, told) : told;
  });
}

/** What is looked at when a step fails, beside the disk: what it works with, as far as it is there by then. */
const NEEDS: Readonly<Record<string, readonly Need[]>> = {
  'directory-rights': ['disk', 'directory'],
  'domain-replication': ['disk', 'directory'],
  'server-record': ['disk', 'directory'],
  'ca-replication': ['disk', 'directory'],
  [CA_STEP]: ['disk', 'directory', 'token'],
  'keys-on-token': ['disk', 'token'],
  tracking: ['disk', 'token'],
  'ca-role': ['disk', 'directory', 'token'],
};

function tokenPin({ token }: ReplicaSecrets): Secret {
  if (token) return token;
  throw failure('token-pin-missing', 'The password of the token is not known in this run.');
}

/** What the run joins with: the join secret that was given, or one that it prepares itself as Directory Manager. */
export function joiningOf(
  host: Host,
  site: JoinedSite & { caCertificate: string },
  secrets: () => ReplicaSecrets,
): Joining {
  return joiningWith(host, site, site.caCertificate, async (drawn) => {
    const { join, ds } = secrets();
    if (join) return join;
    const as = { dn: DIRECTORY_MANAGER, password: ds };
    const access = { hostname: site.supplier, caCertificate: site.caCertificate, as };
    const { suffix } = directoryOf(site);
    const { hostname, subjectBase } = site;
    await withRemoteDirectory(host, access, (directory) =>
      prepareJoin(directory, { suffix, subjectBase, hostname, secret: drawn, lifetime: PREPARED_HERE }),
    );
    return drawn;
  });
}

/** Installs a server that joins a cluster. */
export const replicaInstall: Installation<ReplicaRequest> = joiningInstallation({
  name: 'replica-install',
  checks: replicaChecks,
  build: replicaSteps,
  report: installedReport,
});

/** A flow that joins a cluster with a request of {@link ReplicaRequest}. */
export function joiningInstallation({
  build,
  ...parts
}: Pick<Installation<ReplicaRequest>, 'name' | 'checks' | 'report'> & {
  build: typeof replicaSteps;
}): Installation<ReplicaRequest> {
  return {
    ...parts,
    resumeChecks: joinResumeChecks,
    steps(host, request) {
      const manager = () => (request.secrets.join ? undefined : request.secrets.ds);
      const pin = async () => tokenPin(request.secrets);
      return build(host, request, () => request.secrets, manager, { token: { mode: 'purge', pin } });
    },
    facts: async ({ setupCa, caCertificate, joinsBySecret, ...request }) => ({
      ...siteFacts(request),
      ...{ setupCa, caCertificate, joinsBySecret },
    }),
  };
}

function installedReport(request: ReplicaRequest): Report {
  const { hostname, token, realm, supplier, setupCa } = request;
  const { suffix, name } = directoryOf(request);
  return {
    title: setupCa
      ? `The server ${hostname} joined ${realm}, with a clone of the certificate authority on the token ${token.label}.`
      : `The server ${hostname} joined ${realm}, without a certificate authority of its own.`,
    facts: [
      { name: 'Joined', value: `${supplier}, replication both ways over TLS` },
      ...(setupCa
        ? [
            { name: 'CA', value: new X509Certificate(request.caCertificate).subject.replaceAll('\n', ',') },
            { name: 'Keys', value: `those on the token ${token.label} (${token.libraryPath})` },
            { name: 'Web interface', value: `https://${hostname}:8443/ca` },
            ...(request.setupKra ? kraFacts(request) : []),
          ]
        : []),
      { name: 'Directory', value: `ldaps://${hostname} (${suffix}), instance ${name}` },
      { name: 'CA certificate', value: CA_FILE },
    ],
    next: [
      'See how it is: capstan status; how all are: capstan status --all',
      ...(setupCa ? [] : ['Give it a certificate authority: capstan ca-add']),
    ],
  };
}
