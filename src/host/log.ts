import { closeSync, constants, fchmodSync, fstatSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { refusal } from '../errors.ts';
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

/** A log that keeps nothing, for commands that change nothing. */
export const noLog: Log = { write: () => {}, close: () => {}, path: undefined };

/**
 * Opens a log file for appending, mode 0600, in a directory that is made if missing.
 * Only a regular file will do: a log written as root must not follow a symbolic link, nor take /dev/null from others.
 * What cannot be written later (a full disk) is left out, with a line about the gap as soon as there is room: the
 * undo that makes room must not fail for it.
 * @throws CapstanError `log-file-unusable`
 */
export function openLog(path: string): Log {
  let descriptor: number | undefined = openRegular(path);
  let missing = 0;
  return {
    path,
    write(text) {
      if (descriptor === undefined) return;
      const now = new Date().toISOString();
      // On a line of its own: the last entry may have been cut off.
      const gap =
        missing > 0 ? `\n${now} ${missing} entries are missing here: the file could not be written\n` : '';
      try {
        writeSync(descriptor, `${gap}${now} ${redact(text).replaceAll('\n', '\n    ')}\n`);
        missing = 0;
      } catch {
        missing += 1;
      }
    },
    close() {
      if (descriptor !== undefined) closeSync(descriptor);
      descriptor = undefined;
    },
  };
}

function openRegular(path: string): number {
  const { O_WRONLY, O_APPEND, O_CREAT, O_NOFOLLOW, O_NONBLOCK } = constants;
  let descriptor: number | undefined;
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
    // O_NONBLOCK: a pipe without a reader would otherwise be waited for without end.
    descriptor = openSync(path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0o600);
    if (!fstatSync(descriptor).isFile()) throw new Error('it is not a regular file');
    fchmodSync(descriptor, 0o600);
    return descriptor;
  } catch (error) {
    if (descriptor !== undefined) closeSync(descriptor);
    throw refusal(
      'log-file-unusable',
      `The log file ${path} cannot be written: ${(error as Error).message}`,
      'Name another file with --log-file; it must be a regular one and no symbolic link.',
      error,
    );
  }
}
