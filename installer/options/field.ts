import { refusal, sentenceOf } from '../../src/errors.ts';
import type { Asker } from '../prompt.ts';

/** One value that a command needs: given as an option, asked for, or taken from a default. */
export interface Field {
  /** The option: `--realm`. */
  option: string;
  /** What it is, for people: `realm`. */
  what: string;
  given: string | undefined;
  fallback?: string | undefined;
  /** Judges a text; throws a CapstanError that says what is wrong with it. */
  parse(text: string): string;
}

/**
 * The value of a field. A person is asked only when the option is missing.
 * @throws CapstanError `option-missing`, `option-unprintable`, and those of the field's `parse`
 */
export async function readField(field: Field, asker: Asker | undefined): Promise<string> {
  const { option, what, given, fallback } = field;
  const parse = (text: string) => field.parse(printable(option, text));
  if (given !== undefined) return parse(given);
  if (asker) {
    const flaw = (answer: string) => flawBy(parse, answer);
    return parse(await asker.text({ what, fallback, flaw }));
  }
  if (fallback !== undefined) return parse(fallback);
  throw refusal('option-missing', `${option} is missing: the ${what}.`, `Add ${option}.`);
}

function flawBy(parse: (text: string) => string, text: string): string | undefined {
  try {
    parse(text);
    return undefined;
  } catch (error) {
    return sentenceOf(error);
  }
}

/**
 * The text of an option, which must be printable: no control character, no line break, no NUL.
 * @throws CapstanError `option-unprintable`
 */
export function printable(option: string, text: string): string {
  if (/[\p{Cc}\u2028\u2029]/u.test(text)) {
    throw refusal('option-unprintable', `The value of ${option} holds a control character or a line break.`);
  }
  return text;
}
