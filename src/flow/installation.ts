/** What every installing flow goes through: look first, take the steps, and take back what failed. */
import { CapstanError, EXIT_FAILED, EXIT_REFUSED, isInterruption, refusal } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { clearLeftovers } from '../host/leftovers.ts';
import { createJournal, type JournalFile } from '../plan/journal.ts';
import { runChecks, runSteps, undoSteps } from '../plan/run.ts';
import type { Check, Facts, Listener, Step } from '../plan/step.ts';
import { version } from '../version.ts';
import { DRY_RUN, type FlowName, journalOf, type Report, type Site } from './site.ts';
import { servicesUp } from './steps/services.ts';

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

/** A flow that installs something on this host. */
export interface Installation<Request extends Site> {
  name: FlowName;
  /** What must hold before the first change. */
  checks(host: Host, request: Request): Check[];
  /** What must hold before an unfinished run goes on. */
  resumeChecks(host: Host, request: Request, journal: JournalFile): Check[];
  /** The steps, with all that they and their undo need. */
  steps(host: Host, request: Request): Step[];
  /** What is asked for, without secrets, for the journal. */
  facts(request: Request): Promise<Facts>;
  report(request: Request): Report;
  /** Where it waits for something from outside in its middle; undefined for one that does not. */
  pause?(request: Request): Pause | undefined;
}

/** A wait for something from outside, in the middle of an installation. */
export interface Pause {
  /** The id of the last step before it; what was done until then is kept when a later one fails. */
  after: string;
  /** Whether what was waited for is there. */
  isOver(journal: JournalFile): boolean;
  report(journal: JournalFile): Report;
}

/**
 * Installs: looks at everything first, then takes the steps; what fails is taken back.
 * @throws PreflightError with nothing changed
 * @throws CapstanError of the step that failed
 */
export async function install<Request extends Site>(
  host: Host,
  flow: Installation<Request>,
  request: Request,
  options: FlowOptions,
): Promise<Report> {
  await runChecks(flow.checks(host, request), options.listen);
  const steps = flow.steps(host, request);
  tellPlan(partOf(flow, request, steps).part, options.listen);
  if (options.dryRun) return DRY_RUN;
  const journal = await createJournal(journalOf(flow.name), {
    flow: flow.name,
    capstan: version(),
    runs: [host.runId],
    site: await flow.facts(request),
  });
  return takeSteps(host, flow, request, steps, journal, options);
}

/**
 * Goes on with an installation that stopped half way: looks first, brings up what is there, and takes the steps that
 * are left. A step in whose middle it stopped is taken back and taken again.
 * @throws PreflightError with nothing changed
 * @throws CapstanError `removal-begun`, and of the step that failed
 */
export async function resume<Request extends Site>(
  host: Host,
  flow: Installation<Request>,
  request: Request,
  journal: JournalFile,
  options: FlowOptions,
): Promise<Report> {
  if (journal.journal.removing) throw removalBegun(flow.name, journal.journal.removing);
  // A rehearsal takes no lock: what seems to be left over may belong to a run that is at work.
  if (!options.dryRun) await clearLeftovers(host, journal.journal.runs);
  await runChecks(flow.resumeChecks(host, request, journal), options.listen);
  const steps = [servicesUp(host, request, journal), ...flow.steps(host, request)];
  tellPlan(partOf(flow, request, steps, journal).part, options.listen);
  if (options.dryRun) return DRY_RUN;
  await journal.resume(host.runId);
  return takeSteps(host, flow, request, steps, journal, options);
}

/** The steps that a run takes: all, or those until it waits. @param journal nothing before the first change */
function partOf<Request extends Site>(
  flow: Installation<Request>,
  request: Request,
  steps: readonly Step[],
  journal?: JournalFile,
): { part: readonly Step[]; pause: Pause | undefined } {
  const pause = flow.pause?.(request);
  if (!pause || (journal && pause.isOver(journal))) return { part: steps, pause: undefined };
  return { part: steps.slice(0, steps.findIndex(({ id }) => id === pause.after) + 1), pause };
}

