import { withLocalDirectory } from '../directory/client.ts';
import { recordedServers } from '../directory/masters.ts';
import { INSTANCE, type SubsystemName } from '../dogtag/certificates.ts';
import { instancePins } from '../dogtag/nssdb.ts';
import { CapstanError, failure, refusal, sentenceOf } from '../errors.ts';
import { removeFile } from '../host/files.ts';
import type { Host } from '../host/host.ts';
import { clearLeftovers } from '../host/leftovers.ts';
import type { JournalFile } from '../plan/journal.ts';
import { runChecks, undoSteps } from '../plan/run.ts';
import type { Check, Listener, Step } from '../plan/step.ts';
import type { Secret } from '../secret/secret.ts';
import { caAddSteps } from './ca-add.ts';
import { removeHeartbeat } from './heartbeat.ts';
import { kraAddSteps } from './kra.ts';
import { leaveCluster, leavingCheck } from './leave.ts';
import { REPAIR_JOURNAL } from './repair/journal.ts';
import { type ReplicaSite, replicaSteps } from './replica.ts';
import { mayHoldSealingKey, SEAL_STEP } from './sealed.ts';
import { serverSteps } from './server.ts';
import {
  CA_STEP,
  directoryOf,
  type FlowName,
  type InstalledServer,
  installedServer,
  KRA_STEP,
  REQUEST_STEP,
  type Report,
  type Site,
} from './site.ts';
import { mayHoldObjects } from './token.ts';
import { tokenAnswers } from './token-look.ts';

/** How a server is taken back. */
export interface UninstallOptions {
  /** What to do with the token objects that the installation made; an unfinished one must be told. */
  token: 'purge' | 'keep' | undefined;
  /** The token's PIN as it was given, if it was; it takes part in a purge only. */
  pin: Secret | undefined;
  /** Asks a person for it, where it was not given and Dogtag keeps none any more. */
  askPin?: (() => Promise<Secret>) | undefined;
  /** Removes the server although others need it, or cannot be told. */
  force?: boolean | undefined;
  /** Takes back what one flow made, and nothing else; all without it. */
  only?: FlowName | undefined;
  /** The Directory Manager's password, where an unfinished join is to be taken back on the other server, too. */
  manager?: Secret | undefined;
  listen: Listener;
}

/**
 * Takes back what the installation on this host made, finished or not, last step first, from its journal.
 * Objects on the token stay unless they are to be purged: another host may use the same keys.
 * @throws CapstanError `not-installed`, `token-choice-missing`, `token-pin-missing`, `uninstall-incomplete`
 * @throws PreflightError when the token does not let its objects be deleted, with nothing changed
 */
export async function uninstall(host: Host, options: UninstallOptions): Promise<Report> {
  const server = await installedServer();
  const { journal, site } = server;
  const journals = removable(server, options);
  const made = objectsOf(journals);
  const hasObjects = made.length > 0;
  if (hasObjects && !journals.every((one) => one.journal.finished) && !options.token) throw undecided(site);
  for (const one of journals) await clearLeftovers(host, one.journal.runs);
  const whole = journals.includes(journal);
  const finished = whole && journal.journal.finished !== undefined;
  if (finished && !options.force) await runChecks([leavingCheck(host, site)], options.listen);
  if (hasObjects && options.token === 'purge')
    await runChecks([sharedKeysCheck(host, site, made)], options.listen);
  const pin = hasObjects && options.token === 'purge' ? await purgePin(host, site, options) : undefined;
  // It would tell of a server that is being removed.
  if (whole) await removeHeartbeat(host);
  if (whole) await removeFile(REPAIR_JOURNAL);
  if (finished) await leave(host, site, options);
  // Who could be told was told by that; the server that was joined may be gone since.
  const force = options.force || finished;
  const failures: CapstanError[] = [];
  for (const one of journals) {
    if (failures.length > 0) break;
    failures.push(...(await takeBack(host, one, pin, { ...options, force })));
  }
  if (failures.length > 0) {
    throw failure(
      'uninstall-incomplete',
      `Not everything could be removed: ${failures.map(({ message }) => message).join(' ')}`,
      'Remove the cause and run the same command again; it goes on where it stopped.',
    );
  }
  return removedReport(site, whole ? undefined : options.only, hasObjects, pin !== undefined);
}

/** The subsystems whose keys these flows may have made, and that may still be on the token. */
function objectsOf(journals: readonly JournalFile[]): SubsystemName[] {
  const made = (step: string) => journals.some((journal) => mayHoldObjects(journal.entry(step)));
  const sealed = journals.some((journal) => mayHoldSealingKey(journal.entry(SEAL_STEP)));
  return [
    ...(made(CA_STEP) || made(REQUEST_STEP) || sealed ? (['CA'] as const) : []),
    ...(made(KRA_STEP) ? (['KRA'] as const) : []),
  ];
}

