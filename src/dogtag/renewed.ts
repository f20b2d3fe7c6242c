/** The copies of a certificate that an instance keeps beside its token, and what becomes of them when it is renewed. */
import { X509Certificate } from 'node:crypto';
import { mkdir, readdir, symlink, unlink } from 'node:fs/promises';
import { failure } from '../errors.ts';
import { editFile, pathExists } from '../host/files.ts';
import type { Host } from '../host/host.ts';
import { isActive } from '../host/services.ts';
import { pemCertificates } from '../names/pem.ts';
import { withPrivateFolder } from '../secret/private-file.ts';
import { hasTrust, parseTrust } from './clone-trust.ts';
import { instanceUnit } from './destroy.ts';
import { ABOVE, CA_TRUST } from './external-chain.ts';
import { instanceConfiguration, instancePins, nssDatabase } from './nssdb.ts';

/** Whether one certificate is another one's renewal: the same name for the same key, in other bytes. */
export function isRenewalOf(certificate: X509Certificate, old: X509Certificate): boolean {
  return (
    certificate.subject === old.subject &&
    certificate.publicKey.equals(old.publicKey) &&
    !certificate.raw.equals(old.raw)
  );
}

/**
 * The text of a CS.cfg with each copy of a certificate that was renewed replaced by the new one, whatever the parameter is
 * called: `ca.signing.cert`, `kra.transport.cert`, `ca.connector.KRA.transportCert`. From Dogtag 11.5 on there are none.
 */
