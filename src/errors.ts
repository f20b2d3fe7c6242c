/** The coded errors: what an administrator reads when something is refused or goes wrong. */

/** Exit code of a run that was refused before it changed anything. */
export const EXIT_REFUSED = 2;
/** Exit code of a run that failed while it worked, or that found something unwell. */
export const EXIT_FAILED = 1;
/** Exit code of a run that the person at the terminal ended (128 + SIGINT). */
export const EXIT_INTERRUPTED = 130;

/** What an error is made of. */
export interface ErrorFacts {
  /** A stable name in kebab case, for scripts and documentation: `token-not-found`. */
  code: string;
  /** One sentence that says what is wrong and where. */
  message: string;
  /** What to do next, as an instruction to a person. */
  next?: string;
  /** The exit code of the program when this error ends it; 1 unless told. */
  exit?: number;
  /** Where it comes from, when another error is behind it. */
  cause?: unknown;
}

/** An error that an administrator is meant to read. Everything else that is thrown is a defect of Capstan. */
export class CapstanError extends Error {
  override readonly name = 'CapstanError';
  readonly code: string;
  readonly next: string | undefined;
  readonly exit: number;

  constructor(facts: ErrorFacts) {
    super(facts.message, facts.cause === undefined ? undefined : { cause: facts.cause });
    this.code = facts.code;
    this.next = facts.next;
    this.exit = facts.exit ?? EXIT_FAILED;
  }
}

/** An error for input or a host that cannot be worked with; nothing was changed (exit code 2). */
export function refusal(code: string, message: string, next?: string, cause?: unknown): CapstanError {
  return new CapstanError({
    code,
    message,
    exit: EXIT_REFUSED,
    ...(next && { next }),
    ...(cause !== undefined && { cause }),
  });
}

/** An error for work that did not succeed (exit code 1). */
export function failure(code: string, message: string, next?: string, cause?: unknown): CapstanError {
  return new CapstanError({ code, message, ...(next && { next }), ...(cause !== undefined && { cause }) });
}

/** The error of a run that a person or the system ended (exit code 130). @param code `interrupted` unless told */
export function interruption(message: string, code = 'interrupted'): CapstanError {
  return new CapstanError({ code, message, exit: EXIT_INTERRUPTED });
}

/** Whether a person or the system ended the run: no finding to be collected with others, but the end of everything. */
export function isInterruption(thrown: unknown): boolean {
  return thrown instanceof CapstanError && thrown.exit === EXIT_INTERRUPTED;
}

/** The sentence of anything that was thrown. */
export function sentenceOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/**
 * Several refusals as one: every failed check of a preflight, reported together.
 * @param failures at least one
 */
export class PreflightError extends CapstanError {
  readonly failures: readonly CapstanError[];

  constructor(failures: readonly CapstanError[]) {
    super({
      code: 'preflight-failed',
      message:
        failures.length === 1
          ? '1 check failed; nothing was changed.'
          : `${failures.length} checks failed; nothing was changed.`,
      exit: EXIT_REFUSED,
    });
    this.failures = failures;
  }
}
