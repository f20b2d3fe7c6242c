/** Small things that every text view needs. */

import { stripVTControlCharacters } from 'node:util';
import type { Wait } from '../../src/host/wait.ts';
import { redact } from '../../src/secret/redaction.ts';

/** One line of a sub-process as it may be shown: no secrets, no colours, no cursor movements, no control characters,
 * nothing that turns the direction of writing. */
export function cleanLine(line: string): string {
  return redact(stripVTControlCharacters(line))
    .replace(/[\p{Cc}\p{Bidi_Control}\u2028\u2029]+/gu, ' ')
    .trimEnd();
}

/** A text of several lines as it may be shown, each but the first one indented. */
export function cleanText(text: string, indentation: string): string {
  return text.trimEnd().split('\n').map(cleanLine).join(`\n${indentation}`);
}

/** A time span for people: `0.4 s`, `12.3 s`, `2 min 05 s`. */
export function duration(seconds: number): string {
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, '0')} s`;
}

/** What is being waited for, on one line that may be shown. */
export function waitSentence({ what, deadline }: Wait): string {
  return cleanLine(`waiting for ${what} (at most ${duration(deadline)})`);
}

/** What a stopped run did so far, and what an undo would take back: lines for a person. */
export function standingLines({
  done,
  undo,
}: {
  done: readonly string[];
  undo: readonly string[];
}): string[] {
  return [
    `Done so far: ${done.length > 0 ? done.join('; ') : 'nothing'}`,
    `Would be taken back: ${undo.length > 0 ? undo.join('; ') : 'nothing'}`,
  ].map(cleanLine);
}

const segmenter = new Intl.Segmenter();

/** How many places a text takes in a terminal, counting what a reader sees as one letter once. */
export function places(text: string): number {
  let count = 0;
  for (const _ of segmenter.segment(stripVTControlCharacters(text))) count++;
  return count;
}

/** The text cut to so many places, with `…` where something was cut. */
export function shortened(text: string, width: number): string {
  if (places(text) <= width) return text;
  const letters = [...segmenter.segment(text)].slice(0, Math.max(0, width - 1));
  return `${letters.map(({ segment }) => segment).join('')}…`;
}
