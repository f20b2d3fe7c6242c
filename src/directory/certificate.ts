import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { connect } from 'node:tls';
import { failure, isInterruption, sentenceOf } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { isActive, restart } from '../host/services.ts';
import { within } from '../host/wait.ts';
import { firstCertificate, pemCertificates, trustAnchor } from '../names/pem.ts';
import { withPrivateFolder } from '../secret/private-file.ts';
import { withLocalDirectory } from './client.ts';
import {
  type DirectoryInstance,
  editConfiguration,
  instanceFolder,
  instanceUnit,
  LDAPS_PORT,
  withValue,
} from './instance.ts';

/** Nickname of dscreate's own TLS certificate, whose key the one from the CA takes over. */
const FIRST_NICKNAME = 'Server-Cert';
/** Nickname of the TLS certificate from the CA. */
export const DIRECTORY_NICKNAME = 'Server-Cert cert-389-ds';
const CA_NICKNAME = 'Capstan CA';
/** Of the authorities above an externally signed CA, its issuer first. */
const ABOVE = `${CA_NICKNAME} above `;
/** Of those above an earlier certificate, which other servers have still. */
const FORMER = `${CA_NICKNAME} before `;
const aboveNickname = (index: number) => `${ABOVE}${index + 1}`;
const above = (chain: string) => pemCertificates(chain).slice(1).entries();
/** The entry that names the server's TLS certificate (389-ds configuration reference, `nsSSLPersonalitySSL`). */
const RSA_ENTRY = 'cn=RSA,cn=encryption,cn=config';

/**
 * Makes a request for a TLS certificate of the instance, for the key that dscreate made. A new key would cost the
 * server its attribute encryption keys, which it has wrapped with this one (`attrcrypt_unwrap_key` in its error log).
 * @returns the PKCS#10 request, PEM
 * @throws CapstanError `command-failed`
 */
export async function requestDirectoryCertificate(
  host: Host,
  instance: DirectoryInstance,
  subject: string,
): Promise<string> {
  const folder = instanceFolder(instance);
  return withPrivateFolder(async (scratch) => {
    const request = `${scratch.path}/directory.csr`;
    await host.run('certutil', [
      ...['-R', '-d', folder, '-f', `${folder}/pwdfile.txt`, '-k', FIRST_NICKNAME],
      ...['-s', subject, '-8', instance.hostname, '-a', '-o', request],
    ]);
    // certutil writes a summary for people above the request, which Dogtag does not take.
    const text = await readFile(request, 'utf8');
    return text.slice(text.indexOf('-----BEGIN'));
  });
}

/**
 * Has the instance serve `certificate`, which must belong to a key that is in its database, and trust `caCertificate`.
 * The server is restarted, or started.
 * @param certificate PEM
 * @param caCertificate PEM; those of the authorities above it may follow
 * @throws CapstanError `command-failed`, `directory-unreachable`
 */
export async function installDirectoryCertificate(
  host: Host,
  instance: DirectoryInstance,
  certificate: string,
  caCertificate: string,
): Promise<void> {
  const folder = instanceFolder(instance);
  const add = (nickname: string, trust: string, pem: string) =>
    host.run(
      'certutil',
      ['-A', '-d', folder, '-f', `${folder}/pwdfile.txt`, '-n', nickname, '-t', trust, '-a'],
      { input: pem },
    );
  await add(CA_NICKNAME, 'CT,,', firstCertificate(caCertificate));
  for (const [index, one] of above(caCertificate)) await add(aboveNickname(index), 'CT,,', one);
  // One that an interrupted run put there would share the nickname.
  await host.run('certutil', ['-D', '-d', folder, '-f', `${folder}/pwdfile.txt`, '-n', DIRECTORY_NICKNAME], {
    accept: [0, 255],
  });
  await add(DIRECTORY_NICKNAME, 'u,u,u', certificate);
  if (await isActive(host, instanceUnit(instance))) {
    await withLocalDirectory(host, instance, (directory) =>
      directory.replace(RSA_ENTRY, { nsSSLPersonalitySSL: [DIRECTORY_NICKNAME] }),
    );
  } else await editConfiguration(instance, servingCertificate);
  await restart(host, instanceUnit(instance));
}

/**
 * Has the instance trust a renewed certificate of the CA from its next start on, in the place of the one before, and those
 * above it in the place of what was above that one.
 *
 * A server that has not taken the new certificate over shows the old one with all above it, and libldap with GnuTLS (3.7.1)
 * takes that chain by its root alone, whatever of it is known besides. Without that root this server could not even tell the other
 * that there is a new certificate.
 * @param caCertificate PEM; those of the authorities above it may follow
 * @param keepFormer whether what was above the certificate before stays trusted
 * @throws CapstanError `directory-trust-stays`, `command-failed`
 */
export async function trustCaInDirectory(
  host: Host,
  instance: DirectoryInstance,
  caCertificate: string,
  keepFormer: boolean,
): Promise<void> {
  const former = keepFormer ? await formerAuthorities(host, instance, caCertificate) : [];
  const certutil = databaseOf(host, instance);
  await removeAuthorities(certutil);
  const add = (nickname: string, input: string) =>
    certutil(['-A', '-n', nickname, '-t', 'CT,,', '-a'], input);
  await add(CA_NICKNAME, firstCertificate(caCertificate));
  for (const [index, one] of above(caCertificate)) await add(aboveNickname(index), one);
  for (const [index, one] of former.entries()) await add(`${FORMER}${index + 1}`, one);
}