/** The keys of the first server are those of all. A directory that is down tells of nobody. */
function sharedKeysCheck(host: Host, site: Site, made: readonly SubsystemName[]): Check {
  const { name, suffix } = directoryOf(site);
  return {
    id: 'shared-keys',
    title: `No other server uses the keys on the token ${site.token.label}`,
    async run() {
      const servers = await withLocalDirectory(host, { name }, (directory) =>
        recordedServers(directory, suffix),
      ).catch(() => []);
      const others = servers.filter(
        ({ hostname, roles }) => hostname !== site.hostname && roles.some((role) => made.includes(role.name)),
      );
      if (others.length === 0) return undefined;
      const names = others.map(({ hostname }) => hostname).join(', ');
      throw refusal(
        'keys-shared',
        `The keys on the token ${site.token.label} are those of ${names}, too; deleting them would end all of them.`,
        'Leave --purge-token out. To end the whole cluster, uninstall the other servers first.',
      );
    },
  };
}

/** What is taken back, the latest first; of an unfinished flow that was added to a server only that, where asked. */
function removable({ journal, added }: InstalledServer, { only }: UninstallOptions): JournalFile[] {
  const all = [journal, ...added.map((one) => one.journal)].toReversed();
  return only === undefined ? all : all.filter((one) => one.journal.flow === only);
}

/** Has the other servers of the cluster forget this one, while it still can tell them. */
async function leave(host: Host, site: Site, { force, listen }: UninstallOptions): Promise<void> {
  const step = { id: 'leave', title: 'Leave the cluster' };
  const begun = performance.now();
  listen({ type: 'undo-started', ...step });
  try {
    const line = (text: string) => listen({ type: 'step-line', id: step.id, line: text });
    await leaveCluster(host, site, { force: force ?? false, line });
    const seconds = Math.round(performance.now() - begun) / 1000;
    listen({ type: 'undo-finished', ...step, seconds });
  } catch (error) {
    const code = error instanceof CapstanError ? error.code : 'unexpected';
    listen({ type: 'undo-failed', ...step, code, message: sentenceOf(error) });
    throw error;
  }
}

async function takeBack(
  host: Host,
  journal: JournalFile,
  pin: Secret | undefined,
  { listen, manager, force, only }: UninstallOptions,
): Promise<CapstanError[]> {
  // A KRA that is taken back alone leaves its CA running.
  const keepCa = only !== undefined;
  const steps = stepsOf(host, journal, { pin, manager, force, keepCa });
  return undoSteps(steps, { journal, listen, run: host.runId, signal: host.signal });
}

/** The steps of the flow that wrote a journal. */
function stepsOf(
  host: Host,
  { journal }: JournalFile,
  { pin, manager, force, keepCa }: Pick<UninstallOptions, 'pin' | 'manager' | 'force'> & { keepCa: boolean },
): Step[] {
  const noSecrets = () => {
    throw new Error('an undo asks for no secrets');
  };
  const token = pin ? ({ mode: 'purge', pin: async () => pin } as const) : ({ mode: 'keep' } as const);
  if (journal.flow === 'kra-add')
    return kraAddSteps(host, journal.site as unknown as Site, noSecrets, { token, keepCa });
  if (journal.flow === 'server-install') {
    return serverSteps(host, journal.site as unknown as Site, noSecrets, token);
  }
  const site = journal.site as unknown as ReplicaSite;
  const steps = journal.flow === 'ca-add' ? caAddSteps : replicaSteps;
  return steps(host, site, noSecrets, () => manager, { token, force });
}

/** @param part the flow that was taken back alone, from a server that stays */
function removedReport(
  { hostname, token }: Site,
  part: FlowName | undefined,
  hadObjects: boolean,
  purged: boolean,
): Report {
  const kept = hadObjects && !purged;
  return {
    title: part
      ? `What "capstan ${part}" began on ${hostname} was taken back; the server stays.`
      : `The server ${hostname} was removed from this host.`,
    facts: [
      {
        name: 'Token',
        value: purged
          ? `what the installation made on ${token.label} was deleted`
          : kept
            ? `the objects on ${token.label} were left in place`
            : `nothing of this installation was on ${token.label}`,
      },
    ],
    next: kept
      ? ['A new installation needs a token without these objects: --purge-token would have deleted them.']
      : [],
  };
}

/** The PIN for a purge, tried before anything is removed: of the objects on the token only the journal knows. */
async function purgePin(host: Host, site: Site, options: UninstallOptions): Promise<Secret> {
  const { label } = site.token;
  const known = options.pin ?? (await keptPin(label)) ?? (await options.askPin?.());
  if (!known) throw pinMissing(label);
  const check: Check = {
    id: 'token',
    title: `The token ${label} lets its objects be deleted`,
    async run() {
      await tokenAnswers(host, site.token, known);
      return undefined;
    },
  };
  await runChecks([check], options.listen);
  return known;
}

/** The journal is the only record of what an unfinished installation made on the token, and it goes with the rest. */
function undecided({ token }: Site) {
  return refusal(
    'token-choice-missing',
    `The installation on this host did not come to its end, and may have made keys on the token ${token.label}.`,
    'Say what is to become of them: --purge-token deletes them, --keep-token leaves them there.',
  );
}

/** The PIN in Dogtag's own store, as long as that is there. */
async function keptPin(label: string): Promise<Secret | undefined> {
  return instancePins(INSTANCE).then(
    (pins) => pins.pin(label),
    () => undefined,
  );
}

function pinMissing(label: string) {
  return refusal(
    'token-pin-missing',
    `Dogtag does not keep the password of the token ${label} any more, which deleting its objects needs.`,
    'Give it with --token-password-file.',
  );
}
