/** What the commands that join a cluster ask for: the server, the passwords, and what the cluster says of itself. */
import { refusal } from '../src/errors.ts';
import type { Cluster } from '../src/flow/cluster.ts';
import type { ReplicaRequest, ReplicaSecrets, ReplicaSite } from '../src/flow/replica.ts';
import type { JournalFile } from '../src/plan/journal.ts';
import type { Secret } from '../src/secret/secret.ts';
import { collectSecrets, isGiven, type SecretRequest } from '../src/secret/sources.ts';
import { type Circumstances, type InstallingValues, placesOf } from './installing.ts';
import {
  type JoinTarget,
  type JoinValues,
  joinSecret,
  joinsBySecret,
  readJoinTarget,
} from './options/join.ts';
import { dsSecret, type SiteValues } from './options/site.ts';
import { together } from './options/together.ts';
import { givenLibraryPath, tokenSecret } from './options/token.ts';

/** What the options of joining leave behind. */
export interface JoiningValues
  extends InstallingValues,
    JoinValues,
    Pick<SiteValues, 'dsPassword' | 'dsPasswordFile'> {}

/** What a command knows of its host before it has read the cluster. */
export interface Candidate {
  hostname(): Promise<string> | string;
  setupCa: boolean;
  setupKra?: boolean;
  /** Whether the directory is there already, so that its password is known rather than chosen. */
  hasDirectory?: boolean;
}

/**
 * The request that options, files, answers and the cluster itself make. The cluster is reached, and nothing is written.
 * @throws CapstanError those of the options, of trust and of reading the cluster, all as refusals
 */
export async function readClusterRequest(
  circumstances: Circumstances<JoiningValues>,
  candidate: Candidate,
): Promise<ReplicaRequest> {
  const { values, host, asker } = circumstances;
  const { setupCa, setupKra } = candidate;
  const { target, hostname, secrets } = await together(
    {
      hostname: candidate.hostname,
      target: () => readJoinTarget(values, asker),
      secrets: () => readSecrets(circumstances, candidate),
    },
    asker !== undefined,
  );
  const { requireOtherHost, tokenOfCluster } = await import('../src/flow/preflight-replica.ts');
  requireOtherHost(target.server, hostname);
  const libraryPath = givenLibraryPath(values);
  const { access, cluster } = await reachCluster(circumstances, target, hostname, secrets);
  const token = tokenOfCluster(cluster.record, { tokenName: values.tokenName, libraryPath });
  const { realm, domain, caSubject, subjectBase, keySize } = cluster;
  host.log.write(`the cluster ${realm}: ${cluster.servers.map((one) => one.hostname).join(', ')}`);
  return {
    ...{ realm, domain, hostname, caSubject, subjectBase, keySize, token },
    ...{ supplier: target.server, setupCa, caCertificate: access.caCertificate },
    ...(setupKra && (await kraOf(cluster, target.server))),
    joinsBySecret: secrets.join !== undefined,
    ...{ secrets, cluster },
  };
}

/** A KRA is a clone where the cluster has one already, best that of the server that is joined. */
async function kraOf({ servers }: Cluster, near: string) {
  const { kraToClone } = await import('../src/flow/kra-site.ts');
  const kraMaster = kraToClone(servers, near);
  return { setupKra: true, ...(kraMaster !== undefined && { kraMaster }) };
}

async function reachCluster(
  { host }: Circumstances<JoiningValues>,
  { server, trust }: JoinTarget,
  hostname: string,
  { ds, join }: ReplicaSecrets,
) {
  const { trustedCa } = await import('../src/flow/trust.ts');
  const { readCluster } = await import('../src/flow/cluster.ts');
  const { joinUserDn } = await import('../src/flow/join.ts');
  const { DIRECTORY_MANAGER } = await import('../src/flow/steps/join.ts');
  const caCertificate = await trustedCa(host, server, trust);
  const as = join ? { dn: joinUserDn(hostname), password: join } : { dn: DIRECTORY_MANAGER, password: ds };
  const access = { server, caCertificate, as };
  return { access, cluster: await readCluster(host, access) };
}

/** The secrets of a join, each asked for once. */
async function readSecrets(
  circumstances: Circumstances<JoiningValues>,
  { setupCa, hasDirectory }: Pick<Candidate, 'setupCa' | 'hasDirectory'>,
  bySecret?: boolean,
): Promise<ReplicaSecrets> {
  const { values, host, asker } = circumstances;
  const places = placesOf(values, asker, host.signal);
  const withSecret = bySecret ?? joinsBySecret(values, places);
  const requests: Record<string, SecretRequest> = {
    // The Directory Manager's password of a cluster is known; that of a directory of one's own is chosen.
    ds: { ...dsSecret(values), chosen: withSecret && !hasDirectory },
    ...(withSecret && { join: joinSecret(values) }),
    ...(setupCa && { token: tokenSecret(values) }),
  };
  const { ds, join, token } = await collectSecrets(requests, places);
  if (!ds) throw new Error('a password that is always asked for is missing');
  return { ds, join, token };
}

/** Options that must not say otherwise than what an installation began with. */
interface Given {
  hostname?: string | undefined;
  setupCa?: boolean | undefined;
  setupKra?: boolean | undefined;
}

/**
 * The request of an installation that goes on: all but the secrets is in its journal.
 * @param given options that must not say otherwise
 * @throws CapstanError `resume-differs`, and those of the secrets
 */
export async function readResumedRequest(
  circumstances: Circumstances<JoiningValues>,
  site: ReplicaSite,
  journal: JournalFile,
  given: Given,
): Promise<ReplicaRequest> {
  const { values } = circumstances;
  requireUnchanged(site, values, given);
  const { stillJoins } = await import('../src/flow/brief.ts');
  const hasDirectory = true;
  const secrets = await readSecrets(
    circumstances,
    { setupCa: site.setupCa, hasDirectory },
    stillJoins(site, journal),
  );
  return { ...site, secrets };
}

function requireUnchanged(
  site: ReplicaSite,
  values: JoiningValues,
  { hostname, setupCa, setupKra }: Given,
): void {
  const pairs: [option: string, begun: unknown, now: unknown][] = [
    ['--hostname', site.hostname, hostname],
    ['--server', site.supplier, values.server],
    ['--setup-ca', site.setupCa, setupCa],
    ['--setup-kra', site.setupKra ?? false, setupKra],
    ['--token-name', site.token.label, values.tokenName],
    ['--library-path', site.token.libraryPath, givenLibraryPath(values)],
  ];
  for (const [option, begun, now] of pairs) {
    if (now === undefined || now === begun) continue;
    throw refusal(
      'resume-differs',
      `The installation began with ${option} ${begun}, and cannot be resumed with ${now}.`,
      'Leave the option out; or take everything back with --undo and begin again.',
    );
  }
}

/** The Directory Manager's password as it was given, if it was: an undo asks nobody for it. */
export async function givenManager({
  values,
  host,
}: Circumstances<JoiningValues>): Promise<Secret | undefined> {
  const places = placesOf(values, undefined, host.signal);
  const request = { ...dsSecret(values), chosen: false };
  return isGiven(request, places) ? (await collectSecrets({ ds: request }, places)).ds : undefined;
}
