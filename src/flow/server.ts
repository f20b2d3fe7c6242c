import type { Host } from '../host/host.ts';
import type { JournalFile } from '../plan/journal.ts';
import type { Step } from '../plan/step.ts';
import { explained, type Need } from './diagnose.ts';
import { hasCertificate, REQUEST_FILE, requestOf, waitingSteps } from './external.ts';
import type { Installation } from './installation.ts';
import { KRA_NEEDS, kraFacts, kraSteps } from './kra.ts';
import { serverChecks } from './preflight.ts';
import { overrideDigestOf, resumeChecks } from './resume.ts';
import { keptIn, SEAL_STEP, SEALED_FILE, UNSEAL_STEP } from './sealed.ts';
import {
  AGENT_PKCS12,
  CA_FILE,
  directoryOf,
  REQUEST_STEP,
  type Report,
  type ServerRequest,
  type ServerSecrets,
  type Site,
  siteFacts,
} from './site.ts';
import { certificateAuthority, keysOnToken, type TokenUndo } from './steps/authority.ts';
import { startAtBoot } from './steps/boot.ts';
import { directoryInstance, directoryTree } from './steps/directory.ts';
import { directoryCertificate } from './steps/directory-certificate.ts';
import { caRequest, externalCertificate, managerPassword } from './steps/external.ts';
import { systemNssDatabase } from './steps/nss.ts';
import { hsmRecord, publishedCaCertificate } from './steps/record.ts';
import { firstRoles } from './steps/roles.ts';
import { forgetPasswords, sealPasswords } from './steps/sealed.ts';
import { tracking } from './steps/tracking.ts';

/** Builds the first server of a cluster: directory, CA on the token, proof, record, tracking, and a KRA if asked for. */
export function serverSteps(
  host: Host,
  site: Site & Pick<ServerRequest, 'certificateFiles'>,
  secrets: () => ServerSecrets,
  undoToken: TokenUndo,
): Step[] {
  const sealing = site.external?.keepSecrets ? [sealPasswords(host, site, secrets, undoToken)] : [];
  const steps = [
    ...(site.external && site.certificateFiles ? [managerPassword(host, site, secrets)] : []),
    systemNssDatabase(host),
    directoryInstance(host, site, secrets),
    directoryTree(host, site),
    ...(site.external
      ? [
          caRequest(host, site, secrets, undoToken),
          ...sealing,
          externalCertificate(site.certificateFiles ?? []),
        ]
      : []),
    certificateAuthority(host, site, secrets, undoToken),
    keysOnToken(host, site, secrets),
    publishedCaCertificate(host, site),
    tracking(host, site),
    directoryCertificate(host, site),
    hsmRecord(host, site),
    firstRoles(host, site),
    ...(site.setupKra ? kraSteps(host, site, secrets, { token: undoToken, keepCa: false }) : []),
    startAtBoot(host, site),
    ...(sealing.length > 0 ? [forgetPasswords(host, site, secrets)] : []),
  ];
  const patient = { site, pin: () => secrets().token };
  const needs = { ...KRA_NEEDS, ...NEEDS };
  return steps.map((step) => explained(host, patient, needs[step.id] ?? ['disk'], step));
}

/** What is looked at when a step fails, beside the disk: what it works with, as far as it is there by then. */
const NEEDS: Readonly<Record<string, readonly Need[]>> = {
  'directory-tree': ['disk', 'directory'],
  [REQUEST_STEP]: ['disk', 'token'],
  [SEAL_STEP]: ['disk', 'token'],
  [UNSEAL_STEP]: ['disk', 'token'],
  'certificate-authority': ['disk', 'directory', 'token'],
  'ca-certificate': ['disk', 'directory'],
  tracking: ['disk', 'token'],
  'directory-certificate': ['disk', 'directory', 'token', 'ca'],
  'hsm-record': ['disk', 'directory', 'ca'],
  'server-roles': ['disk', 'directory', 'token'],
};

/** Installs the first server of a cluster. */
export const serverInstall: Installation<ServerRequest> = {
  name: 'server-install',
  checks: serverChecks,
  resumeChecks,
  steps(host, request) {
    const pin = async () => request.secrets.token;
    return serverSteps(host, request, () => request.secrets, { mode: 'purge', pin });
  },
  facts: async (request) => ({
    ...siteFacts(request),
    overrideDigest: await overrideDigestOf(request.override),
  }),
  report: installedReport,
  pause: (request) =>
    request.external && {
      after: request.external.keepSecrets ? SEAL_STEP : REQUEST_STEP,
      isOver: (journal) => request.certificateFiles !== undefined || hasCertificate(journal),
      report: (journal) => waitingReport(request, journal),
    },
};

function waitingReport({ hostname, caSubject, keySize, token }: ServerRequest, journal: JournalFile): Report {
  const request = requestOf(journal);
  if (!request) throw new Error('there is no request to wait for the certificate of');
  return {
    title: `${hostname} waits for the certificate of its CA; its key is on the token ${token.label}.`,
    facts: [
      { name: 'CA', value: `${caSubject} (RSA ${keySize})` },
      { name: 'Request', value: REQUEST_FILE },
      { name: 'Fingerprint', value: `sha256:${request.fingerprint}` },
      ...(keptIn(journal)
        ? [{ name: 'Passwords', value: `${SEALED_FILE}, sealed by the token; its own is asked for again` }]
        : []),
    ],
    next: waitingSteps(request),
  };
}

function installedReport(request: ServerRequest): Report {
  const { hostname, caSubject, keySize, token, realm } = request;
  return {
    title: `The certificate authority of ${realm} runs on ${hostname}, with its keys on the token ${token.label}.`,
    facts: [
      { name: 'CA', value: `${caSubject} (RSA ${keySize})` },
      {
        name: 'Keys',
        value: `signing, OCSP, audit and subsystem keys on the token ${token.label} (${token.libraryPath})`,
      },
      { name: 'Web interface', value: `https://${hostname}:8443/ca` },
      ...(request.setupKra ? kraFacts(request) : []),
      {
        name: 'Directory',
        value: `ldaps://${hostname} (${directoryOf(request).suffix}), instance ${directoryOf(request).name}`,
      },
      { name: 'CA certificate', value: CA_FILE },
      { name: 'Agent certificate', value: `${AGENT_PKCS12}, protected by the administrator's password` },
    ],
    next: [
      'See how it is: capstan status',
      `Copy ${AGENT_PKCS12} to a safe place: it approves certificate requests.`,
      "Back up the token with the HSM vendor's tool. Capstan cannot: the keys do not leave it.",
    ],
  };
}
