import type { Host } from '../host/host.ts';
import type { Step } from '../plan/step.ts';
import type { Secret } from '../secret/secret.ts';
import type { Installation } from './installation.ts';
import {
  cloneSteps,
  explainedSteps,
  type JoinUndo,
  joiningInstallation,
  joiningOf,
  type ReplicaRequest,
  type ReplicaSecrets,
  type ReplicaSite,
} from './replica.ts';
import { caAddChecks } from './replica-checks.ts';
import type { Report } from './site.ts';
import { startAtBoot } from './steps/boot.ts';
import { joinEnded, joined } from './steps/join.ts';

/** Gives a server of the cluster that has no CA a clone of it, with the keys on the token. */
export function caAddSteps(
  host: Host,
  site: ReplicaSite,
  secrets: () => ReplicaSecrets,
  manager: () => Secret | undefined,
  { force = false }: JoinUndo,
): Step[] {
  const joining = joiningOf(host, site, secrets);
  return explainedSteps(host, site, secrets, [
    joined(host, site, joining, manager, 'user'),
    ...cloneSteps(host, site, joining, secrets, force),
    startAtBoot(host, site),
    joinEnded(host, site, joining, true),
  ]);
}

/** Adds a CA to the server on this host. */
export const caAdd: Installation<ReplicaRequest> = joiningInstallation({
  name: 'ca-add',
  checks: caAddChecks,
  build: caAddSteps,
  report: addedReport,
});

function addedReport({ hostname, supplier, token, realm }: ReplicaRequest): Report {
  return {
    title: `The server ${hostname} has a clone of the certificate authority of ${realm}, on the token ${token.label}.`,
    facts: [
      { name: 'Clone of', value: `the CA of ${supplier}, replication both ways over TLS` },
      { name: 'Keys', value: `those on the token ${token.label} (${token.libraryPath})` },
      { name: 'Web interface', value: `https://${hostname}:8443/ca` },
    ],
    next: ['See how it is: capstan status; how all are: capstan status --all'],
  };
}
