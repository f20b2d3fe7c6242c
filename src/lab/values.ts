import { randomInt } from 'node:crypto';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Secret } from '../secret/secret.ts';
import { labPlace } from './names.ts';
import { NETWORK_HSM, PASSWORD_LENGTH, PASSWORDS, SOFTHSM, VALUES_FOLDER } from './settings.ts';
import type { LabState } from './state.ts';

/** The names of the drawn values, which are also their files' names. */
export type PasswordName = keyof typeof PASSWORDS;

const NAMES = Object.keys(PASSWORDS) as PasswordName[];
const PRINTABLE = Array.from({ length: 95 }, (_, index) => String.fromCharCode(32 + index)).join('');
const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';

/**
 * A password of printable ASCII with a letter or digit at either end: no blank that a reader might trim,
 * and no leading hyphen that a program might take for an option.
 * @param length in characters, at least 2
 */
export function drawPassword(length: number = PASSWORD_LENGTH): string {
  const one = (alphabet: string) => alphabet.charAt(randomInt(alphabet.length));
  const middle = Array.from({ length: length - 2 }, () => one(PRINTABLE)).join('');
  return `${one(LETTERS)}${middle}${one(LETTERS)}`;
}

/** Draws a lab's passwords, once: those that are there stay for the life of the lab. */
export async function ensurePasswords(lab: string): Promise<void> {
  const { values } = labPlace(lab);
  await mkdir(values, { recursive: true, mode: 0o700 });
  for (const name of NAMES) {
    const file = join(values, name);
    const known = await readFile(file, 'utf8').catch(() => '');
    if (known === '') await writeFile(file, drawPassword(), { mode: 0o600, flush: true });
  }
}

/** One of a lab's passwords. */
export async function labPassword(lab: string, name: PasswordName): Promise<Secret> {
  return new Secret(await readFile(join(labPlace(lab).values, name), 'utf8'), PASSWORDS[name]);
}

/** The PKCS#11 library that the hosts of a lab load. */
export function libraryPath(state: LabState): string {
  return state.hsm === 'shared' ? SOFTHSM.library : NETWORK_HSM.library;
}

/** Writes the values that a rehearsal needs, one a file, below the root folder of a host. */
export async function writeValues(state: LabState, root: string): Promise<void> {
  const folder = join(root, VALUES_FOLDER);
  await mkdir(join(folder, '..'), { recursive: true, mode: 0o755 });
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await chmod(folder, 0o700);
  const passwords = await Promise.all(
    NAMES.map(async (name) => [name, (await labPassword(state.name, name)).reveal()] as const),
  );
  const values = { 'token-name': state.tokenName, 'library-path': libraryPath(state) };
  for (const [name, value] of [...Object.entries(values), ...passwords]) {
    await writeFile(join(folder, name), `${value}\n`, { mode: 0o600 });
  }
}
