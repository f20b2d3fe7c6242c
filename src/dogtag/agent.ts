import { readFile } from 'node:fs/promises';
import { removeFile, writeFileAtomically } from '../host/files.ts';
import type { Host } from '../host/host.ts';
import { withPrivateFolder } from '../secret/private-file.ts';
import type { Secret } from '../secret/secret.ts';
import type { AgentCredentials } from './rest.ts';

/** Where the agent's certificate and key are kept for unattended work, root only (FreeIPA keeps its RA agent so). */
export const AGENT_CERTIFICATE = '/var/lib/capstan/ra-agent.pem';
export const AGENT_KEY = '/var/lib/capstan/ra-agent.key';

/**
 * Keeps the agent's credentials for unattended work, and packs them for the administrator's browser.
 * @param pkcs12 the file that pkispawn wrote, under `password`
 * @param delivery where the administrator's own PKCS#12 file goes, under `administrator`
 * @throws CapstanError `command-failed`
 */
export async function takeOverAgent(
  host: Host,
  pkcs12: string,
  password: Secret,
  delivery: string,
  administrator: Secret,
): Promise<void> {
  await extractAgent(host, pkcs12, password);
  await withPrivateFolder(async (folder) => {
    const passwordFile = folder.write('password', administrator);
    const out = `${folder.path}/agent.p12`;
    await host.run('openssl', [
      ...['pkcs12', '-export', '-in', AGENT_CERTIFICATE, '-inkey', AGENT_KEY, '-name', AGENT_NICKNAME],
      // OpenSSL 1.1 would encrypt the certificate with RC2, which OpenSSL 3 no longer reads.
      ...['-keypbe', 'AES-256-CBC', '-certpbe', 'AES-256-CBC', '-macalg', 'sha256'],
      ...['-passout', `file:${passwordFile}`, '-out', out],
    ]);
    await writeFileAtomically(delivery, await readFile(out), { mode: 0o600 });
  });
}

/**
 * Takes the agent's certificate and key out of the PKCS#12 file that pkispawn wrote.
 * By openssl(1): the file has 600,000 iterations of PKCS#12 key derivation and RC2, which node:crypto does not
 * open and node-forge needs many seconds for (seen with 10.10.2).
 * @throws CapstanError `command-failed`
 */
async function extractAgent(host: Host, pkcs12: string, password: Secret): Promise<void> {
  const credentials = {
    certificate: await openPkcs12(host, pkcs12, ['-clcerts', '-nokeys'], password),
    key: await openPkcs12(host, pkcs12, ['-nocerts', '-nodes'], password),
  };
  await writeFileAtomically(AGENT_CERTIFICATE, pemOnly(credentials.certificate), { mode: 0o600 });
  await writeFileAtomically(AGENT_KEY, pemOnly(credentials.key), { mode: 0o600 });
}

/** Friendly name of the agent's certificate, FreeIPA's. */
const AGENT_NICKNAME = 'ipa-ca-agent';

/** The kept credentials of the agent. @throws an ENOENT where there are none */
export async function agentCredentials(): Promise<AgentCredentials> {
  const [certificate, key] = await Promise.all([
    readFile(AGENT_CERTIFICATE, 'utf8'),
    readFile(AGENT_KEY, 'utf8'),
  ]);
  return { certificate, key };
}

/** Opens one half of a PKCS#12 file. The output goes through a file in memory: what a program prints is logged. */
async function openPkcs12(
  host: Host,
  file: string,
  half: readonly string[],
  password: Secret,
): Promise<string> {
  return withPrivateFolder(async (folder) => {
    const out = `${folder.path}/half.pem`;
    const open = (options: readonly string[]) =>
      host.run('openssl', ['pkcs12', ...options, '-in', file, '-passin', 'stdin', ...half, '-out', out], {
        input: password,
      });
    // OpenSSL 3 keeps the RC2 of older Dogtag in its legacy provider, which OpenSSL 1.1 and FIPS hosts do not have.
    await open([]).catch((error: unknown) => open(['-legacy']).catch(() => Promise.reject(error)));
    return readFile(out, 'utf8');
  });
}

/** The PEM block without the bag attributes that openssl writes above it. */
function pemOnly(text: string): string {
  return text.slice(text.indexOf('-----BEGIN'));
}

/** Removes the kept credentials; that there are none is no error. */
export async function removeAgent(): Promise<void> {
  for (const file of [AGENT_CERTIFICATE, AGENT_KEY]) await removeFile(file);
}
