import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { refusal } from '../errors.ts';

/**
 * Opens a file that must not be there yet for writing, for its owner alone, without following a link.
 * @param what what is to be written, for a refusal: `support bundle`
 * @param how how another file is named
 * @throws CapstanError `output-file-exists`, `output-file-unusable`
 */
export async function createNewFile(
  path: string,
  what: string,
  how = 'with --output-file',
): Promise<FileHandle> {
  const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
  let output: FileHandle | undefined;
  try {
    output = await open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
    // The file is new, but a default access list of its folder may have opened it.
    await output.chmod(0o600);
    return output;
  } catch (error) {
    await output?.close();
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') throw outputFileExists(path, what, how);
    throw refusal(
      'output-file-unusable',
      `The ${what} cannot be written to ${path}: ${(error as Error).message}`,
      `Name a new file in a folder that is there, ${how}.`,
      error,
    );
  }
}

/** The refusal of a name for a new file that is taken. @param what what is to be written: `support bundle` */
export function outputFileExists(path: string, what: string, how = 'with --output-file') {
  return refusal(
    'output-file-exists',
    `There is something at ${path} already, which the ${what} does not overwrite.`,
    `Name another file ${how}.`,
  );
}
