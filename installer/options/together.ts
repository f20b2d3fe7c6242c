import { CapstanError, isInterruption, PreflightError } from '../../src/errors.ts';

/**
 * Reads several values in order and reports all that is wrong with them together.
 * @param stopAtFirst ends at the first error, for values that a person is asked for
 * @throws the CapstanError where there is one (or, at once, the one of an interruption), a PreflightError where there are several
 */
export async function together<Values extends object>(
  readers: { [Name in keyof Values]: () => Values[Name] | Promise<Values[Name]> },
  stopAtFirst = false,
): Promise<Values> {
  const values: Partial<Values> = {};
  const errors: CapstanError[] = [];
  for (const name of Object.keys(readers) as (keyof Values)[]) {
    try {
      values[name] = await readers[name]();
    } catch (error) {
      if (stopAtFirst || !(error instanceof CapstanError) || isInterruption(error)) throw error;
      errors.push(...(error instanceof PreflightError ? error.failures : [error]));
    }
  }
  const [first, ...others] = errors;
  if (first && others.length === 0) throw first;
  if (first) throw new PreflightError(errors);
  return values as Values;
}