/** The ids of the steps that stay when a later one fails: those before a wait that has been. */
function keptSteps<Request extends Site>(
  flow: Installation<Request>,
  request: Request,
  steps: readonly Step[],
  { entry }: JournalFile,
): string[] {
  const after = flow.pause?.(request)?.after;
  if (after === undefined || entry(after)?.state !== 'done') return [];
  return steps.slice(0, steps.findIndex(({ id }) => id === after) + 1).map(({ id }) => id);
}

function tellPlan(steps: readonly Step[], listen: Listener): void {
  listen({ type: 'plan', steps: steps.map(({ id, title }) => ({ id, title })) });
}

async function takeSteps<Request extends Site>(
  host: Host,
  flow: Installation<Request>,
  request: Request,
  steps: readonly Step[],
  journal: JournalFile,
  options: FlowOptions,
): Promise<Report> {
  const { listen } = options;
  const { part, pause } = partOf(flow, request, steps, journal);
  const settle = () => host.run('sync', ['-f', '/etc', '/var/lib', '/root'], { what: 'the disk' });
  try {
    const kept = keptSteps(flow, request, steps, journal);
    await runSteps(part, { journal, listen, signal: host.signal, settle, kept, waits: pause !== undefined });
  } catch (error) {
    const wish = options.keep ? 'keep' : ((await options.decide?.()) ?? 'undo');
    throw wish === 'keep'
      ? kept(flow.name, error)
      : await takenBack(host, flow, request, journal, options, error);
  }
  return pause ? pause.report(journal) : flow.report(request);
}

/** Undoes a failed installation, with the objects that it made on the token: nobody can have used them. */
async function takenBack<Request extends Site>(
  host: Host,
  flow: Installation<Request>,
  request: Request,
  journal: JournalFile,
  { listen, undoSignal }: FlowOptions,
  error: unknown,
) {
  const undoHost = host.under(undoSignal);
  const hint = undoHint(flow.name);
  const steps = flow.steps(undoHost, request);
  const kept = keptSteps(flow, request, steps, journal);
  const waits = kept.length > 0;
  const later = steps.filter(({ id }) => !kept.includes(id));
  const options = { journal, listen, run: host.runId, signal: undoSignal, waits };
  let failures: CapstanError[];
  try {
    failures = await undoSteps(later, options);
  } catch (second) {
    if (!isInterruption(second)) throw second;
    return withNext(error, `Taking it back was interrupted, too; ${hint} goes on with it.`);
  }
  if (failures.length === 0 && waits)
    return withNext(
      error,
      'What this run made was taken back. The key of the CA and its request are kept, and its certificate is good for another try.',
    );
  if (failures.length === 0)
    return withNext(error, 'Everything was taken back; the host is as it was before.');
  return withNext(
    error,
    `Not all could be taken back: ${failures.map(({ message }) => message.replace(/\.?$/, '.')).join(' ')} Remove the cause; then ${hint} goes on with it.`,
  );
}

function undoHint(flow: FlowName): string {
  return `"capstan ${flow} --undo"`;
}

function kept(flow: FlowName, error: unknown) {
  return withNext(
    error,
    `What was done so far is kept. "capstan ${flow} --resume" goes on with it, ${undoHint(flow)} takes it back, and "capstan support-bundle" collects what helps to find the cause.`,
  );
}

function removalBegun(flow: FlowName, at: string) {
  return refusal(
    'removal-begun',
    `What was installed here began to be taken back at ${at}; it cannot be gone on with.`,
    `Take back the rest with ${undoHint(flow)}, or with "capstan uninstall"; then install anew.`,
  );
}

function withNext(error: unknown, addition: string): unknown {
  if (!(error instanceof CapstanError)) return error;
  const { code, message, next, cause } = error;
  // A step that refuses comes after changes, whatever its exit code says.
  const exit = error.exit === EXIT_REFUSED ? EXIT_FAILED : error.exit;
  return new CapstanError({ code, message, exit, next: [next, addition].filter(Boolean).join(' '), cause });
}
