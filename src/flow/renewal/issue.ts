/** Renewing one certificate for certmonger: through the CA, or from what another server published. */
import { createPublicKey, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { withCertmonger } from '../../certmonger/bus.ts';
import { trackingRequests } from '../../certmonger/tracking.ts';
import { agentCredentials } from '../../dogtag/agent.ts';
import type { SystemCertificate } from '../../dogtag/certificates.ts';
import { enroll } from '../../dogtag/enroll.ts';
import { type CaAccount, caSession } from '../../dogtag/rest.ts';
import { failure, refusal } from '../../errors.ts';
import type { Host } from '../../host/host.ts';
import { isBeingRepaired } from '../repair/journal.ts';
import { CA_FILE, dogtagOf, installedServer, type Site } from '../site.ts';
import { acceptedFor } from './accepted.ts';
import { fromElsewhere, isFromElsewhere, standingOf, systemCertificates } from './cluster.ts';
import { ANSWERS, askLater, type HelperAnswer, type RenewalRequest } from './protocol.ts';
import { RENEWAL_SERVICE } from './units.ts';

/**
 * Renews a certificate: on the server that renews what all share, and for what is a host's own, the CA issues a new one,
 * unless one of the CA itself was accepted that is on its way into its place.
 * Elsewhere it is the one that that server published. Where the token is that server's, the certificate is on it already
 * when it is published: certmonger is told to wait, and is then made to read it, so that nobody writes it twice.
 * @throws CapstanError `renewal-unknown`, `renewal-external`, `renewal-awaits-repair`, `not-installed`, those of {@link standingOf}, of the CA's session, and
 *   `enrollment-failed`, `renewal-unverified`
 */
export async function renewCertificate(host: Host, request: RenewalRequest): Promise<HelperAnswer> {
  const { site } = await installedServer();
  const certificate = await trackedAs(host, request.current);
  const standing = await standingOf(host, site, certificate, request.current);
  if (standing.renewsHere) {
    const accepted = await acceptedFor(request.current);
    if (accepted) {
      await requireRepair(request.current);
      await requireSameKey(host, request.request, request.current);
      return { code: ANSWERS.issued, output: accepted.toString().trim() };
    }
    if (isFromElsewhere(request.current)) throw fromElsewhere(request.current);
    const profile = request.profile ?? certificate.profile;
    const issued = await issueRenewal(host, site, { ...request, profile });
    return { code: ANSWERS.issued, output: issued.toString().trim() };
  }
  const offered = standing.published ?? (standing.held ? request.current : undefined);
  if (offered && !standing.sharesToken) return { code: ANSWERS.issued, output: offered.toString().trim() };
  if (offered) await host.run('systemctl', ['start', '--no-block', RENEWAL_SERVICE]);
  return askLater(request.asked);
}

/**
 * An expired certificate of the CA is replaced while Dogtag is at rest for a repair; before that, what was accepted can be
 * taken back.
 * @throws CapstanError `renewal-awaits-repair`
 */
async function requireRepair({ validToDate }: X509Certificate): Promise<void> {
  if (validToDate >= new Date() || (await isBeingRepaired())) return;
  throw refusal(
    'renewal-awaits-repair',
    'The certificate of the CA has expired; the new one that was accepted waits for the repair of this server.',
    'Begin that with "capstan repair".',
  );
}

/** Which system certificate it is: certmonger does not say, but its request has the same certificate. */
async function trackedAs(host: Host, current: X509Certificate): Promise<SystemCertificate> {
  const requests = await withCertmonger(host, trackingRequests);
  // Another authority than this CA may give its certificates the same numbers.
  const ids = requests
    .filter(({ certificate }) => certificate && new X509Certificate(certificate).raw.equals(current.raw))
    .map(({ id }) => id);
  const found = systemCertificates().find(({ id }) => ids.includes(id));
  if (found) return found;
  throw failure(
    'renewal-unknown',
    `The certificate ${current.serialNumber} (${current.subject.replaceAll('\n', ',')}) is none of the system certificates.`,
    'Capstan renews those alone. Ask the CA for others through an agent.',
  );
}

/** Another way to the CA than as this host's agent over verified TLS, for a repair. */
export interface OtherWay {
  /** Who comes, by password. */
  account?: CaAccount;
  /** The expired TLS certificate, PEM, that the CA of this host shows; see `TrustedCa`. */
  shows?: string | undefined;
}

/**
 * Has the CA of this host issue a renewed certificate, as its agent, and looks at it before anybody saves it.
 * @param request PKCS#10, PEM
 * @throws CapstanError `renewal-other-key`, `renewal-unverified`, `enrollment-failed`, `ca-refused`, `ca-unreachable`, `ca-login-refused`
 */
export async function issueRenewal(
  host: Host,
  { hostname }: Pick<Site, 'hostname'>,
  { request, current, profile }: { request: string; current: X509Certificate; profile: string },
  { account, shows }: OtherWay = {},
): Promise<X509Certificate> {
  await requireSameKey(host, request, current);
  const caCertificate = await readFile(CA_FILE, 'utf8');
  const [{ restPath }, who] = await Promise.all([
    dogtagOf(),
    account ? { account } : agentCredentials().then((agent) => ({ agent })),
  ]);
  const session = caSession(host, { hostname, caCertificate, restPath, shows, ...who });
  try {
    const issued = new X509Certificate(await enroll(session, profile, request, current.ca));
    requireRenewal(issued, current, new X509Certificate(caCertificate));
    return issued;
  } finally {
    session.close();
  }
}

/**
 * Refuses a request for another key than that of the certificate: certmonger makes a new one where it does not find the old
 * one, or finds it of another size than it was told.
 */
async function requireSameKey(host: Host, request: string, current: X509Certificate): Promise<void> {
  const { stdout } = await host.run('openssl', ['req', '-noout', '-pubkey'], { input: request });
  if (createPublicKey(stdout).equals(current.publicKey)) return;
  throw refusal(
    'renewal-other-key',
    `certmonger asks for a certificate of another key than that of the certificate ${current.serialNumber}: it made a new one. Nothing was renewed.`,
    'The old key is on its token still. Look at "getcert list -v", and delete the new one with the tool of the HSM.',
  );
}

/** @throws CapstanError `renewal-unverified` */
export function requireRenewal(issued: X509Certificate, current: X509Certificate, ca: X509Certificate): void {
  const flaws = [
    ...(issued.publicKey.equals(current.publicKey) ? [] : ['it is for another key']),
    ...(issued.subject === current.subject ? [] : [`its subject is ${issued.subject.replaceAll('\n', ',')}`]),
    ...(issued.verify(ca.publicKey) ? [] : ["it does not verify with the CA's certificate"]),
    ...(issued.ca === current.ca ? [] : [`it is ${issued.ca ? '' : 'not '}a CA's certificate`]),
    ...(current.ca && issued.validTo === current.validTo ? ['it ends when the old one does'] : []),
    ...(issued.validToDate > current.validFromDate ? [] : ['it ends before the old one began']),
  ];
  if (flaws.length === 0) return;
  throw failure(
    'renewal-unverified',
    `The CA issued the certificate ${issued.serialNumber} for ${current.subject.replaceAll('\n', ',')}, but ${flaws.join(', and ')}.`,
    'Look whether the profile was changed; the old certificate stays in place.',
  );
}
