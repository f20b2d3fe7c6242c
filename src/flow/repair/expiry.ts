/** What of a server's certificates has expired. */
import { X509Certificate } from 'node:crypto';
import { INSTANCE, type SystemCertificate } from '../../dogtag/certificates.ts';
import { certificatePem, tokenCertificate } from '../../dogtag/nssdb.ts';
import { isRenewalOf } from '../../dogtag/renewed.ts';
import { refusal } from '../../errors.ts';
import type { Host } from '../../host/host.ts';
import { isFromElsewhere, systemCertificates } from '../renewal/cluster.ts';
import { ownCertificates } from '../renewal/own.ts';
import type { Site } from '../site.ts';

/** A certificate of a server, with what a person calls it. */
export interface Named {
  name: string;
  certificate: X509Certificate;
}

/** The certificates of the server on this host, read where their keys are: no daemon has to run for it. */
export async function certificatesHere(host: Host, site: Site, hasKra: boolean): Promise<Named[]> {
  const found: Named[] = [];
  for (const one of systemCertificates(hasKra))
    found.push({ name: `"${one.nickname}"`, certificate: await read(host, site, one) });
  for (const { title, current } of ownCertificates(host, site))
    found.push({ name: title, certificate: await current() });
  return found;
}

async function read(
  host: Host,
  { token }: Site,
  { nickname, token: where }: SystemCertificate,
): Promise<X509Certificate> {
  const pem = await (where === 'hsm'
    ? tokenCertificate(host, INSTANCE, token.label, nickname)
    : certificatePem(host, INSTANCE, nickname));
  return new X509Certificate(pem);
}

/** Whether a certificate has expired. */
export function isExpired({ validToDate }: Pick<X509Certificate, 'validToDate'>, now = new Date()): boolean {
  return validToDate < now;
}

/**
 * Those that have expired, first the one that did first.
 * @throws CapstanError (exit code 2) `nothing-expired`, `clock-behind`
 */
export function requireExpired(certificates: readonly Named[], now = new Date()): Named[] {
  const expired = certificates
    .filter(({ certificate }) => isExpired(certificate, now))
    .toSorted((a, b) => a.certificate.validToDate.getTime() - b.certificate.validToDate.getTime());
  refuseOddClock(certificates, now);
  if (expired.length > 0) return expired;
  throw refusal(
    'nothing-expired',
    'No certificate of this server has expired; there is nothing to repair.',
    'Renew what is due with "capstan renew", and bring a server back that does not work with "capstan restart".',
  );
}

function refuseOddClock(certificates: readonly Named[], now: Date): void {
  const early = certificates.find(({ certificate }) => certificate.validFromDate > now);
  if (!early) return;
  throw refusal(
    'clock-behind',
    `The clock says ${now.toISOString()}, but ${early.name} is valid from ${early.certificate.validFromDate.toISOString()} on.`,
    'Set the clock, best from a time server; nothing is to be repaired before.',
  );
}

/**
 * Has an expired certificate of the CA be one that this host can replace: the key on the token signs another one, unless it is
 * for another authority to do that.
 * @param accepted a certificate that was accepted for its place, and those above it
 * @returns in words, where the next one comes from
 * @throws CapstanError (exit code 2) `ca-expired`
 */
export function requireSuccessor(
  current: X509Certificate,
  accepted: readonly X509Certificate[],
  now = new Date(),
): string {
  if (!isExpired(current, now)) return `is good until ${day(current)}`;
  const [next] = successorIn(accepted, current, now) ?? [];
  if (next) return `one that was accepted takes its place, good until ${day(next)}`;
  if (isFromElsewhere(current)) throw authorityExpired(current);
  return 'signs itself once more';
}

/**
 * What was accepted for the place of a certificate of the CA, or is there already while other copies are not; undefined where
 * it is for another one, or has expired meanwhile with any of those above it.
 */
export function successorIn(
  accepted: readonly X509Certificate[],
  current: X509Certificate,
  now = new Date(),
): readonly X509Certificate[] | undefined {
  const [own] = accepted;
  if (!own || accepted.some((one) => isExpired(one, now))) return undefined;
  return own.raw.equals(current.raw) || isRenewalOf(own, current) ? accepted : undefined;
}

function authorityExpired(certificate: X509Certificate) {
  return refusal(
    'ca-expired',
    `The certificate of the CA itself expired on ${day(certificate)}; ${certificate.issuer.replaceAll('\n', ',')} issued it, and alone can renew it.`,
    'Make a request for another one with "capstan ca-renew --external-ca", have it accepted with "capstan ca-renew --external-cert-file", and then repair the server.',
  );
}

/** The day on which a certificate ends. */
export function day({ validToDate }: Pick<X509Certificate, 'validToDate'>): string {
  return validToDate.toISOString().slice(0, 10);
}
