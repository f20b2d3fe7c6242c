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
 * @throws CapstanError `option-missing`, `option-unprintable`, `option-too-long`, and those of the field's `parse`
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

/** The longest value of an option that is no file and no password, in characters; every real one is far shorter. */
const LONGEST = 1000;

/**
 * The text of an option, which must be printable and of a sensible length: no control character, no line break, no NUL,
 * nothing that turns the direction of what follows.
 * @throws CapstanError `option-unprintable`, `option-too-long`
 */
export function printable(option: string, text: string): string {
  const flaw = unprintable(text);
  if (flaw) {
    throw refusal(
      'option-unprintable',
      `The value of ${option} holds ${flaw}.`,
      'Type it again, in printable characters (UTF-8).',
    );
  }
  if (text.length > LONGEST) {
    throw refusal(
      'option-too-long',
      `The value of ${option} has ${text.length} characters; at most ${LONGEST} are taken.`,
      'Look whether something else was put in its place.',
    );
  }
  return text;
}

function unprintable(text: string): string | undefined {
  if (/[\p{Cc}\u2028\u2029]/u.test(text)) return 'a control character or a line break';
  if (/\p{Bidi_Control}/u.test(text)) return 'a character that turns the direction of writing';
  // Node puts U+FFFD in the place of bytes that are no UTF-8 in an argument: another name than was meant.
  if (!text.isWellFormed() || text.includes('\ufffd')) return 'bytes that are not UTF-8';
  return undefined;
}
