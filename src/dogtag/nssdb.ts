import { readFile, rename } from 'node:fs/promises';
import { failure } from '../errors.ts';
import { pathExists, removeEmptyFolder, removeTree } from '../host/files.ts';
import type { Host } from '../host/host.ts';
import { withPrivateFolder } from '../secret/private-file.ts';
import { Secret } from '../secret/secret.ts';

/** Dogtag's name of the NSS software token in password.conf. */
export const INTERNAL_TOKEN = 'internal';

/** The folder of an instance's configuration. */
export function instanceConfiguration(instance: string): string {
  return `/etc/pki/${instance}`;
}

/** The NSS database of an instance. */
export function nssDatabase(instance: string): string {
  return `${instanceConfiguration(instance)}/alias`;
}

/** The tokens that an instance logs in to, with their PINs; `undefined` stands for the internal token. */
export interface TokenPins {
  pin(token: string | undefined): Secret;
}

/**
 * Reads Dogtag's own store of PINs, `password.conf` (keys `internal` and `hardware-<token>`).
 * @throws CapstanError `token-pin-missing` from `pin` when Dogtag keeps none for that token
 */
export async function instancePins(instance: string): Promise<TokenPins> {
  const file = passwordFile(instance);
  const lines = (await readFile(file, 'utf8')).split('\n');
  return {
    pin(token) {
      const key = token === undefined ? INTERNAL_TOKEN : `hardware-${token}`;
      const line = lines.find((candidate) => candidate.startsWith(`${key}=`));
      if (line === undefined) {
        throw failure(
          'token-pin-missing',
          `${file} holds no password for the token ${token ?? INTERNAL_TOKEN}.`,
        );
      }
      return new Secret(line.slice(key.length + 1), `password of the token ${token ?? INTERNAL_TOKEN}`);
    },
  };
}

/** What an instance keeps passwords for, by the names in its `password.conf`: `internal`, `hardware-HSM`. */
export async function pinNames(instance: string): Promise<string[]> {
  const text = await readFile(passwordFile(instance), 'utf8');
  return text.split('\n').flatMap((line) => (line.includes('=') ? [line.slice(0, line.indexOf('='))] : []));
}

/** Dogtag's own store of PINs. */
export function passwordFile(instance: string): string {
  return `${instanceConfiguration(instance)}/password.conf`;
}

/**
 * Nicknames of the private keys in a token that has some, from `certutil -K`, which ends with 255 both for a token
 * without keys and for every error.
 * @throws CapstanError `command-failed`
 */
export async function privateKeys(
  host: Host,
  instance: string,
  token: string | undefined,
): Promise<string[]> {
  const pins = await instancePins(instance);
  const database = nssDatabase(instance);
  return withPrivateFolder(async (folder) => {
    const pinFile = folder.write('pin', pins.pin(token));
    const where = token === undefined ? [] : ['-h', token];
    const { stdout } = await host.run('certutil', ['-K', '-d', database, ...where, '-f', pinFile]);
    return parseKeyList(stdout);
  });
}

/** The nicknames in the output of `certutil -K` (number, type, key id, nickname), without the token in front. */
export function parseKeyList(output: string): string[] {
  const lines = output.matchAll(/^<\s*\d+>\s+\w+\s+[0-9a-f]+\s+(?:[^:\n]*:)?(.*)$/gm);
  return [...lines].map(([, nickname]) => (nickname ?? '').trim());
}

/**
 * Trust flags of the certificates in a token, by nickname. That a certificate has its key (`u`) shows only after a login.
 * @param token undefined for the internal one
 * @param pin with which certutil logs in to the token; the internal one tells without
 * @throws CapstanError `command-failed`
 */
export async function trustFlags(
  host: Host,
  instance: string,
  token?: { label: string; pin: Secret },
): Promise<Record<string, string>> {
  const list = async (more: readonly string[]) => {
    const { stdout } = await host.run('certutil', ['-L', '-d', nssDatabase(instance), ...more]);
    return parseTrust(stdout);
  };
  if (!token) return list([]);
  return withPrivateFolder((folder) => list(['-h', token.label, '-f', folder.write('pin', token.pin)]));
}

