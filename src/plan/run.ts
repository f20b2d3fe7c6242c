import {
  CapstanError,
  failure,
  interruption,
  isInterruption,
  PreflightError,
  sentenceOf,
} from '../errors.ts';
import type { JournalFile, StepState } from './journal.ts';
import type { Check, Listener, Step, StepReport } from './step.ts';

/**
 * Runs every check, in order, and reports all that fail together. What several checks found is reported once.
 * @throws PreflightError with each failure
 * @throws the CapstanError of a check that was interrupted, at once
 */
export async function runChecks(checks: readonly Check[], listen: Listener): Promise<void> {
  listen({ type: 'checks', total: checks.length });
  const failures: CapstanError[] = [];
  for (const check of checks) {
    const { id, title } = check;
    listen({ type: 'check-started', id, title });
    try {
      const fact = await check.run();
      listen({ type: 'check-passed', id, title, ...(fact && { fact }) });
    } catch (error) {
      if (isInterruption(error)) throw error;
      const found = failuresOf(error);
      for (const { code, message, next } of found) {
        listen({ type: 'check-failed', id, title, code, message, ...(next && { next }) });
      }
      failures.push(...found.filter((one) => !failures.some((other) => sameFailure(one, other))));
    }
  }
  if (failures.length > 0) throw new PreflightError(failures);
}

function sameFailure(one: CapstanError, other: CapstanError): boolean {
  return one.code === other.code && one.message === other.message;
}

/** What a run of steps needs besides the steps. */
export interface RunOptions {
  journal: JournalFile;
  listen: Listener;
  signal: AbortSignal;
  /** Puts what a step changed on disk, before the journal says that it is done: a power cut must not belie it. */
  settle?: () => Promise<unknown>;
  /** Whether these are the first of the steps only, and the flow waits afterwards. */
  waits?: boolean;
  /** The ids of the steps that are kept when a later one fails. */
  kept?: readonly string[];
}

/**
 * Takes the steps one after another, each on record in the journal before it changes anything. What is so already is
 * left alone. Where an earlier run stopped in the middle of a step, what it did of that step is taken back first.
 * @throws the CapstanError of the step that failed; the journal then tells what was begun
 */
export async function runSteps(steps: readonly Step[], options: RunOptions): Promise<void> {
  const { journal, listen } = options;
  for (const step of steps) {
    try {
      stopIfInterrupted(options.signal);
      await runStep(step, options);
    } catch (error) {
      listen({ type: 'stopped', id: step.id, title: step.title, ...standing(steps, options) });
      throw error;
    }
  }
  await (options.waits ? journal.wait() : journal.finish());
}

/** What is done, and what an undo would take back, last one first; in titles, for a person. */
function standing(
  steps: readonly Step[],
  { journal, kept = [] }: RunOptions,
): { done: string[]; undo: string[] } {
  const titles = (some: readonly Step[], wanted: readonly StepState[]) =>
    some.flatMap(({ id, title }) => {
      const entry = journal.entry(id);
      return entry && wanted.includes(entry.state) ? [title] : [];
    });
  const later = steps.filter(({ id }) => !kept.includes(id));
  return {
    done: titles(steps, ['done']),
    undo: titles(later, ['applying', 'done', 'undoing']).toReversed(),
  };
}

async function runStep(step: Step, options: RunOptions): Promise<void> {
  const { journal, listen } = options;
  const { id, title } = step;
  const begun = performance.now();
  listen({ type: 'step-started', id, title });
  try {
    const changed = journal.entry(id)?.state !== 'done' && (await takeStep(step, options));
    listen({ type: 'step-finished', id, title, seconds: secondsSince(begun), changed });
  } catch (error) {
    const known = coded(error);
    const { code, message } = known;
    // A full disk is a failure, too, that the journal then cannot tell.
    await journal.fail({ step: id, code, message }).catch(() => {});
    listen({ type: 'step-failed', id, title, seconds: secondsSince(begun), code, message });
    throw known;
  }
}

