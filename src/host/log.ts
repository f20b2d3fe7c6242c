import {
  accessSync,
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readSync,
  rmdirSync,
  type Stats,
  statSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { type CapstanError, refusal } from '../errors.ts';
import { flawOfPath } from '../names/path.ts';
import { quoted } from '../names/quoted.ts';
import { redact } from '../secret/redaction.ts';

/** Where the story of a run is written, line by line, without secrets. */
export interface Log {
  /** Adds one entry; several lines in it stay together. */
  write(text: string): void;
  /** Ends the log. Later entries are dropped. */
  close(): void;
  /** The file's path, or undefined where nothing is kept. */
  readonly path: string | undefined;
}

/** The log of a run that may yet be refused: nothing is on disk before it is kept. */
export interface RunLog extends Log {
  /**
   * Puts the entries so far into the file; later ones are written at once. Safe to call twice.
   * @throws CapstanError `log-file-unusable`
   */
  keep(): void;
}

/** A log that keeps nothing, for commands that change nothing. */
export const noLog: RunLog = { write: () => {}, keep: () => {}, close: () => {}, path: undefined };

/**
 * Opens a log file for appending, mode 0600, in a directory that is made if missing.
 * What cannot be written later (a full disk) is left out, with a line about the gap as soon as there is room: the
 * undo that makes room must not fail for it.
 * @throws CapstanError `log-file-unusable`; see {@link holdLog}
 */
export function openLog(path: string): Log {
  const log = holdLog(path);
  log.keep();
  return log;
}

/**
 * A log whose file is judged now, and made or touched only when the log is kept.
 * Only a regular file with one name will do, that belongs to root or the caller and holds a log or nothing: what is
 * written as root must not follow a link, take /dev/null from others, or be added to another program's file.
 * @throws CapstanError `log-file-unusable`
 */
export function holdLog(path: string): RunLog {
  judge(path);
  let descriptor: number | undefined;
  let held: string[] | undefined = [];
  let missing = 0;
  const put = (entry: string) => {
    if (descriptor === undefined) return;
    // On a line of its own: the last entry may have been cut off.
    const gap =
      missing > 0 ? `\n${now()} ${missing} entries are missing here: the file could not be written\n` : '';
    try {
      writeSync(descriptor, `${gap}${entry}`);
      missing = 0;
    } catch {
      missing += 1;
    }
  };
  return {
    path,
    keep() {
      if (!held) return;
      descriptor = openRegular(path);
      for (const entry of held) put(entry);
      held = undefined;
    },
    write(text) {
      const entry = `${now()} ${redact(text).replaceAll('\n', '\n    ')}\n`;
      if (held) held.push(entry);
      else put(entry);
    },
    close() {
      if (descriptor !== undefined) closeSync(descriptor);
      descriptor = undefined;
      held = undefined;
    },
  };
}

function now(): string {
  return new Date().toISOString();
}

/** Judges a path without touching anything. */
function judge(path: string): void {
  const flaw = path === '-' ? 'would be named "-", which stands for no file here' : flawOfPath(path);
  if (flaw) throw unusable(path, `it ${flaw}`);
  try {
    requireFolder(path);
    const file = lstatSync(path, { throwIfNoEntry: false });
    if (!file) return;
    requireOwn(path, file);
    requireLog(path);
  } catch (error) {
    throw unusableBy(path, error);
  }
}

function requireOwn(path: string, file: Stats): void {
  const own = process.getuid?.() ?? 0;
  if (file.isSymbolicLink()) throw unusable(path, 'it is a symbolic link');
  if (!file.isFile()) throw unusable(path, 'it is not a regular file');
  if (file.nlink > 1) throw unusable(path, 'it has a second name (hard link)');
  if (file.uid !== 0 && file.uid !== own)
    throw unusable(path, `it belongs to another user (uid ${file.uid})`);
}

/** How an entry begins; a line feed comes first where the one before was cut off. */
const ENTRY = /^\n?\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z /;

function requireLog(path: string): void {
  const descriptor = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const buffer = Buffer.alloc(32);
    const beginning = buffer.toString('latin1', 0, readSync(descriptor, buffer, 0, buffer.length, 0));
    if (beginning !== '' && !ENTRY.test(beginning)) {
      throw unusable(path, 'it holds something else than a log of Capstan');
    }
  } finally {
    closeSync(descriptor);
  }
}

/** Only its owner may replace a file in such a folder (S_ISVTX, inode(7)). */
const STICKY = 0o1000;

/** The nearest folder that is there must be one, and one in which others cannot put a link in the file's place. */
function requireFolder(path: string): void {
  const folder = dirname(path);
  const found = statSync(folder, { throwIfNoEntry: false });
  if (!found) {
    // A link that leads nowhere is there all the same, and no folder can be made in its place.
    if (lstatSync(folder, { throwIfNoEntry: false })) {
      throw unusable(path, `${folder} is a symbolic link that leads nowhere`);
    }
    requireFolder(folder);
    return;
  }
  if (!found.isDirectory()) throw unusable(path, `${folder} is not a folder`);
  const isSticky = (found.mode & STICKY) !== 0;
  if ((found.mode & constants.S_IWOTH) !== 0 && !isSticky) {
    throw unusable(path, `any user may write to ${folder}`);
  }
  accessSync(folder, constants.W_OK | constants.X_OK);
}

function openRegular(path: string): number {
  const { O_WRONLY, O_APPEND, O_CREAT, O_NOFOLLOW, O_NONBLOCK } = constants;
  let descriptor: number | undefined;
  let made: string | undefined;
  try {
    made = mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
    // O_NONBLOCK: a pipe without a reader would otherwise be waited for without end.
    descriptor = openSync(path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0o600);
    requireOwn(path, fstatSync(descriptor));
    fchmodSync(descriptor, 0o600);
    return descriptor;
  } catch (error) {
    if (descriptor !== undefined) closeSync(descriptor);
    if (made !== undefined) removeFolders(dirname(path), made);
    throw unusableBy(path, error);
  }
}

/** Removes the empty folders from one up to another that is above it. */
function removeFolders(from: string, to: string): void {
  try {
    rmdirSync(from);
  } catch {
    return;
  }
  if (from !== to) removeFolders(dirname(from), to);
}

function unusableBy(path: string, error: unknown): CapstanError {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'log-file-unusable') return error as CapstanError;
  return unusable(path, code ?? message, error);
}

function unusable(path: string, why: string, cause?: unknown): CapstanError {
  return refusal(
    'log-file-unusable',
    `The log file ${quoted(path)} (--log-file) cannot be written: ${why}.`,
    'Name another file with --log-file: a new one, or a log of Capstan.',
    cause,
  );
}
