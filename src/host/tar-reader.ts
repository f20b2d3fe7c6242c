import { type CapstanError, failure } from '../errors.ts';
import { type TarFile, tarBlocks } from './tar.ts';

/** How much an archive may hold. */
export interface TarLimits {
  files: number;
  /** Bytes of the whole archive. */
  bytes: number;
}

const BLOCK = 512;
const REGULAR = '0';

/** A file, or a file in one folder. No part begins with a dot, so that none is `.` or `..`. */
const PATH = /^[\w-][\w.-]*(?:\/[\w-][\w.-]*)?$/;

/**
 * The files of an archive that {@link tarBlocks} wrote, and of no other: it is written once more and compared, so that
 * a link, a device, a second name, a header of another form or anything behind the end cannot hide in it.
 * @throws CapstanError `archive-invalid`
 */
export function readTar(archive: Buffer, limits: TarLimits): TarFile[] {
  if (archive.length > limits.bytes) throw invalid(`it has ${archive.length} bytes`);
  const files: TarFile[] = [];
  const seen = new Set<string>();
  let at = 0;
  while (at + BLOCK <= archive.length && archive[at] !== 0) {
    const file = memberAt(archive, at);
    if (seen.has(file.path)) throw invalid(`${JSON.stringify(file.path)} is in it twice`);
    if (files.length === limits.files) throw invalid(`it has more than ${limits.files} files`);
    seen.add(file.path);
    files.push(file);
    at += BLOCK + Math.ceil(file.content.length / BLOCK) * BLOCK;
  }
  if (Buffer.concat([...tarBlocks(files)]).equals(archive)) return files;
  throw invalid('it is not of the form that Capstan writes');
}

function memberAt(archive: Buffer, at: number): TarFile {
  const header = archive.subarray(at, at + BLOCK);
  const path = header.toString('latin1', 0, 100).replace(/\0+$/, '');
  if (!PATH.test(path)) throw invalid(`the path ${JSON.stringify(path)} must not be in it`);
  if (header.toString('latin1', 156, 157) !== REGULAR) {
    throw invalid(`${JSON.stringify(path)} is not a regular file`);
  }
  const size = octal(header, 124);
  const content = archive.subarray(at + BLOCK, at + BLOCK + size);
  if (content.length !== size) throw invalid(`${JSON.stringify(path)} is cut off`);
  return { path, content, modified: new Date(octal(header, 136) * 1000) };
}

/** A number of eleven octal digits and a NUL (pax(1), "ustar Interchange Format"). */
function octal(header: Buffer, at: number): number {
  const digits = header.toString('latin1', at, at + 12);
  if (!/^[0-7]{11}\0$/.test(digits)) throw invalid('a number in it is none');
  return Number.parseInt(digits, 8);
}

function invalid(why: string): CapstanError {
  return failure('archive-invalid', `The archive cannot be unpacked: ${why}.`);
}
