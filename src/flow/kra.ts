import { KRA_CERTIFICATES, KRA_TOKEN_NICKNAMES } from '../dogtag/certificates.ts';
import type { Host } from '../host/host.ts';
import type { Step } from '../plan/step.ts';
import { explained, type Need } from './diagnose.ts';
import type { Installation } from './installation.ts';
import { kraAddChecks, kraResumeChecks } from './kra-checks.ts';
import { undoneAwake } from './recovery.ts';
import { KRA_STEP, type Report, type Site, siteFacts } from './site.ts';
import { keysOnToken } from './steps/authority.ts';
import { type KraSecrets, type KraUndo, keyRecovery, krasConnected, recoveryProven } from './steps/kra.ts';
import { kraRole } from './steps/roles.ts';
import { tracking } from './steps/tracking.ts';

/** What `kra-add` was asked for. */
export interface KraRequest extends Site {
  secrets: KraSecrets;
}

/** The steps that give a server with a CA a KRA, whether it is there since long or just made by the same run. */
export function kraSteps(host: Host, site: Site, secrets: () => KraSecrets, undo: KraUndo): Step[] {
  return [
    keyRecovery(host, site, secrets, undo),
    keysOnToken(host, site, secrets, {
      id: 'kra-keys-on-token',
      title: 'Prove that the keys of the KRA are on the token and cannot leave it',
      nicknames: KRA_TOKEN_NICKNAMES,
    }),
    recoveryProven(host, site),
    // A CA forgets a KRA that it knows and that is not recorded, when its server is restarted.
    kraRole(host, site),
    krasConnected(host, site),
    tracking(host, site, {
      id: 'kra-tracking',
      title: `Have certmonger track the ${KRA_CERTIFICATES.length} certificates of the KRA`,
      certificates: KRA_CERTIFICATES,
    }),
  ];
}

/** What is looked at when a step of a KRA fails, beside the disk. */
export const KRA_NEEDS: Readonly<Record<string, readonly Need[]>> = {
  [KRA_STEP]: ['disk', 'directory', 'token'],
  'kra-keys-on-token': ['disk', 'token'],
  'key-recovery-proven': ['disk', 'directory', 'token', 'ca'],
  'kra-connectors': ['disk', 'directory', 'ca'],
  'kra-tracking': ['disk', 'token'],
  'kra-role': ['disk', 'directory', 'token'],
};

/** Gives the server on this host a KRA. */
export function kraAddSteps(host: Host, site: Site, secrets: () => KraSecrets, undo: KraUndo): Step[] {
  const patient = { site, pin: () => secrets().token };
  return kraSteps(host, site, secrets, undo).map((step) => {
    const needs = KRA_NEEDS[step.id] ?? ['disk'];
    const told = explained(host, patient, needs, step);
    return needs.includes('directory') ? undoneAwake(host, site, told) : told;
  });
}

/** Adds a KRA to the server on this host. */
export const kraAdd: Installation<KraRequest> = {
  name: 'kra-add',
  checks: kraAddChecks,
  resumeChecks: kraResumeChecks,
  steps(host, request) {
    const pin = async () => request.secrets.token;
    const undo = { token: { mode: 'purge', pin }, keepCa: true } as const;
    return kraAddSteps(host, request, () => request.secrets, undo);
  },
  facts: async (request) => ({ ...siteFacts(request) }),
  report: addedReport,
};

/** What a report says of the KRA of a server. */
export function kraFacts({ hostname, kraMaster, token }: Site): Report['facts'] {
  const keys = `transport, storage and audit keys on the token ${token.label} (${token.libraryPath})`;
  return [
    { name: 'KRA', value: kraMaster === undefined ? keys : `a clone of that of ${kraMaster}: ${keys}` },
    { name: 'Key recovery', value: `https://${hostname}:8443/kra` },
  ];
}

function addedReport(request: KraRequest): Report {
  const { hostname, realm, token, kraMaster } = request;
  return {
    title:
      kraMaster === undefined
        ? `The server ${hostname} has the first KRA of ${realm}, with its keys on the token ${token.label}.`
        : `The server ${hostname} has a clone of the KRA of ${realm}, on the token ${token.label}.`,
    facts: kraFacts(request),
    next: [
      'See how it is: capstan status',
      ...(kraMaster === undefined
        ? [
            "Back up the token with the HSM vendor's tool: what is archived can be recovered with the storage key alone.",
            'Give another server a clone, so that keys can be recovered without this one: capstan kra-add there.',
          ]
        : []),
    ],
  };
}
