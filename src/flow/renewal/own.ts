/** The certificates of a server that certmonger does not watch: its directory's and its agent's. Capstan renews them itself. */
import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import {
  directoryCertificatePem,
  installDirectoryCertificate,
  requestDirectoryCertificate,
  verifyDirectoryCertificate,
} from '../../directory/certificate.ts';
import { withLocalDirectory } from '../../directory/client.ts';
import { AGENT_CERTIFICATE, AGENT_KEY, agentCredentials } from '../../dogtag/agent.ts';
import { SERVER_PROFILE } from '../../dogtag/enroll.ts';
import { writeFileAtomically } from '../../host/files.ts';
import type { Host } from '../../host/host.ts';
import { CA_FILE, directoryOf, directorySubject, type Site } from '../site.ts';
import { issueRenewal, type OtherWay } from './issue.ts';
import { refreshUsers } from './users.ts';

/** The profile for clients, by which FreeIPA renews its agent. */
const AGENT_PROFILE = 'caSubsystemCert';
/** Days before its end from which on a certificate is renewed; certmonger's own number. */
export const DUE_DAYS = 28;

/** A certificate that Capstan renews itself. */
export interface OwnCertificate {
  /** What `capstan renew` calls it. */
  name: 'agent' | 'directory';
  title: string;
  current(): Promise<X509Certificate>;
  /** Renews it, for the same key, and puts it in place. @param way to the CA, another than usual @returns the new one */
  renew(way?: OtherWay): Promise<X509Certificate>;
}

/** Those of the server on this host. */
export function ownCertificates(host: Host, site: Site): OwnCertificate[] {
  const agent = async () => new X509Certificate((await agentCredentials()).certificate);
  const directory = async () => new X509Certificate(await directoryCertificatePem(host, directoryOf(site)));
  return [
    {
      name: 'agent',
      title: 'the certificate of the agent',
      current: agent,
      renew: async (way) => renewAgent(host, site, await agent(), way),
    },
    {
      name: 'directory',
      title: 'the TLS certificate of the directory',
      current: directory,
      renew: async (way) => renewDirectory(host, site, await directory(), way),
    },
  ];
}

/** Whether a certificate is near its end. */
export function endsSoon({ validToDate }: X509Certificate, now = Date.now()): boolean {
  return validToDate.getTime() - now < DUE_DAYS * 86_400_000;
}

/** The agent's: known to Dogtag by its new certificate before it shows it. */
async function renewAgent(
  host: Host,
  site: Site,
  current: X509Certificate,
  way?: OtherWay,
): Promise<X509Certificate> {
  const files = ['-in', AGENT_CERTIFICATE, '-signkey', AGENT_KEY];
  const { stdout } = await host.run('openssl', ['x509', '-x509toreq', ...files]);
  // Before the request stands what it was made from.
  const request = stdout.slice(stdout.indexOf('-----BEGIN'));
  const issued = await issueRenewal(host, site, { request, current, profile: AGENT_PROFILE }, way);
  await withLocalDirectory(host, directoryOf(site), (directory) => refreshUsers(directory, [issued]));
  await writeFileAtomically(AGENT_CERTIFICATE, issued.toString(), { mode: 0o600 });
  return issued;
}

async function renewDirectory(
  host: Host,
  site: Site,
  current: X509Certificate,
  way?: OtherWay,
): Promise<X509Certificate> {
  const instance = directoryOf(site);
  const request = await requestDirectoryCertificate(host, instance, directorySubject(site));
  const issued = await issueRenewal(host, site, { request, current, profile: SERVER_PROFILE }, way);
  await serveDirectory(host, site, issued);
  return issued;
}

/** Has the directory serve a renewed certificate, for which it is started anew. @throws CapstanError `directory-certificate-unverified`, `command-failed`, ... */
export async function serveDirectory(host: Host, site: Site, issued: X509Certificate): Promise<void> {
  const instance = directoryOf(site);
  const caCertificate = await readFile(CA_FILE, 'utf8');
  await installDirectoryCertificate(host, instance, issued.toString(), caCertificate);
  await verifyDirectoryCertificate(host, instance, caCertificate);
}
