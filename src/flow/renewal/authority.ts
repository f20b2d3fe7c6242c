/** What follows when the CA's own certificate is renewed. */
import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { trustCaInDirectory, trustsFormer } from '../../directory/certificate.ts';
import { type Directory, withLocalDirectory } from '../../directory/client.ts';
import { instanceUnit } from '../../directory/instance.ts';
import { recordedServers } from '../../directory/masters.ts';
import { presentedChain } from '../../directory/remote.ts';
import { publishCaCertificate, publishedCaCertificates } from '../../directory/tree.ts';
import { CA_SUFFIX } from '../../dogtag/deployment.ts';
import { writtenByDogtag } from '../../dogtag/own-agent.ts';
import { isRenewalOf } from '../../dogtag/renewed.ts';
import { failure, isInterruption } from '../../errors.ts';
import { writeFileAtomically } from '../../host/files.ts';
import type { Host } from '../../host/host.ts';
import { restart } from '../../host/services.ts';
import { pemCertificates } from '../../names/pem.ts';
import { CA_FILE, caCertificate, directoryOf, type Site } from '../site.ts';
import { chainOf } from '../steps/record.ts';
import { acceptedChain } from './accepted.ts';

/** Where Dogtag keeps its CAs, the host's own among them (`authorityRecord` of 10.10.2). */
const AUTHORITIES_DN = `ou=authorities,ou=ca,${CA_SUFFIX}`;
const SERIAL = 'authoritySerial';

/** Puts the serial number of the CA's renewed certificate into Dogtag's entry of the CA. */
export async function refreshAuthority(
  directory: Directory,
  renewed: readonly X509Certificate[],
): Promise<void> {
  const authorities = renewed.filter(({ ca }) => ca);
  if (authorities.length === 0 || !(await directory.entry(AUTHORITIES_DN, ['1.1']))) return;
  const entries = await directory.search(AUTHORITIES_DN, {
    scope: 'one',
    filter: '(objectClass=authority)',
    attributes: ['authorityDN', SERIAL],
  });
  for (const { subject, serialNumber } of authorities) {
    const name = writtenByDogtag(subject).toLowerCase().replaceAll(/,\s+/g, ',');
    const entry = entries.find(
      (one) => one.values('authorityDN')[0]?.toLowerCase().replaceAll(/,\s+/g, ',') === name,
    );
    if (!entry || entry.values(SERIAL).length === 0) continue;
    await directory.replace(entry.dn, { [SERIAL]: [BigInt(`0x${serialNumber}`).toString()] });
  }
}

/**
 * A renewed certificate of the CA and those above it, PEM: as they were given on this host, as the server that renews for all
 * published them, or as they were before.
 * @throws CapstanError `renewal-chain-missing`; `directory-unreachable`, `command-failed`
 */
export async function chainHere(host: Host, site: Site, authority: X509Certificate): Promise<string> {
  const { suffix, ...instance } = directoryOf(site);
  const published = await withLocalDirectory(host, instance, (directory) =>
    publishedCaCertificates(directory, suffix),
  );
  const before = pemCertificates(await caCertificate(host)).slice(1);
  const above = [...(await acceptedChain()), ...before.map((one) => new X509Certificate(one))];
  const chain = chainOf(authority.toString(), [...above.map(({ raw }) => raw), ...published]);
  const last = new X509Certificate(pemCertificates(chain).at(-1) ?? '');
  if (last.subject === last.issuer) return chain;
  throw failure(
    'renewal-chain-missing',
    `The new certificate of the CA was issued below ${last.issuer.replaceAll('\n', ',')}, whose certificate the directory does not publish here.`,
    'See whether replication works: capstan topology list. It is tried again within the hour.',
  );
}

/**
 * Has all on this host that trusts the CA trust its renewed certificate, which its database has: the file, the entry in the directory for clients,
 * and the directory server itself, which is restarted for it.
 * @throws CapstanError `command-failed`, `directory-unreachable`, ...
 */
export async function refreshCaTrust(host: Host, site: Site, line: (text: string) => void): Promise<void> {
  const instance = directoryOf(site);
  const text = await caCertificate(host);
  await withLocalDirectory(host, instance, (directory) =>
    publishCaCertificate(
      directory,
      instance.suffix,
      pemCertificates(text).map((one) => new X509Certificate(one).raw),
    ),
  );
  await trustChain(host, site, text, line);
}

/** @param text PEM, the certificate of the CA first */
async function trustChain(host: Host, site: Site, text: string, line: (text: string) => void): Promise<void> {
  const instance = directoryOf(site);
  await trustCaInDirectory(host, instance, text, !(await allShow(host, site, text)));
  line(`Restarting the directory ${instance.name}`);
  await restart(host, instanceUnit(instance));
  // Last: on a server without a CA this file says that all came so far.
  await writeFileAtomically(CA_FILE, text, { mode: 0o644 });
}

/**
 * Has all on a server without a CA trust the certificate of the CA that the directory publishes, where that has followed the
 * one that is trusted: the same name and key, whoever has signed it.
 * @returns whether there was one
 * @throws CapstanError as {@link refreshCaTrust}
 */
export async function followCa(host: Host, site: Site, line: (text: string) => void): Promise<boolean> {
  const { suffix, ...instance } = directoryOf(site);
  const trusted = new X509Certificate(await readFile(CA_FILE, 'utf8'));
  const published = await withLocalDirectory(host, instance, (directory) =>
    publishedCaCertificates(directory, suffix),
  );
  const found = published.map((der) => new X509Certificate(der));
  if (found.some(({ raw }) => raw.equals(trusted.raw))) return false;
  const successor = found.find((one) => isRenewalOf(one, trusted));
  if (!successor) return false;
  await trustChain(host, site, chainOf(successor.toString(), published), line);
  return true;
}

/**
 * Has the directory trust nobody any more who was above an earlier certificate of the CA, as soon as the directories of all
 * other servers show the one of now. It is restarted for it.
 * @returns whether it came to that
 * @throws CapstanError `command-failed`, `directory-unreachable`
 */
export async function forgetFormerTrust(
  host: Host,
  site: Site,
  line: (text: string) => void,
): Promise<boolean> {
  const instance = directoryOf(site);
  if (!(await trustsFormer(host, instance))) return false;
  const text = await readFile(CA_FILE, 'utf8');
  if (!(await allShow(host, site, text))) return false;
  line(`Restarting the directory ${instance.name} without what was above the CA before`);
  await trustCaInDirectory(host, instance, text, false);
  await restart(host, instanceUnit(instance));
  return true;
}

/** Whether the directories of all other servers show a certificate of the CA. @param text PEM; others may follow it */
async function allShow(host: Host, site: Site, text: string): Promise<boolean> {
  const { suffix, ...instance } = directoryOf(site);
  const servers = await withLocalDirectory(host, instance, (directory) => recordedServers(directory, suffix));
  const authority = new X509Certificate(text);
  for (const { hostname } of servers) {
    if (hostname === site.hostname) continue;
    const shown = await presentedChain(host, hostname).catch((error: unknown) => {
      if (isInterruption(error)) throw error;
      return [];
    });
    if (!shown.some(({ raw }) => raw.equals(authority.raw))) return false;
  }
  return true;
}
