/** What must hold before a replica is installed, and before an unfinished one goes on. */
import { caCloneDeployments } from '../dogtag/clone-deployment.ts';
import type { Host } from '../host/host.ts';
import type { JournalFile } from '../plan/journal.ts';
import type { Check } from '../plan/step.ts';
import { blankHostChecks, hostChecks } from './preflight.ts';
import type { ReplicaRequest } from './replica.ts';
import { clockOrderCheck } from './resume.ts';
import { dogtagOf } from './site.ts';
import { passingSecret } from './steps/authority.ts';
import { cloneDeployment } from './steps/clone.ts';

/** Everything that can be known before the first change of `replica-install`. */
export function replicaChecks(host: Host, request: ReplicaRequest): Check[] {
  return [...hostChecks(host, request, () => checkConfiguration(request)), ...blankHostChecks(host, request)];
}

/** Everything that can be known before an unfinished `replica-install` goes on, and nothing that it made itself. */
export function replicaResumeChecks(host: Host, request: ReplicaRequest, journal: JournalFile): Check[] {
  return [...hostChecks(host, request, () => checkConfiguration(request)), clockOrderCheck(journal)];
}

async function checkConfiguration(request: ReplicaRequest): Promise<undefined> {
  const { ds, token, join } = request.secrets;
  if (!token) return;
  const secrets = { ds, token, join: join ?? passingSecret('join secret') };
  caCloneDeployments(cloneDeployment(request, secrets, '/run'), await dogtagOf());
}