/** The nicknames and trust flags in the output of `certutil -L`, without the token in front. */
export function parseTrust(output: string): Record<string, string> {
  const lines = output.matchAll(/^(\S.*\S)\s+([A-Za-z]*,[A-Za-z]*,[A-Za-z]*)\s*$/gm);
  return Object.fromEntries(
    [...lines].map(([, name = '', flags = '']) => [name.replace(/^[^:]*:/, ''), flags]),
  );
}

/** A certificate of an instance's NSS database, PEM. @throws CapstanError `command-failed` */
export async function certificatePem(host: Host, instance: string, nickname: string): Promise<string> {
  const { stdout } = await host.run('certutil', ['-L', '-d', nssDatabase(instance), '-n', nickname, '-a']);
  return stdout.replaceAll('\r', '');
}

/**
 * A certificate on a token that Dogtag's password.conf has the PIN of, PEM.
 * @throws CapstanError `token-pin-missing`, `command-failed`
 */
export async function tokenCertificate(
  host: Host,
  instance: string,
  token: string,
  nickname: string,
): Promise<string> {
  const pins = await instancePins(instance);
  return withPrivateFolder(async (folder) => {
    const where = ['-d', nssDatabase(instance), '-h', token, '-f', folder.write('token', pins.pin(token))];
    const { stdout } = await host.run('certutil', ['-L', ...where, '-n', `${token}:${nickname}`, '-a']);
    return stdout;
  });
}

const SYSTEM_DATABASE = '/etc/pki/nssdb';
/** On the same file system, and nowhere that NSS looks. */
const SYSTEM_DRAFT = `${SYSTEM_DATABASE}.new`;
/** The one by which the database is known comes last. */
const SYSTEM_FILES = ['key4.db', 'pkcs11.txt', 'cert9.db'];

/**
 * Whether NSS's system database exists. Fedora ships it, Debian does not; without it certmonger
 * cannot read any certificate and goes straight to enrolling new ones (seen with 0.79.13).
 */
export async function hasSystemDatabase(): Promise<boolean> {
  return pathExists(`${SYSTEM_DATABASE}/cert9.db`);
}

/** Whether NSS's system database still holds nothing, as Capstan made it. @throws CapstanError `command-failed` */
export async function isSystemDatabaseEmpty(host: Host): Promise<boolean> {
  const { stdout } = await host.run('certutil', ['-L', '-d', `sql:${SYSTEM_DATABASE}`]);
  return !/,.*,/.test(stdout.replace(/^.*SSL,S\/MIME.*$/m, ''));
}

/** Removes NSS's system database, also one that is half made; its folder too, when nothing else is in it. */
export async function removeSystemDatabase(): Promise<void> {
  await removeTree(SYSTEM_DRAFT);
  for (const file of SYSTEM_FILES) await removeTree(`${SYSTEM_DATABASE}/${file}`);
  await removeEmptyFolder(SYSTEM_DATABASE);
}

/**
 * Makes NSS's system database, empty, readable for all. It takes its place last of all with the file by which
 * {@link hasSystemDatabase} knows it.
 * @throws CapstanError `command-failed`
 */
export async function makeSystemDatabase(host: Host): Promise<void> {
  await removeTree(SYSTEM_DRAFT);
  await host.run('mkdir', ['-p', SYSTEM_DRAFT, SYSTEM_DATABASE]);
  await host.run('certutil', ['-N', '--empty-password', '-d', `sql:${SYSTEM_DRAFT}`]);
  await host.run('chmod', ['644', ...SYSTEM_FILES.map((file) => `${SYSTEM_DRAFT}/${file}`)]);
  for (const file of SYSTEM_FILES) await rename(`${SYSTEM_DRAFT}/${file}`, `${SYSTEM_DATABASE}/${file}`);
  await removeTree(SYSTEM_DRAFT);
}
