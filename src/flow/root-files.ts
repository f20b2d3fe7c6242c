/** The files of an offline root: its ceremony file, its index, and what it puts out, each written once. */
import { constants } from 'node:fs';
import { open, readFile, stat, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { CapstanError, EXIT_REFUSED, failure, refusal, sentenceOf } from '../errors.ts';
import { pathExists, syncFolder } from '../host/files.ts';
import { type Lock, lockHolder, takeLock } from '../host/lock.ts';
import { createNewFile, outputFileExists } from '../host/new-file.ts';
import { type RootConfig, readRootConfig } from '../root/config.ts';
import { type IndexEvent, indexLine, type RootIndex, readIndex } from '../root/index-file.ts';
import { derIn, sha256 } from '../root/x509.ts';

export type { RootConfig };

/** The longest ceremony file and certificate that are read, in bytes. */
const LONGEST = 1_000_000;

/**
 * Reads the ceremony file; the paths in it count from its folder.
 * @throws CapstanError `root-config-missing`; a PreflightError with `root-config-invalid`
 */
export async function loadRootConfig(file: string): Promise<RootConfig> {
  const next = 'Give the ceremony file with --config.';
  return readRootConfig(
    await readSmall(file, 'root-config-missing', 'ceremony file', next),
    file,
    dirname(file),
  );
}

/** The bytes of a regular file of a sensible size. @throws CapstanError of this code */
export async function readSmall(file: string, code: string, what: string, next: string): Promise<Buffer> {
  const refused = (why: string, cause?: unknown) =>
    refusal(code, `The ${what} ${file} cannot be read: ${why}.`, next, cause);
  try {
    const { size, isFile } = await stat(file).then((one) => ({ size: one.size, isFile: one.isFile() }));
    if (!isFile) throw refused('it is no regular file');
    if (size > LONGEST) throw refused(`it has ${size} bytes`);
    return await readFile(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).syscall === undefined) throw error;
    throw refused(sentenceOf(error), error);
  }
}

/** What is wrong with where something is to be written; undefined when it can be. @param how how another is named */
export async function flawOfOutput(
  path: string,
  what: string,
  how: string,
): Promise<CapstanError | undefined> {
  if (await pathExists(path)) return outputFileExists(path, what, how);
  const folder = await stat(dirname(path)).catch(() => undefined);
  if (folder?.isDirectory()) return undefined;
  return refusal(
    'output-file-unusable',
    `The ${what} cannot be written to ${path}: there is no folder ${dirname(path)}.`,
    `Make the folder, or name another file ${how}.`,
  );
}

/**
 * Writes a file that must not be there; on disk when this returns, or gone when it fails.
 * @param how how another file is named
 * @returns the SHA-256 of its bytes, in hex
 * @throws CapstanError `output-file-exists`, `output-file-unusable`
 */
export async function writeOutput(
  path: string,
  content: string,
  { what, how, mode = 0o600 }: { what: string; how: string; mode?: number },
): Promise<string> {
  const output = await createNewFile(path, what, how);
  try {
    await output.writeFile(content);
    await output.chmod(mode);
    await output.sync();
    await syncFolder(dirname(path));
  } catch (error) {
    await unlink(path).catch(() => {});
    throw refusal(
      'output-file-unusable',
      `The ${what} cannot be written to ${path}: ${sentenceOf(error)}`,
      `Name a file where there is room, ${how}.`,
      error,
    );
  } finally {
    await output.close();
  }
  return sha256(content);
}

/** What a run of the root puts out, and the line of the index that tells of it. */
export interface Output {
  path: string;
  content: string;
  /** `certificate`, `CRL` */
  what: string;
  /** The path of the transcript. */
  transcript: string;
  /** How other files are named. */
  how: string;
  index: string;
  /** What the line is to carry. */
  last: string;
  event: IndexEvent;
}

