/** The longest part of a value that a sentence repeats, in characters; enough to recognise it by. */
const SHOWN = 100;

/**
 * A value as it may stand in a sentence: in double quotes, control characters and quotes escaped as in JSON, and only
 * its beginning where it is long.
 */
export function quoted(text: string): string {
  const letters = [...text];
  if (letters.length <= SHOWN) return JSON.stringify(text);
  return `${JSON.stringify(`${letters.slice(0, SHOWN).join('')}…`)} (${letters.length} characters)`;
}
