import { closeSync, constants, fstatSync, openSync, readSync, type Stats, statSync } from 'node:fs';
import { type CapstanError, refusal } from '../errors.ts';
import { flawOfPath } from '../names/path.ts';
import { quoted } from '../names/quoted.ts';

/** The most bytes that a file with a secret may hold. */
export const LONGEST_SECRET_FILE = 4096;

/** What a file with a secret has to be. */
const ALONE = 'Leave the password alone in it, on one line.';

/** How strictly a file is looked at before it is believed. */
export interface SecretFileRules {
  /** Lets a file pass that others may read, or that another user owns. */
  exposed?: boolean;
}

/**
 * The one line of text that a file holds, without its newline; nothing else is trimmed.
 * @throws CapstanError `secret-file-missing`, `secret-file-unusable`, `secret-file-exposed`
 */
export function readSecretFile(path: string, rules: SecretFileRules = {}): string {
  const flaw = flawOfPath(path);
  if (flaw) throw unusable(quoted(path), flaw, 'Give the path of a file of one line.');
  // Looked at before it is opened: opening a pipe wakes who writes to it, opening a watchdog starts it.
  requireFile(path, look(path));
  const descriptor = open(path);
  try {
    const file = fstatSync(descriptor);
    requireFile(path, file);
    if (!rules.exposed) refuseExposed(path, file.uid, file.mode);
    return singleLine(readAll(descriptor), path);
  } finally {
    closeSync(descriptor);
  }
}

function requireFile(path: string, file: Stats): void {
  if (file.isFile()) return;
  throw unusable(path, 'is not a regular file', 'To hand over a secret through a pipe, name - as the file.');
}

function look(path: string): Stats {
  try {
    return statSync(path);
  } catch (error) {
    throw unreachable(path, error as NodeJS.ErrnoException);
  }
}

function open(path: string): number {
  try {
    // O_NONBLOCK: a pipe that was put in the place of the file would be waited for without end.
    return openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch (error) {
    throw unreachable(path, error as NodeJS.ErrnoException);
  }
}

function unreachable(path: string, error: NodeJS.ErrnoException): CapstanError {
  if (error.code === 'ENOENT') {
    return refusal(
      'secret-file-missing',
      `The password file ${path} does not exist.`,
      'Check the path; a symbolic link must lead to a file.',
      error,
    );
  }
  return unusable(path, `cannot be opened (${error.code})`, 'Check the path and the permissions.', error);
}

function refuseExposed(path: string, uid: number, mode: number): void {
  const own = process.getuid?.() ?? 0;
  if (uid !== 0 && uid !== own) {
    throw refusal(
      'secret-file-exposed',
      `The password file ${path} belongs to another user (uid ${uid}), who can read and change it.`,
      `Run: chown root: ${path} && chmod 600 ${path}`,
    );
  }
  if ((mode & 0o066) !== 0) {
    const octal = (mode & 0o777).toString(8).padStart(4, '0');
    throw refusal(
      'secret-file-exposed',
      `The password file ${path} can be read or written by other users (mode ${octal}).`,
      `Run: chmod 600 ${path} (or, where that is impossible, add --allow-exposed-password-files)`,
    );
  }
}

function readAll(descriptor: number): Buffer {
  const buffer = Buffer.alloc(LONGEST_SECRET_FILE + 1);
  let length = 0;
  for (;;) {
    const read = readSync(descriptor, buffer, length, buffer.length - length, null);
    if (read === 0) return buffer.subarray(0, length);
    length += read;
  }
}

/**
 * The single line that bytes hold.
 * @param where what they come from, for the refusal: a path, or `standard input`
 * @throws CapstanError `secret-file-unusable`
 */
export function singleLine(bytes: Uint8Array, where: string): string {
  if (bytes.length > LONGEST_SECRET_FILE) {
    throw unusable(where, `holds more than ${LONGEST_SECRET_FILE} bytes`, ALONE);
  }
  const line = decode(bytes, where).replace(/\n$/, '');
  if (line === '') throw unusable(where, 'is empty', ALONE);
  if (line.endsWith('\r')) {
    throw unusable(where, 'ends its line as Windows does (CR LF)', 'Remove the carriage return.');
  }
  if (line.includes('\n')) {
    throw unusable(where, 'holds more than one line', ALONE);
  }
  const flaw = flawOfSecret(line);
  if (flaw) throw unusable(where, flaw, 'Choose a password of printable characters.');
  return line;
}

function decode(bytes: Uint8Array, where: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    throw unusable(where, 'is not UTF-8 text', 'Save it as UTF-8.', error);
  }
}

/** Why a text cannot be a secret that is typed or written on one line; undefined when it can. */
export function flawOfSecret(text: string): string | undefined {
  if (text.startsWith('\ufeff')) return 'starts with a byte order mark';
  if (text.includes('\u0000')) return 'holds a NUL character';
  if (/\p{Cc}/u.test(text)) return 'holds a control character';
  // Node puts U+FFFD in the place of bytes that are no UTF-8 in an argument: another password than was meant.
  if (!text.isWellFormed() || text.includes('\ufffd')) {
    return 'holds the character U+FFFD, which stands for bytes that are no UTF-8';
  }
  // pkispawn strips every line that it reads, and password.conf joins a line that ends in a backslash with the next.
  if (text.trim() !== text) return 'begins or ends with a blank, which Dogtag does not keep';
  if (text.endsWith('\\')) return 'ends with a backslash, which Dogtag does not keep';
  return undefined;
}

function unusable(where: string, flaw: string, next: string, cause?: unknown): CapstanError {
  const what = where === 'standard input' ? 'The password on standard input' : `The password file ${where}`;
  return refusal('secret-file-unusable', `${what} ${flaw}.`, next, cause);
}
