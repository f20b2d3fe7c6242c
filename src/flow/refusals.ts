import { CapstanError, EXIT_FAILED, EXIT_REFUSED } from '../errors.ts';

/** The same error for work that changes nothing: a failure is a refusal there (exit code 2). */
export function asRefusal(error: unknown): unknown {
  if (!(error instanceof CapstanError) || error.exit !== EXIT_FAILED) return error;
  const { code, message, next, cause } = error;
  return new CapstanError({ code, message, exit: EXIT_REFUSED, cause, ...(next && { next }) });
}
