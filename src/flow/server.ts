import { CapstanError, EXIT_FAILED, EXIT_REFUSED } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { createJournal, type JournalFile } from '../plan/journal.ts';
import { runChecks, runSteps, undoSteps } from '../plan/run.ts';
import type { Listener, Step } from '../plan/step.ts';
import { version } from '../version.ts';
import { serverChecks } from './preflight.ts';
import {
  AGENT_PKCS12,
  CA_FILE,
  directoryOf,
  JOURNAL,
  type Report,
  type ServerRequest,
  type ServerSecrets,
  siteFacts,
} from './site.ts';
import { type CaSite, certificateAuthority, keysOnToken, type TokenUndo } from './steps/authority.ts';
import { startAtBoot } from './steps/boot.ts';
import { directoryInstance, directoryTree } from './steps/directory.ts';
import { directoryCertificate } from './steps/directory-certificate.ts';
import { systemNssDatabase } from './steps/nss.ts';
import { hsmRecord, publishedCaCertificate } from './steps/record.ts';
import { tracking, trackingMonitored } from './steps/tracking.ts';

/** How a flow is run. */
export interface FlowOptions {
  /** Stop after the checks, and show the plan. */
  dryRun: boolean;
  /** Leave a failed installation as it is, for a post-mortem, instead of taking it back. */
  keep: boolean;
  listen: Listener;
}

/** Builds the first server of a cluster: directory, CA on the token, proof, record, tracking. */
export function serverSteps(
  host: Host,
  site: CaSite,
  secrets: () => ServerSecrets,
  undoToken: TokenUndo,
): Step[] {
  return [
    systemNssDatabase(host),
    directoryInstance(host, site, secrets),
    directoryTree(host, site),
    certificateAuthority(host, site, secrets, undoToken),
    keysOnToken(host, site, secrets),
    publishedCaCertificate(host, site),
    tracking(host, site),
    directoryCertificate(host, site),
    hsmRecord(host, site),
    startAtBoot(host, site),
    trackingMonitored(host),
  ];
}

/**
 * Installs the first server: looks at everything first, then takes the steps; what fails is taken back.
 * @throws PreflightError with nothing changed
 * @throws CapstanError of the step that failed
 */
export async function serverInstall(
  host: Host,
  request: ServerRequest,
  options: FlowOptions,
): Promise<Report> {
  const { dryRun, listen } = options;
  await runChecks(serverChecks(host, request), listen);
  const steps = serverSteps(host, request, () => request.secrets, { mode: 'keep' });
  listen({ type: 'plan', steps: steps.map(({ id, title }) => ({ id, title })) });
  if (dryRun) return DRY_RUN_REPORT;
  const journal = await createJournal(JOURNAL, {
    flow: 'server-install',
    capstan: version(),
    site: { ...siteFacts(request) },
  });
  try {
    await runSteps(steps, journal, listen, host.signal);
  } catch (error) {
    throw options.keep ? kept(error) : await takenBack(host, request, journal, listen, error);
  }
  return installedReport(request);
}

/** Undoes a failed installation, with the objects that it made on the token: nobody can have used them. */
async function takenBack(
  host: Host,
  request: ServerRequest,
  journal: JournalFile,
  listen: Listener,
  error: unknown,
) {
  // The signal that ended the run must not end its undo.
  const undoHost = host.under();
  const pin = async () => request.secrets.token;
  const failures = await undoSteps(
    serverSteps(undoHost, request, () => request.secrets, { mode: 'purge', pin }),
    journal,
    listen,
  );
  if (failures.length === 0)
    return withNext(error, 'Everything was taken back; the host is as it was before.');
  return withNext(
    error,
    `Not all could be taken back: ${failures.map(({ message }) => message.replace(/\.?$/, '.')).join(' ')} Remove the cause, then run "capstan uninstall --purge-token --token-password-file FILE".`,
  );
}

function kept(error: unknown) {
  return withNext(
    error,
    'What was done so far is kept, as asked for. Remove it with "capstan uninstall --purge-token".',
  );
}

function withNext(error: unknown, addition: string): unknown {
  if (!(error instanceof CapstanError)) return error;
  const { code, message, next, cause } = error;
  // A step that refuses comes after changes, whatever its exit code says.
  const exit = error.exit === EXIT_REFUSED ? EXIT_FAILED : error.exit;
  return new CapstanError({ code, message, exit, next: [next, addition].filter(Boolean).join(' '), cause });
}

const DRY_RUN_REPORT: Report = {
  title: 'All checks passed; nothing was changed.',
  facts: [],
  next: ['Run the same command without --dry-run: it takes the steps shown above.'],
};

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
