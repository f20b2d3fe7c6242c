/** The certificate of the CA itself, where it has expired: it comes before all that it signs. */
import { X509Certificate } from 'node:crypto';
import { withCertmonger } from '../../certmonger/bus.ts';
import { trackingRequests, untrack } from '../../certmonger/tracking.ts';
import { withRemoteDirectory } from '../../directory/remote.ts';
import { publishedCaCertificates } from '../../directory/tree.ts';
import { INSTANCE } from '../../dogtag/certificates.ts';
import { stopInstance } from '../../dogtag/destroy.ts';
import { tokenCertificate } from '../../dogtag/nssdb.ts';
import { isRenewalOf } from '../../dogtag/renewed.ts';
import { refusal } from '../../errors.ts';
import type { Host } from '../../host/host.ts';
import { pemCertificates } from '../../names/pem.ts';
import type { JournalFile } from '../../plan/journal.ts';
import type { Step, StepReport } from '../../plan/step.ts';
import { acceptChain, acceptedChain, forgetRequest } from '../renewal/accepted.ts';
import { CA_CERTIFICATE, caDuty, caInPlace, handOver, trackedCa } from '../renewal/ca.ts';
import { signedByToken } from '../renewal/ca-request.ts';
import { isFromElsewhere } from '../renewal/cluster.ts';
import { nowInPlace, refreshCopies } from '../renewal/place.ts';
import { directoryOf, type Site } from '../site.ts';
import { chainOf } from '../steps/record.ts';
import { trackOne } from '../steps/tracking.ts';
import { isExpired, requireSuccessor, successorIn } from './expiry.ts';

/** The step that does it; its entry in the journal has the number of what the token signed. */
const AUTHORITY = 'authority';

/**
 * Has Dogtag start with another one: where this server renews for all, what was accepted of another authority, or one that the
 * token signs, and that Dogtag itself replaces when it runs, because it answers OCSP queries only for what it has issued
 * (10.10.2); elsewhere the one on the token.
 */
export function authorityCertificate(host: Host, site: Site): Step {
  return {
    id: AUTHORITY,
    title: 'Replace the certificate of the CA, if it has expired, for its key on the token',
    async done() {
      const current = await caInPlace(host);
      const [accepted] = await acceptedChain();
      // The record of what was accepted goes when all copies are in place.
      return !isExpired(current) && !accepted?.raw.equals(current.raw);
    },
    async apply({ line, remember }) {
      // Stopped already, unless the host booted since.
      await stopInstance(host, INSTANCE);
      const current = await caInPlace(host);
      const renewed = (await caDuty(host, site)).renewsHere
        ? await renewedHere(host, site, current, { line, remember })
        : await renewedElsewhere(host, site, current);
      line(`serial ${renewed.serialNumber}, good until ${renewed.validToDate.toISOString().slice(0, 10)}`);
      const { serial } = await trackedCa(host);
      const placed = [{ certificate: CA_CERTIFICATE, serial, renewed }];
      await refreshCopies(host, site, placed, line);
      await nowInPlace(host, site, placed);
      await forgetRequest();
    },
    undo: async () => {},
  };
}

/**
 * Has the certificate of the CA be good, or be one that a repair of this host can replace.
 * @returns in words, what becomes of it
 * @throws CapstanError (exit code 2) `ca-expired`; `directory-unreachable`, `command-failed`
 */
export async function requireAuthority(host: Host, site: Site): Promise<string> {
  const [current, duty] = await Promise.all([caInPlace(host), caDuty(host, site)]);
  if (!duty.renewsHere) return `comes from ${duty.master ?? 'another server'}`;
  return requireSuccessor(current, await acceptedChain());
}

/** The serial number, hexadecimal, of the certificate that the token signed in this repair; undefined where it signed none. */
export function bridgeIn(journal: Pick<JournalFile, 'entry'> | undefined): string | undefined {
  return journal?.entry(AUTHORITY)?.facts.bridge as string | undefined;
}

/**
 * What other servers are trusted by: the certificate of the CA that is in place here, or where that one has expired what
 * another server has written to the token meanwhile.
 * @returns PEM
 * @throws CapstanError `command-failed`, `token-pin-missing`
 */
export async function trustedCa(host: Host, site: Site): Promise<string> {
  const current = await caInPlace(host);
  return String((isExpired(current) && (await onToken(host, site, current))) || current);
}

async function renewedHere(
  host: Host,
  site: Site,
  current: X509Certificate,
  { line, remember }: Pick<StepReport, 'line' | 'remember'>,
): Promise<X509Certificate> {
  const accepted = await acceptedChain();
  requireSuccessor(current, accepted);
  const [known] = successorIn(accepted, current) ?? [];
  const renewed = known ?? (await signedByToken(host, site, current));
  if (!known) {
    await remember({ bridge: renewed.serialNumber });
    await acceptChain([renewed]);
  }
  await handOver(host, site, [renewed], line);
  return renewed;
}

/** certmonger reads what is on the token anew. */
async function renewedElsewhere(host: Host, site: Site, current: X509Certificate): Promise<X509Certificate> {
  const found = successorIn(await acceptedChain(), current)?.[0] ?? (await onToken(host, site, current));
  if (!found) throw notOnToken(site, current);
  const chain = chainOf(String(found), await publishedByMaster(host, site, found));
  await acceptChain(pemCertificates(chain).map((pem) => new X509Certificate(pem)));
  await withCertmonger(host, async (certmonger) => {
    const requests = await trackingRequests(certmonger);
    // A run that was killed may have left none.
    const request = requests.find(({ id }) => id === CA_CERTIFICATE.id);
    if (request) await untrack(certmonger, request);
    await trackOne(host, certmonger, site, CA_CERTIFICATE);
  });
  return found;
}

/**
 * Those above a certificate that another authority made, from the server that renews for all: what it sends does not arrive
 * here before the directory of this host has a new certificate.
 */
async function publishedByMaster(host: Host, site: Site, found: X509Certificate): Promise<Buffer[]> {
  const { master } = await caDuty(host, site);
  if (!isFromElsewhere(found) || master === undefined) return [];
  const { suffix } = directoryOf(site);
  return withRemoteDirectory(host, { hostname: master, caCertificate: String(found) }, (directory) =>
    publishedCaCertificates(directory, suffix),
  );
}

/**
 * A certificate on the token that takes the place of the expired one: signed by its own key, or by another authority; those
 * above it are asked for.
 */
async function onToken(
  host: Host,
  { token }: Site,
  current: X509Certificate,
): Promise<X509Certificate | undefined> {
  // certutil lists what the internal token has under the same name as well.
  const listed = await tokenCertificate(host, INSTANCE, token.label, CA_CERTIFICATE.nickname);
  return pemCertificates(listed)
    .map((pem) => new X509Certificate(pem))
    .find(
      (one) => isRenewalOf(one, current) && !isExpired(one) && (isFromElsewhere(one) || isSelfSigned(one)),
    );
}

function isSelfSigned(one: X509Certificate): boolean {
  return one.checkIssued(one) && one.verify(one.publicKey);
}

function notOnToken({ token, hostname }: Site, { validToDate }: X509Certificate) {
  return refusal(
    'ca-not-on-token',
    `The certificate of the CA expired on ${validToDate.toISOString().slice(0, 10)}, and the token ${token.label} of ${hostname} does not hold a newer one.`,
    'Repair the server that renews for all first. Where its token is another one, copy the certificate from there to this token with the tool of the HSM.',
  );
}
