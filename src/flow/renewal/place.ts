/** Putting renewed certificates in place: everywhere where a copy of them is, with Dogtag stopped meanwhile. */
import { X509Certificate } from 'node:crypto';
import { withLocalDirectory } from '../../directory/client.ts';
import { publishRenewal } from '../../directory/renewals.ts';
import { INSTANCE, type SystemCertificate } from '../../dogtag/certificates.ts';
import { stopInstance } from '../../dogtag/destroy.ts';
import { refreshAbove, refreshConfigurations, refreshInternalToken } from '../../dogtag/renewed.ts';
import { isInterruption, sentenceOf } from '../../errors.ts';
import type { Host } from '../../host/host.ts';
import { requireHsm, restoreCa } from '../recovery.ts';
import { directoryOf, installedServer, type Site } from '../site.ts';
import { forgetAccepted } from './accepted.ts';
import { chainHere, refreshAuthority, refreshCaTrust } from './authority.ts';
import { standingOf } from './cluster.ts';
import { type Held, isInPlace, placedAs, placedCertificates, recordPlaced } from './record.ts';
import { settleToken } from './token.ts';
import { refreshUsers } from './users.ts';

/** A certificate that certmonger has and that is not in place everywhere. */
export interface Renewed {
  certificate: SystemCertificate;
  /** As certmonger writes it. */
  serial: string;
  renewed: X509Certificate;
}

/**
 * Puts renewed certificates in place: the token has each once, readable for Dogtag; the internal token, CS.cfg, the users in
 * the directory, and for the CA's own what trusts it follow; then Dogtag starts, and its CA makes a signature. All of them
 * cost one restart. Safe to call twice; what was begun by a run that was killed is taken again.
 * @param meanwhile done when all is in place, before Dogtag starts
 * @throws CapstanError `hsm-unavailable` (nothing changed), and what its parts throw; Dogtag is started in any case
 */
export async function placeCertificates(
  host: Host,
  site: Site,
  renewed: readonly Renewed[],
  line: (text: string) => void,
  meanwhile: () => Promise<void> = async () => {},
): Promise<void> {
  const { hasKra } = await installedServer();
  await requireHsm(host, site, line);
  line("Stopping Dogtag's Tomcat");
  await stopInstance(host, INSTANCE);
  let failed: unknown;
  try {
    await refreshCopies(host, site, renewed, line);
    await meanwhile();
  } catch (error) {
    if (isInterruption(error)) throw error;
    host.log.write(`The certificates could not be put in place: ${sentenceOf(error)}`);
    failed = error;
  }
  try {
    for (const deed of await restoreCa(host, site, line, hasKra)) line(deed);
  } catch (error) {
    throw isInterruption(error) ? error : (failed ?? error);
  }
  if (failed) throw failed;
  await nowInPlace(host, site, renewed);
}

/**
 * Publishes and records what is in place on this host.
 * @throws CapstanError `directory-unreachable`, `directory-refused`
 */
export async function nowInPlace(host: Host, site: Site, renewed: readonly Renewed[]): Promise<void> {
  await announce(host, site, renewed);
  const now = new Date().toISOString();
  await recordPlaced(
    Object.fromEntries(
      renewed.map(({ certificate: { id }, serial, renewed: issued }) => [
        id,
        { ...placedAs({ serial, certificate: String(issued) }), renewed: now },
      ]),
    ),
  );
  await forgetAccepted(renewed.map((one) => one.renewed));
}

/**
 * Puts renewed certificates into the places of the old ones, while Dogtag is stopped.
 * @throws CapstanError `dogtag-running`, and what its parts throw
 */
export async function refreshCopies(
  host: Host,
  site: Site,
  renewed: readonly Renewed[],
  line: (text: string) => void,
): Promise<void> {
  const certificates = renewed.map((one) => one.renewed);
  line('Putting the certificates in place');
  await settleToken(host, site.token, renewed);
  const copies = renewed.map(({ certificate: { nickname, trust }, renewed: certificate }) => ({
    ...{ nickname, certificate, trust },
  }));
  await refreshInternalToken(host, INSTANCE, copies);
  const authority = certificates.find(({ ca }) => ca);
  // What is above it follows it: in these, the trust of the directory and of clients is read there.
  if (authority) await refreshAbove(host, INSTANCE, await chainHere(host, site, authority));
  await refreshConfigurations(host, INSTANCE, certificates);
  await withLocalDirectory(host, directoryOf(site), async (directory) => {
    await refreshUsers(directory, certificates);
    await refreshAuthority(directory, certificates);
  });
  if (authority) await refreshCaTrust(host, site, line);
}

/** Publishes what this host renewed for all, now that it is in place, on the token among others. */
async function announce(host: Host, site: Site, renewed: readonly Renewed[]): Promise<void> {
  const { name, suffix } = directoryOf(site);
  for (const { certificate, renewed: issued } of renewed) {
    if (certificate.token === 'internal') continue;
    const { renewsHere } = await standingOf(host, site, certificate, issued);
    if (!renewsHere) continue;
    await withLocalDirectory(host, { name }, (directory) =>
      publishRenewal(directory, suffix, certificate.nickname, issued.raw),
    );
  }
}

/**
 * The certificates that certmonger has and that are not in place yet. What was never recorded came with the installation.
 * @param held the tracking requests
 */
export async function notInPlace(
  certificates: readonly SystemCertificate[],
  held: readonly (Held & { id: string })[],
): Promise<Renewed[]> {
  const placed = await placedCertificates();
  return certificates.flatMap((certificate) => {
    const request = held.find(({ id }) => id === certificate.id);
    const known = placed[certificate.id];
    if (!request?.certificate || known === undefined || isInPlace(known, request)) return [];
    return [{ certificate, serial: request.serial, renewed: new X509Certificate(request.certificate) }];
  });
}
