/** What must hold before a replica or a clone of the CA is installed, and before an unfinished one goes on. */
import { caCloneDeployments } from '../dogtag/clone-deployment.ts';
import type { Host } from '../host/host.ts';
import type { JournalFile } from '../plan/journal.ts';
import type { Check } from '../plan/step.ts';
import { passingSecret } from '../secret/passing.ts';
import { possessionCheck } from './cluster-token.ts';
import { kraPackageCheck } from './key-recovery.ts';
import { kraMasterChecks, kraTokenCheck } from './kra-checks.ts';
import { blankHostChecks, caHostChecks, hostChecks } from './preflight.ts';
import { clusterChecks } from './preflight-replica.ts';
import type { ReplicaRequest } from './replica.ts';
import { clockOrderCheck } from './resume.ts';
import { CA_STEP, dogtagOf } from './site.ts';
import { cloneDeployment } from './steps/clone.ts';

/** Everything that can be known before the first change of `replica-install`. */
export function replicaChecks(host: Host, request: ReplicaRequest): Check[] {
  return [
    ...hostChecks(host, request, () => checkConfiguration(request)),
    ...blankHostChecks(host, request),
    ...checksOfCluster(host, request),
    ...kraChecks(host, request),
  ];
}

/** Everything that can be known before the first change of `ca-add`. */
export function caAddChecks(host: Host, request: ReplicaRequest): Check[] {
  return [
    ...hostChecks(host, request, () => checkConfiguration(request)),
    ...caHostChecks(host),
    // This host is a server of the cluster, and has to be one.
    ...checksOfCluster(host, request).filter(({ id }) => id !== 'membership'),
  ];
}

/** Everything that can be known before an unfinished flow goes on, and nothing that it made itself. */
export function joinResumeChecks(host: Host, request: ReplicaRequest, journal: JournalFile): Check[] {
  const token = tokenOf(request);
  const hasCa = journal.entry(CA_STEP)?.state === 'done';
  return [
    ...hostChecks(host, request, () => checkConfiguration(request)),
    clockOrderCheck(journal),
    ...(token && !hasCa ? [possessionCheck(host, { ...request, tokenSerials: [] }, token)] : []),
    ...(request.setupKra ? [kraPackageCheck(request), ...kraMasterChecks(host, request)] : []),
  ];
}

/** What must hold for a KRA that is made in the same run. */
function kraChecks(host: Host, request: ReplicaRequest): Check[] {
  const { ds, token } = request.secrets;
  if (!request.setupKra || !token) return [];
  const ca = async () => request.caCertificate;
  const check = kraTokenCheck(host, request, { ds, token }, ca);
  return [kraPackageCheck(request), ...kraMasterChecks(host, request), { ...check, id: 'kra-token' }];
}

function checksOfCluster(host: Host, request: ReplicaRequest): Check[] {
  const { cluster, hostname } = request;
  return cluster ? clusterChecks(host, { hostname, cluster, token: tokenOf(request) }) : [];
}

function tokenOf({ token, secrets }: ReplicaRequest) {
  return secrets.token && { choice: token, pin: secrets.token };
}

async function checkConfiguration(request: ReplicaRequest): Promise<undefined> {
  const { ds, token, join } = request.secrets;
  if (!token) return;
  const secrets = { ds, token, join: join ?? passingSecret('join secret') };
  caCloneDeployments(cloneDeployment(request, secrets, '/run'), await dogtagOf());
}
