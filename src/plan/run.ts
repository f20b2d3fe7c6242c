import {
  CapstanError,
  EXIT_INTERRUPTED,
  failure,
  isInterruption,
  PreflightError,
  sentenceOf,
} from '../errors.ts';
import type { JournalFile } from './journal.ts';
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

/**
 * Takes the steps one after another, each on record in the journal before it changes anything.
 * What is so already is left alone.
 * @throws the CapstanError of the step that failed; the journal then tells what was begun
 */
export async function runSteps(
  steps: readonly Step[],
  journal: JournalFile,
  listen: Listener,
  signal: AbortSignal,
): Promise<void> {
  for (const step of steps) {
    stopIfInterrupted(signal);
    await runStep(step, journal, listen);
  }
  await journal.finish();
}

async function runStep(step: Step, journal: JournalFile, listen: Listener): Promise<void> {
  const { id, title } = step;
  const begun = performance.now();
  listen({ type: 'step-started', id, title });
  try {
    const skip = await step.done();
    if (!skip) {
      await journal.record(id, 'applying');
      await step.apply(reportOf(step, journal, listen));
      await journal.record(id, 'done');
    }
    listen({ type: 'step-finished', id, title, seconds: secondsSince(begun), changed: !skip });
  } catch (error) {
    const known = coded(error);
    listen({
      type: 'step-failed',
      id,
      title,
      seconds: secondsSince(begun),
      code: known.code,
      message: known.message,
    });
    throw known;
  }
}

/**
 * Takes back, last one first, every step that the journal says was begun.
 * A step that cannot be taken back does not stop the others; an interruption does.
 * @returns the failures; the journal is gone when there is none
 * @throws the CapstanError of an undo that was interrupted; the journal tells what is left
 */
export async function undoSteps(
  steps: readonly Step[],
  journal: JournalFile,
  listen: Listener,
): Promise<CapstanError[]> {
  const failures: CapstanError[] = [];
  for (const step of steps.toReversed()) {
    const entry = journal.entry(step.id);
    if (!entry || entry.state === 'undone') continue;
    const { id, title } = step;
    const begun = performance.now();
    listen({ type: 'undo-started', id, title });
    try {
      await step.undo(reportOf(step, journal, listen));
      await journal.record(id, 'undone');
      listen({ type: 'undo-finished', id, title, seconds: secondsSince(begun) });
    } catch (error) {
      const known = coded(error);
      failures.push(known);
      listen({ type: 'undo-failed', id, title, code: known.code, message: known.message });
      if (isInterruption(known)) throw known;
    }
  }
  if (failures.length === 0) await journal.remove();
  return failures;
}

function reportOf(step: Step, journal: JournalFile, listen: Listener): StepReport {
  return {
    line: (line) => listen({ type: 'step-line', id: step.id, line }),
    remember: (facts) => journal.remember(step.id, facts),
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
  return failure(
    'unexpected',
    `Something that Capstan does not expect went wrong: ${sentenceOf(error)}`,
    'Keep the log and report it.',
    error,
  );
}

function stopIfInterrupted(signal: AbortSignal): void {
  if (!signal.aborted) return;
  throw new CapstanError({
    code: 'interrupted',
    message: 'The run was interrupted.',
    exit: EXIT_INTERRUPTED,
  });
}

function secondsSince(begun: number): number {
  return Math.round(performance.now() - begun) / 1000;
}
