import { CapstanError, EXIT_FAILED, EXIT_REFUSED, isInterruption, refusal } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { clearLeftovers } from '../host/leftovers.ts';
import { createJournal, type JournalFile } from '../plan/journal.ts';
import { runChecks, runSteps, undoSteps } from '../plan/run.ts';
import type { Listener, Step } from '../plan/step.ts';
import { version } from '../version.ts';
import { explained, type Need } from './diagnose.ts';
import { serverChecks } from './preflight.ts';
import { overrideDigestOf, resumeChecks } from './resume.ts';
import {
  AGENT_PKCS12,
  CA_FILE,
  directoryOf,
  JOURNAL,
  type Report,
  SERVER_INSTALL,
  type ServerRequest,
  type ServerSecrets,
  type Site,
  siteFacts,
} from './site.ts';
import { certificateAuthority, keysOnToken, type TokenUndo } from './steps/authority.ts';
import { startAtBoot } from './steps/boot.ts';
import { directoryInstance, directoryTree } from './steps/directory.ts';
import { directoryCertificate } from './steps/directory-certificate.ts';
import { systemNssDatabase } from './steps/nss.ts';
import { hsmRecord, publishedCaCertificate } from './steps/record.ts';
import { firstRoles } from './steps/roles.ts';
import { servicesUp } from './steps/services.ts';
import { tracking, trackingMonitored } from './steps/tracking.ts';

/** How a flow is run. */
export interface FlowOptions {
  /** Stop after the checks, and show the plan. */
  dryRun: boolean;
  /** Leave a failed installation as it is, for a post-mortem, instead of taking it back. */
  keep: boolean;
  /** Asks a person what is to become of a failed installation; without it, and without `keep`, it is taken back. */
  decide?: (() => Promise<'undo' | 'keep'>) | undefined;
  /** Ends the undo of a failed installation; the signal that ended the run does not. */
  undoSignal: AbortSignal;
  listen: Listener;
}

/** Builds the first server of a cluster: directory, CA on the token, proof, record, tracking. */
export function serverSteps(
  host: Host,
  site: Site,
  secrets: () => ServerSecrets,
  undoToken: TokenUndo,
): Step[] {
  const steps = [
    systemNssDatabase(host),
    directoryInstance(host, site, secrets),
    directoryTree(host, site),
    certificateAuthority(host, site, secrets, undoToken),
    keysOnToken(host, site, secrets),
    publishedCaCertificate(host, site),
    tracking(host, site),
    directoryCertificate(host, site),
    hsmRecord(host, site),
    firstRoles(host, site),
    startAtBoot(host, site),
    trackingMonitored(host, site),
  ];
  const patient = { site, pin: () => secrets().token };
  return steps.map((step) => explained(host, patient, NEEDS[step.id] ?? ['disk'], step));
}

/** What is looked at when a step fails, beside the disk: what it works with, as far as it is there by then. */
const NEEDS: Readonly<Record<string, readonly Need[]>> = {
  'directory-tree': ['disk', 'directory'],
  'certificate-authority': ['disk', 'directory', 'token'],
  'ca-certificate': ['disk', 'directory'],
  tracking: ['disk', 'token'],
  'directory-certificate': ['disk', 'directory', 'token', 'ca'],
  'hsm-record': ['disk', 'directory', 'ca'],
  'server-roles': ['disk', 'directory', 'token'],
  'tracking-monitored': ['disk', 'token'],
};

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
  await runChecks(serverChecks(host, request), options.listen);
  const steps = stepsFor(host, request);
  tellPlan(steps, options.listen);
  if (options.dryRun) return DRY_RUN_REPORT;
  const journal = await createJournal(JOURNAL, {
    flow: SERVER_INSTALL,
    capstan: version(),
    runs: [host.runId],
    site: { ...siteFacts(request), overrideDigest: await overrideDigestOf(request.override) },
  });
  return takeSteps(host, request, steps, journal, options);
}

/**
 * Goes on with an installation that stopped half way: looks first, brings up what is there, and takes the steps that
 * are left. A step in whose middle it stopped is taken back and taken again.
 * @throws PreflightError with nothing changed
 * @throws CapstanError `removal-begun`, and of the step that failed
 */
export async function serverResume(
  host: Host,
  request: ServerRequest,
  journal: JournalFile,
  options: FlowOptions,
): Promise<Report> {
  if (journal.journal.removing) throw removalBegun(journal.journal.removing);
  // A rehearsal takes no lock: what seems to be left over may belong to a run that is at work.
  if (!options.dryRun) await clearLeftovers(host, journal.journal.runs);
  await runChecks(resumeChecks(host, request, journal), options.listen);
  const steps = [servicesUp(host, request, journal), ...stepsFor(host, request)];
  tellPlan(steps, options.listen);
  if (options.dryRun) return DRY_RUN_REPORT;
  await journal.resume(host.runId);
  return takeSteps(host, request, steps, journal, options);
}

/** The steps with the secrets of the request, which an undo needs as well: it purges the token. */
function stepsFor(host: Host, request: ServerRequest): Step[] {
  const pin = async () => request.secrets.token;
  return serverSteps(host, request, () => request.secrets, { mode: 'purge', pin });
}

function tellPlan(steps: readonly Step[], listen: Listener): void {
  listen({ type: 'plan', steps: steps.map(({ id, title }) => ({ id, title })) });
}

async function takeSteps(
  host: Host,
  request: ServerRequest,
  steps: readonly Step[],
  journal: JournalFile,
  options: FlowOptions,
): Promise<Report> {
  const { listen } = options;
  const settle = () => host.run('sync', ['-f', '/etc', '/var/lib', '/root'], { what: 'the disk' });
  try {
    await runSteps(steps, { journal, listen, signal: host.signal, settle });
  } catch (error) {
    const wish = options.keep ? 'keep' : ((await options.decide?.()) ?? 'undo');
    throw wish === 'keep' ? kept(error) : await takenBack(host, request, journal, options, error);
  }
  return installedReport(request);
}

/** Undoes a failed installation, with the objects that it made on the token: nobody can have used them. */
async function takenBack(
  host: Host,
  request: ServerRequest,
  journal: JournalFile,
  { listen, undoSignal }: FlowOptions,
  error: unknown,
) {
  const undoHost = host.under(undoSignal);
  const options = { journal, listen, run: host.runId, signal: undoSignal };
  let failures: CapstanError[];
  try {
    failures = await undoSteps(stepsFor(undoHost, request), options);
  } catch (second) {
    if (!isInterruption(second)) throw second;
    return withNext(error, `Taking it back was interrupted, too; ${UNDO_HINT} goes on with it.`);
  }
  if (failures.length === 0)
    return withNext(error, 'Everything was taken back; the host is as it was before.');
  return withNext(
    error,
    `Not all could be taken back: ${failures.map(({ message }) => message.replace(/\.?$/, '.')).join(' ')} Remove the cause; then ${UNDO_HINT} goes on with it.`,
  );
}

const UNDO_HINT = '"capstan server-install --undo"';

function kept(error: unknown) {
  return withNext(
    error,
    `What was done so far is kept. "capstan server-install --resume" goes on with it, ${UNDO_HINT} takes it back, and "capstan support-bundle" collects what helps to find the cause.`,
  );
}

function removalBegun(at: string) {
  return refusal(
    'removal-begun',
    `What was installed here began to be taken back at ${at}; it cannot be gone on with.`,
    `Take back the rest with ${UNDO_HINT}, or with "capstan uninstall"; then install anew.`,
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
