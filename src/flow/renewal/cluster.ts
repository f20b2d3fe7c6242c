/** Who renews what: what this host may ask its CA for, and what it takes over from another server. */
import { X509Certificate } from 'node:crypto';
import { withLocalDirectory } from '../../directory/client.ts';
import { recordedServers, type ServerEntry } from '../../directory/masters.ts';
import { publishedRenewal } from '../../directory/renewals.ts';
import {
  CA_CERTIFICATES,
  KRA_CERTIFICATES,
  SYSTEM_CERTIFICATES,
  type SystemCertificate,
} from '../../dogtag/certificates.ts';
import { isRenewalOf } from '../../dogtag/renewed.ts';
import { type CapstanError, refusal } from '../../errors.ts';
import type { Host } from '../../host/host.ts';
import { caOf } from '../roles.ts';
import { directoryOf, type Site } from '../site.ts';

/** The system certificates that a server with a CA has. @param withKra whether those of a KRA are among them */
export function systemCertificates(withKra = true): readonly SystemCertificate[] {
  return withKra ? SYSTEM_CERTIFICATES : CA_CERTIFICATES;
}

/** Who renews a certificate, as this host sees it. */
export interface Standing {
  /** Whether it is this host that asks the CA. */
  renewsHere: boolean;
  /** The server that renews what all share; undefined where none is recorded. */
  master: string | undefined;
  /** Whether the token of that server is this host's. */
  sharesToken: boolean;
  /** What that server published, when it is newer than the certificate that this host has. */
  published: X509Certificate | undefined;
  /** Whether this host has what was published: certmonger reads at its start what another server wrote to the token. */
  held: boolean;
}

/**
 * Who renews a certificate. What is in the internal token is each host's own.
 * @param current the certificate that this host has
 * @throws CapstanError `directory-unreachable`, `directory-refused`
 */
export async function standingOf(
  host: Host,
  site: Site,
  certificate: SystemCertificate,
  current: X509Certificate,
): Promise<Standing> {
  const { name, suffix } = directoryOf(site);
  return withLocalDirectory(host, { name }, async (directory) => {
    const servers = await recordedServers(directory, suffix);
    const bytes = await publishedRenewal(directory, suffix, certificate.nickname);
    const published = bytes && new X509Certificate(bytes);
    return {
      ...dutyOf(site.hostname, certificate, servers),
      published: published && follows(published, current) ? published : undefined,
      held: published?.raw.equals(current.raw) ?? false,
    };
  });
}

/** The part of it that the record of the servers decides. */
export function dutyOf(
  hostname: string,
  certificate: Pick<SystemCertificate, 'id' | 'token'>,
  servers: readonly ServerEntry[],
): Omit<Standing, 'published' | 'held'> {
  const master = renewerOf(certificate, servers);
  const here = servers.find((server) => server.hostname.toLowerCase() === hostname.toLowerCase());
  const serial = caOf(master)?.tokenSerial;
  return {
    renewsHere: certificate.token === 'internal' || (master !== undefined && master === here),
    master: master?.hostname,
    sharesToken: serial !== undefined && serial === caOf(here)?.tokenSerial,
  };
}

/** The renewal master; of what it has not, because the KRAs are elsewhere, the first server that has it. */
function renewerOf(
  { id }: Pick<SystemCertificate, 'id'>,
  servers: readonly ServerEntry[],
): ServerEntry | undefined {
  const master = servers.find((server) => caOf(server)?.renewalMaster);
  if (!KRA_CERTIFICATES.some((one) => one.id === id)) return master;
  const kras = servers.filter(({ roles }) => roles.some(({ name, enabled }) => name === 'KRA' && enabled));
  return kras.find((server) => server === master) ?? kras[0];
}

/** Whether a certificate of the CA itself was issued by another authority, which alone can renew it. */
export function isFromElsewhere({ ca, subject, issuer }: X509Certificate): boolean {
  return ca && subject !== issuer;
}

/**
 * The refusal to renew a CA's certificate here that another authority issued.
 */
export function fromElsewhere({ issuer, validToDate }: X509Certificate): CapstanError {
  return refusal(
    'renewal-external',
    `The certificate of the CA was issued by ${issuer.replaceAll('\n', ',')}, which alone can renew it; it is good until ${validToDate.toISOString().slice(0, 10)}.`,
    'Make a request for another one with "capstan ca-renew --external-ca"; docs/external-ca.md tells more.',
  );
}

/**
 * Whether what was published takes the place of a certificate. For that of the CA a person may have chosen one that was made
 * earlier: by the authority whose own certificate had it before, for instance.
 */
function follows(published: X509Certificate, current: X509Certificate): boolean {
  return current.ca ? isRenewalOf(published, current) : isNewer(published, current);
}

/** Whether a certificate is a later one for the same name and key. */
export function isNewer(published: X509Certificate, current: X509Certificate): boolean {
  return isRenewalOf(published, current) && published.validFromDate > current.validFromDate;
}
