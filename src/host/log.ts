import { closeSync, constants, fchmodSync, mkdirSync, openSync, writeSync } from 'node:fs';
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
 * A symbolic link in the file's place is refused: a log written as root must not follow one.
 * @throws CapstanError `log-file-unusable`
 */
export function openLog(path: string): Log {
  const flags = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW;
  let descriptor: number | undefined;
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
    descriptor = openSync(path, flags, 0o600);
    fchmodSync(descriptor, 0o600);
  } catch (error) {
    throw refusal(
      'log-file-unusable',
      `The log file ${path} cannot be written: ${(error as Error).message}`,
      'Name another file with --log-file; it must not be a symbolic link.',
      error,
    );
  }
  return {
    path,
    write(text) {
      if (descriptor === undefined) return;
      writeSync(descriptor, `${new Date().toISOString()} ${redact(text).replaceAll('\n', '\n    ')}\n`);
    },
    close() {
      if (descriptor !== undefined) closeSync(descriptor);
      descriptor = undefined;
    },
  };
}