/** Whether the instance trusts what was above an earlier certificate of the CA. @throws CapstanError `command-failed` */
export async function trustsFormer(host: Host, instance: DirectoryInstance): Promise<boolean> {
  return (await caNicknames(databaseOf(host, instance))).some((name) => name.startsWith(FORMER));
}

type Certutil = (words: readonly string[], input?: string) => Promise<string>;

/** Runs certutil(1) on the database of an instance; a nickname that is not there is no error. */
function databaseOf(host: Host, instance: DirectoryInstance): Certutil {
  const folder = instanceFolder(instance);
  return async ([mode = '', ...words], input = '') => {
    const argv = [mode, '-d', folder, '-f', `${folder}/pwdfile.txt`, ...words];
    const accept = mode === '-D' ? [0, 255] : [0];
    return (await host.run('certutil', argv, { accept, input })).stdout;
  };
}

/**
 * NSS keeps a certificate that it has under another nickname there: all of them go before others come. Of those that share a
 * subject it deletes any, whichever nickname it was told.
 */
async function removeAuthorities(certutil: Certutil): Promise<void> {
  for (let names = await caNicknames(certutil); names.length > 0; ) {
    for (const name of names) await certutil(['-D', '-n', name]);
    const left = await caNicknames(certutil);
    if (left.length >= names.length)
      throw failure(
        'directory-trust-stays',
        `certutil does not take "${left[0]}" out of the database of the directory.`,
        'Look at the log of this run, and whether the disk is full.',
      );
    names = left;
  }
}

/** The nicknames of the CA and of all that is, or was, above it. */
async function caNicknames(certutil: Certutil): Promise<string[]> {
  const names = new RegExp(`^(${CA_NICKNAME}(?: (?:above|before) \\d+)?) +\\S*,\\S*,\\S* *$`, 'gm');
  return [...(await certutil(['-L'])).matchAll(names)].map(([, name = '']) => name);
}

/** What is trusted of authorities that are not above the CA any more, and not expired. */
async function formerAuthorities(
  host: Host,
  instance: DirectoryInstance,
  caCertificate: string,
): Promise<string[]> {
  const certutil = databaseOf(host, instance);
  const found: X509Certificate[] = [];
  for (const name of await caNicknames(certutil)) {
    if (name === CA_NICKNAME) continue;
    const listed = pemCertificates(await certutil(['-L', '-n', name, '-a']));
    found.push(...listed.map((one) => new X509Certificate(one)));
  }
  const known = new Set(pemCertificates(caCertificate).map((one) => new X509Certificate(one).fingerprint256));
  const former = found.filter(({ fingerprint256, validToDate }) => {
    const isNew = !known.has(fingerprint256) && validToDate > new Date();
    known.add(fingerprint256);
    return isNew;
  });
  return former.map(String);
}

/** The TLS certificate from the CA in the instance's database, PEM. @throws CapstanError `command-failed` */
export async function directoryCertificatePem(host: Host, instance: DirectoryInstance): Promise<string> {
  const where = ['-d', instanceFolder(instance), '-n', DIRECTORY_NICKNAME];
  const { stdout } = await host.run('certutil', ['-L', ...where, '-a']);
  return stdout;
}

function servingCertificate(ldif: string): string {
  const changed = withValue(ldif, RSA_ENTRY, 'nsSSLPersonalitySSL', DIRECTORY_NICKNAME);
  if (changed !== undefined) return changed;
  throw failure(
    'tls-missing',
    `The configuration of the directory has no ${RSA_ENTRY}: it was made without TLS.`,
  );
}

/** Whether the instance is set to serve the certificate from the CA. */
export async function servesDirectoryCertificate(host: Host, instance: DirectoryInstance): Promise<boolean> {
  if (!(await isActive(host, instanceUnit(instance)))) return false;
  return withLocalDirectory(host, instance, async (directory) => {
    const entry = await directory.entry(RSA_ENTRY, ['nsSSLPersonalitySSL']);
    return entry?.values('nsSSLPersonalitySSL')[0] === DIRECTORY_NICKNAME;
  });
}

/**
 * Connects as a client would: LDAPS, host name checked, nothing trusted but the CA.
 * @param caCertificate PEM
 * @returns when the server's certificate expires
 * @throws CapstanError `directory-certificate-unverified`, `interrupted`
 */
export async function verifyDirectoryCertificate(
  host: Host,
  instance: DirectoryInstance,
  caCertificate: string,
): Promise<Date> {
  const socket = connect({
    ...{ host: instance.hostname, port: LDAPS_PORT },
    ...trustAnchor(caCertificate),
  });
  try {
    await within(host, 'ldap', `LDAPS at ${instance.hostname}`, () => once(socket, 'secureConnect'));
    return new Date(socket.getPeerCertificate().valid_to);
  } catch (error) {
    if (isInterruption(error)) throw error;
    throw failure(
      'directory-certificate-unverified',
      `LDAPS at ${instance.hostname}:${LDAPS_PORT} cannot be verified against the CA: ${sentenceOf(error)}`,
      undefined,
      error,
    );
  } finally {
    socket.destroy();
  }
}
