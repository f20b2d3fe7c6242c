/**
 * The index of an offline root: what it did, one line of JSON each, never changed, only added to. Each line carries the
 * SHA-256 of the one before, so that a line that is taken out or changed is noticed. Pure.
 */

import { type CapstanError, failure } from '../errors.ts';
import type { Reason } from './crl.ts';
import { sha256 } from './x509.ts';

/** What was done. Serials, fingerprints and key ids are lower-case hex; times are ISO 8601. */
export type IndexEvent =
  | {
      event: 'ceremony-begun';
      /** The key that is about to be made. */
      key: { id: string; label: string };
      token: { label: string; serial: string };
      /** Files that this ceremony makes. */
      files: string[];
      config: string;
    }
  | { event: 'root-issued'; serial: string; fingerprint: string; subject: string; notAfter: string }
  | { event: 'reserved'; serial: string; subject: string; profile: string; csr: string }
  | { event: 'issued'; serial: string; fingerprint: string; notAfter: string }
  | { event: 'revoked'; serial: string; reason: Reason; date: string }
  | { event: 'crl-reserved'; number: number }
  | { event: 'crl-issued'; number: number; fingerprint: string; nextUpdate: string };

/** An event with what every line has. */
export type IndexLine = IndexEvent & { time: string; previous: string };

/** What an index says. */
export interface RootIndex {
  lines: readonly IndexLine[];
  /** SHA-256 of the last line; what the next one carries. */
  last: string;
  begun: Extract<IndexLine, { event: 'ceremony-begun' }>;
  /** Undefined where the ceremony did not come to its end. */
  root: Extract<IndexLine, { event: 'root-issued' }> | undefined;
}

const START = '0'.repeat(64);

/** The line that is added for an event. @param last {@link RootIndex.last}; nothing for the first line */
export function indexLine(event: IndexEvent, time: Date, last = START): { text: string; hash: string } {
  const text = JSON.stringify({ ...event, time: time.toISOString(), previous: last });
  return { text: `${text}\n`, hash: sha256(text) };
}

/**
 * Reads an index and checks that no line of it was changed or taken out.
 * @param file its path, for the errors
 * @throws CapstanError `root-index-damaged`
 */
export function readIndex(content: string, file: string): RootIndex {
  const texts = content.split('\n');
  const tail = texts.pop();
  if (texts.length === 0) throw hollow(file);
  if (tail !== '')
    throw damaged(file, texts.length + 1, 'it is not complete: a run was killed while it wrote it', tail);
  let last = START;
  const lines = texts.map((text, index) => {
    const line = parseLine(text);
    if (!line) throw damaged(file, index + 1, 'it is no line of an index');
    if (line.previous !== last)
      throw damaged(file, index + 1, 'it does not follow the one before: one was changed or taken out');
    last = sha256(text);
    return line;
  });
  const [begun] = lines;
  if (begun?.event !== 'ceremony-begun') throw damaged(file, 1, 'it does not begin a ceremony');
  const root = lines.find((line) => line.event === 'root-issued');
  return { lines, last, begun, root };
}

function parseLine(text: string): IndexLine | undefined {
  try {
    const line = JSON.parse(text) as IndexLine;
    return typeof line.event === 'string' && typeof line.previous === 'string' ? line : undefined;
  } catch {
    return undefined;
  }
}

/** The first line is on disk before anything else is made. */
function hollow(file: string): CapstanError {
  return failure(
    'root-index-damaged',
    `The index ${file} has no whole line: a run was killed when it had just begun.`,
    `Nothing else was made. Remove it: rm ${file}`,
  );
}

function damaged(file: string, line: number, flaw: string, tail?: string): CapstanError {
  return failure(
    'root-index-damaged',
    `Line ${line} of the index ${file} is wrong: ${flaw}.`,
    tail === undefined
      ? 'Restore the file from its backup, or from the copies that the transcripts name by their SHA-256.'
      : `Nothing came of what it was about to record. Take the line off, with: truncate --size=-${Buffer.byteLength(tail)} ${file}`,
  );
}

/** Serials that no certificate may get any more: issued ones, and those that a run was about to issue. */
export function usedSerials({ lines }: RootIndex): Set<string> {
  return new Set(lines.flatMap((line) => ('serial' in line ? [line.serial] : [])));
}

/** What became of each serial that the root certified. */
export function issuedSerials({
  lines,
}: RootIndex): Map<string, { subject: string; state: 'reserved' | 'issued' | 'revoked' }> {
  const found = new Map<string, { subject: string; state: 'reserved' | 'issued' | 'revoked' }>();
  for (const line of lines) {
    if (line.event === 'reserved') found.set(line.serial, { subject: line.subject, state: 'reserved' });
    const one = 'serial' in line ? found.get(line.serial) : undefined;
    if (one && (line.event === 'issued' || line.event === 'revoked')) one.state = line.event;
  }
  return found;
}

/** What is revoked, in the order in which it was. */
export function revokedSerials({ lines }: RootIndex): { serial: string; date: Date; reason: Reason }[] {
  return lines.flatMap((line) =>
    line.event === 'revoked' ? [{ serial: line.serial, date: new Date(line.date), reason: line.reason }] : [],
  );
}

/** The number of the next CRL: above every one that was, or was about to be, issued (RFC 5280, 5.2.3). */
export function nextCrlNumber({ lines }: RootIndex): number {
  return 1 + Math.max(0, ...lines.map((line) => ('number' in line ? line.number : 0)));
}