export function withRenewed(text: string, renewed: readonly X509Certificate[]): string {
  const lines = text.split('\n').map((line) => {
    const [, key = '', value = ''] = /^([^#=]+[cC]ert)=(MI[A-Za-z0-9+/=]{200,})\s*$/.exec(line) ?? [];
    const old = value && certificateOf(value);
    const found = old && renewed.find((certificate) => isRenewalOf(certificate, old));
    return found ? `${key}=${found.raw.toString('base64')}` : line;
  });
  return lines.join('\n');
}

function certificateOf(base64: string): X509Certificate | undefined {
  try {
    return new X509Certificate(Buffer.from(base64, 'base64'));
  } catch {
    return undefined;
  }
}

/**
 * Puts renewed certificates into the configurations of all subsystems of an instance.
 * @throws CapstanError `dogtag-running`: Dogtag writes its configuration from memory and would undo this
 */
export async function refreshConfigurations(
  host: Host,
  instance: string,
  renewed: readonly X509Certificate[],
): Promise<void> {
  if (await isActive(host, instanceUnit(instance))) {
    throw failure('dogtag-running', `${instanceUnit(instance)} runs; its configuration cannot be changed.`);
  }
  const folder = instanceConfiguration(instance);
  for (const name of await readdir(folder)) {
    const file = `${folder}/${name}/CS.cfg`;
    if (await pathExists(file)) await editFile(file, (text) => withRenewed(text, renewed));
  }
}

/** A certificate as the internal token is to have it. */
export interface InternalCopy {
  nickname: string;
  certificate: X509Certificate;
  /** The flags that it must have, certutil(1)'s; undefined where a copy is kept only if there is one. */
  trust: string | undefined;
}

/**
 * Has the internal token of an instance hold exactly one certificate under each nickname, with its flags. Its keys are not
 * touched. certmonger takes the copy of a certificate that it saves on another token away with the old one
 * (0.79.13, `certsave-n.c`), so that a copy with flags is made where there is none.
 * @throws CapstanError `command-failed`, `internal-copy-missing`
 */
export async function refreshInternalToken(
  host: Host,
  instance: string,
  copies: readonly InternalCopy[],
): Promise<void> {
  await withInternalToken(host, instance, async (database, withPin) => {
    for (const copy of copies) await refreshCopy(host, database, withPin, copy);
  });
}

/**
 * Has the internal token of an instance trust the authorities above its CA, and none that were above it before.
 * @param chain PEM, the certificate of the CA first, its issuer next, the root last
 * @throws CapstanError `command-failed`, `internal-copy-missing`
 */
export async function refreshAbove(host: Host, instance: string, chain: string): Promise<void> {
  const above = pemCertificates(chain).slice(1);
  const copies = above.map((pem, index) => ({
    ...{ nickname: `${ABOVE} ${index + 1}`, certificate: new X509Certificate(pem), trust: CA_TRUST },
  }));
  await withInternalToken(host, instance, async (database, withPin) => {
    const { stdout } = await host.run('certutil', ['-L', ...database]);
    const present = [...parseTrust(stdout)].filter(([name]) => name.startsWith(`${ABOVE} `));
    const right: boolean[] = [];
    for (const { nickname, certificate, trust } of copies) {
      const found = present.find(([name]) => name === nickname)?.[1];
      right.push(await isOnly(host, database, nickname, certificate, trust, found));
    }
    if (present.length === copies.length && right.every(Boolean)) return;
    // NSS keeps a certificate that it has under another nickname there: all of them go first.
    for (const [name] of present) await removeCopies(host, database, withPin, name);
    for (const copy of copies) await refreshCopy(host, database, withPin, copy);
  });
}

/** Works on the internal token of an instance. @param work gets the options of certutil(1) without and with its password */
async function withInternalToken(
  host: Host,
  instance: string,
  work: (database: readonly string[], withPin: readonly string[]) => Promise<void>,
): Promise<void> {
  const pins = await instancePins(instance);
  await withPrivateFolder(async (folder) => {
    const pin = folder.write('internal', pins.pin(undefined));
    const database = ['-d', `sql:${await internalTokenAlone(host, instance, `${folder.path}/nss`)}`];
    await work(database, [...database, '-f', pin]);
  });
}

/** The files of an NSS database that make its internal token. */
const INTERNAL_FILES = ['cert9.db', 'key4.db'];

/**
 * Makes an NSS database of the internal token of an instance and no other: NSS deletes a certificate from every token that
 * has it, and the one on the HSM is to stay (`NSSCertificate_DeleteStoredObject`).
 * @param folder where its files are to be; the token's own are linked
 */
async function internalTokenAlone(host: Host, instance: string, folder: string): Promise<string> {
  await mkdir(folder, { mode: 0o700 });
  await host.run('certutil', ['-N', '--empty-password', '-d', `sql:${folder}`]);
  for (const name of INTERNAL_FILES) {
    await unlink(`${folder}/${name}`);
    await symlink(`${nssDatabase(instance)}/${name}`, `${folder}/${name}`);
  }
  return folder;
}

/** More certificates than this under one nickname are a fault of something else. */
const MOST = 10;

async function refreshCopy(
  host: Host,
  database: readonly string[],
  withPin: readonly string[],
  { nickname, certificate, trust }: InternalCopy,
): Promise<void> {
  const before = await flagsOf(host, database, nickname);
  if (before === undefined && trust === undefined) return;
  if (await isOnly(host, database, nickname, certificate, trust, before)) return;
  await removeCopies(host, database, withPin, nickname);
  const options = ['-n', nickname, '-t', trust ?? ',,', '-a'];
  await host.run('certutil', ['-A', ...withPin, ...options], { input: certificate.toString() });
  if ((await flagsOf(host, database, nickname)) !== undefined) return;
  throw failure(
    'internal-copy-missing',
    `The internal token of Dogtag does not hold "${nickname}" after it was put there.`,
    'Look at the NSS database of the instance with "certutil -L -d".',
  );
}

async function flagsOf(
  host: Host,
  database: readonly string[],
  nickname: string,
): Promise<string | undefined> {
  const { stdout } = await host.run('certutil', ['-L', ...database]);
  return parseTrust(stdout).get(nickname);
}

async function removeCopies(
  host: Host,
  database: readonly string[],
  withPin: readonly string[],
  nickname: string,
): Promise<void> {
  for (let tries = 0; tries < MOST && (await flagsOf(host, database, nickname)) !== undefined; tries += 1) {
    await host.run('certutil', ['-D', ...withPin, '-n', nickname]);
  }
}

/** Whether it is so already. */
async function isOnly(
  host: Host,
  database: readonly string[],
  nickname: string,
  certificate: X509Certificate,
  trust: string | undefined,
  found: string | undefined,
): Promise<boolean> {
  if (found === undefined || (trust !== undefined && !hasTrust(found, trust))) return false;
  const { stdout } = await host.run('certutil', ['-L', ...database, '-n', nickname, '-a']);
  const blocks = stdout.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
  return blocks.length === 1 && new X509Certificate(blocks[0] ?? '').raw.equals(certificate.raw);
}