/**
 * Writes what was made and its transcript, and tells the index last of all; when it fails, the two files are gone.
 * @param story the text of the transcript, from the SHA-256 of what it names
 * @returns the SHA-256 of the transcript, in hex
 * @throws CapstanError `output-file-exists`, `output-file-unusable`, both as failures: by now something was made
 */
export async function putOut(
  { path, content, what, transcript, how, index, last, event }: Output,
  story: (digests: [file: string, sha256: string][], head: string) => string,
): Promise<string> {
  const made: string[] = [];
  try {
    const written = await writeOutput(path, content, { what, how, mode: 0o644 });
    made.push(path);
    const line = indexLine(event, new Date(), last);
    const text = story([[path, written]], line.hash);
    const digest = await writeOutput(transcript, text, { what: 'transcript', how });
    made.push(transcript);
    await append(index, line.text);
    return digest;
  } catch (error) {
    for (const file of made) await unlink(file).catch(() => {});
    if (!(error instanceof CapstanError) || error.exit !== EXIT_REFUSED) throw error;
    throw failure(error.code, error.message, error.next, error.cause);
  }
}

/** Reads the index of a root. @throws CapstanError `root-index-missing`, `root-index-damaged` */
export async function loadIndex(file: string): Promise<RootIndex> {
  const next = 'Make the root first: capstan root init. If it was made, restore the index from its backup.';
  return readIndex((await readSmall(file, 'root-index-missing', 'index', next)).toString('utf8'), file);
}

/** Adds a line to an index, on disk when this returns. @returns what the next line is to carry */
export async function addToIndex(file: string, last: string, event: IndexEvent): Promise<string> {
  const { text, hash } = indexLine(event, new Date(), last);
  await append(file, text);
  return hash;
}

async function append(file: string, text: string): Promise<void> {
  const { O_WRONLY, O_APPEND, O_NOFOLLOW } = constants;
  const handle = await open(file, O_WRONLY | O_APPEND | O_NOFOLLOW);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/**
 * The certificate of a root whose ceremony came to its end.
 * @returns its DER
 * @throws CapstanError `root-ceremony-unfinished`, `root-certificate-missing`, `root-certificate-differs`
 */
export async function loadRootCertificate(config: RootConfig, index: RootIndex): Promise<Buffer> {
  const { certificate } = config.outputs;
  if (!index.root) throw unfinishedCeremony(config, index);
  const next = 'Put the certificate of the root back to its place.';
  const bytes = await readSmall(certificate, 'root-certificate-missing', 'certificate of the root', next);
  const der = derIn(bytes, ['CERTIFICATE']);
  if (der && sha256(der) === index.root.fingerprint) return der;
  throw refusal(
    'root-certificate-differs',
    `${certificate} is not the certificate that the index ${config.outputs.index} tells of (SHA-256 ${index.root.fingerprint}).`,
    next,
  );
}

/** What a ceremony left that was killed. */
export function unfinishedCeremony({ outputs }: RootConfig, { begun }: RootIndex): CapstanError {
  const { key, token, files, time } = begun;
  return refusal(
    'root-ceremony-unfinished',
    `A ceremony that began at ${time} was ended before it was finished. It may have left: on the token "${token.label}" (serial ${token.serial}) the key "${key.label}" with the id ${key.id}; the files ${files.join(', ')}; the index ${outputs.index}.`,
    'Take it back, and nothing else: capstan root init --undo --config FILE',
  );
}

/**
 * Keeps other runs away from an index while `work` lasts.
 * @throws CapstanError `root-busy`
 */
export async function withRoot<T>(config: RootConfig, work: () => Promise<T>): Promise<T> {
  const name = `root ${config.outputs.index}`;
  const lock: Lock | undefined = await takeLock(name, `process ${process.pid}`);
  if (!lock) {
    throw refusal(
      'root-busy',
      `Another run is at work on this root: ${(await lockHolder(name)) || 'it does not say which'}.`,
      'Wait for it to end, then run the command again.',
    );
  }
  try {
    return await work();
  } finally {
    await lock.release();
  }
}