/** @returns whether anything had to be done */
async function takeStep(step: Step, { journal, listen, settle }: RunOptions): Promise<boolean> {
  const report = reportOf(step, journal, listen);
  if (step.transient) {
    const so = await step.done();
    if (!so) await step.apply(report);
    return !so;
  }
  const begunBefore = ['applying', 'undoing'].includes(journal.entry(step.id)?.state ?? '');
  if (begunBefore) {
    report.line('An earlier run stopped in the middle of this: what it did is taken back first');
    await journal.record(step.id, 'undoing');
    await step.undo(report);
  }
  const already = await step.done();
  if (already && !begunBefore) return false;
  await journal.record(step.id, 'applying');
  if (!already) await step.apply(report);
  await settle?.();
  await journal.record(step.id, 'done');
  return true;
}

/** What an undo of steps needs besides the steps. */
export interface UndoOptions {
  journal: JournalFile;
  listen: Listener;
  /** The id of this run. */
  run: string;
  /** Ends the undo in an orderly way: the journal stays, and tells what is left. */
  signal: AbortSignal;
  /** Whether these are the last of the steps only: the flow waits again afterwards. */
  waits?: boolean;
}

/**
 * Takes back, last one first, every step that the journal says was begun.
 * A step that cannot be taken back does not stop the others, unless it holds them back; an interruption does.
 * @returns the failures; the journal is gone when there is none
 * @throws the CapstanError of an undo that was interrupted; the journal tells what is left
 */
export async function undoSteps(
  steps: readonly Step[],
  { journal, listen, run, signal, waits = false }: UndoOptions,
): Promise<CapstanError[]> {
  const failures: CapstanError[] = [];
  // A full disk must not keep the undo from making room. What is not told here is done again by the next undo.
  if (!waits) await journal.removal(run).catch(unlessFull);
  for (const step of steps.toReversed()) {
    const { id, title } = step;
    if ((journal.entry(id)?.state ?? 'undone') === 'undone') continue;
    stopIfInterrupted(signal);
    const begun = performance.now();
    listen({ type: 'undo-started', id, title });
    try {
      await journal.record(id, 'undoing').catch(unlessFull);
      await step.undo(reportOf(step, journal, listen, unlessFull));
      await journal.record(id, 'undone').catch(unlessFull);
      listen({ type: 'undo-finished', id, title, seconds: secondsSince(begun) });
    } catch (error) {
      const known = coded(error);
      failures.push(known);
      listen({ type: 'undo-failed', id, title, code: known.code, message: known.message });
      if (isInterruption(known)) throw known;
      if (step.holdsBack) break;
    }
  }
  if (failures.length === 0) await (waits ? journal.wait() : journal.remove());
  return failures;
}

function unlessFull(error: NodeJS.ErrnoException): void {
  if (!FULL.includes(error.code ?? '')) throw error;
}

/** No space, quota used up (errno(3)). */
const FULL = ['ENOSPC', 'EDQUOT'];

function reportOf(
  step: Step,
  journal: JournalFile,
  listen: Listener,
  onUnwritten: (error: NodeJS.ErrnoException) => void = (error) => {
    throw error;
  },
): StepReport {
  return {
    line: (line) => listen({ type: 'step-line', id: step.id, line }),
    remember: (facts) => journal.remember(step.id, facts).catch(onUnwritten),
    get facts() {
      return journal.entry(step.id)?.facts ?? {};
    },
  };
}

function failuresOf(error: unknown): readonly CapstanError[] {
  return error instanceof PreflightError ? error.failures : [coded(error)];
}

function coded(error: unknown): CapstanError {
  if (error instanceof CapstanError) return error;
  const { code, path } = error as NodeJS.ErrnoException;
  if (FULL.includes(code ?? '')) {
    return failure(
      'disk-full',
      `No space is left on the disk${path ? `, in the file system of ${path}` : ''}.`,
      'Make room.',
      error,
    );
  }
  return failure(
    'unexpected',
    `Something that Capstan does not expect went wrong: ${sentenceOf(error)}`,
    'Report it, best with what "capstan support-bundle" collects.',
    error,
  );
}

function stopIfInterrupted(signal: AbortSignal): void {
  if (!signal.aborted) return;
  throw interruption('The run was interrupted.');
}

function secondsSince(begun: number): number {
  return Math.round(performance.now() - begun) / 1000;
}
