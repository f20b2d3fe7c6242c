/** Another certificate for the key of an installed CA: from another authority, or signed by itself. `capstan ca-renew`. */
import { X509Certificate } from 'node:crypto';
import { withCertmonger } from '../../certmonger/bus.ts';
import { MONITORING, type TrackingRequest, trackingRequests, untrack } from '../../certmonger/tracking.ts';
import { withLocalDirectory } from '../../directory/client.ts';
import { recordedServers } from '../../directory/masters.ts';
import {
  CA_CERTIFICATES,
  CA_SIGNING_NICKNAME,
  INSTANCE,
  type SystemCertificate,
} from '../../dogtag/certificates.ts';
import { certificatePem } from '../../dogtag/nssdb.ts';
import { failure, PreflightError, refusal } from '../../errors.ts';
import { judged } from '../../external/facts.ts';
import { flawsOfSuccessor } from '../../external/successor.ts';
import { writeFileAtomically } from '../../host/files.ts';
import type { Host } from '../../host/host.ts';
import { pemCertificates } from '../../names/pem.ts';
import { runChecks } from '../../plan/run.ts';
import type { Check, Listener } from '../../plan/step.ts';
import { type ChainWish, certificateCheck, chainIn } from '../external-certificates.ts';
import { refuseDuringRepair } from '../repair/journal.ts';
import { DRY_RUN, directoryOf, type ExternalCa, type Report, type Site } from '../site.ts';
import { trackOne } from '../steps/tracking.ts';
import { stepper } from '../token-move.ts';
import {
  acceptChain,
  acceptedChain,
  forgetAccepted,
  forgetRequest,
  RENEWAL_REQUEST_FILE,
} from './accepted.ts';
import { type MadeRequest, requestAnew } from './ca-request.ts';
import { dutyOf, isFromElsewhere } from './cluster.ts';
import { issueRenewal } from './issue.ts';
import { hasChanged, keepRenewals, trackMissing } from './keeper.ts';
import { refreshPins } from './pins.ts';
import { placedAmong, placedCertificates } from './record.ts';
import { caCheck, notTracked, renewOne, requireServer, tokenCheck } from './renew.ts';

/** How such a run is made. */
export interface CaRenewal {
  /** Stop after the checks, and show the steps. */
  dryRun: boolean;
  /** Asks whether the steps that were shown are meant; throws where they are not. */
  confirm(): Promise<void>;
  listen: Listener;
}

/** The certificate of the CA among the system certificates. */
export const CA_CERTIFICATE = CA_CERTIFICATES.find(
  ({ nickname }) => nickname === CA_SIGNING_NICKNAME,
) as SystemCertificate;

/** How the next stage is typed. */
const NEXT_STAGE = 'capstan ca-renew --external-cert-file CERTIFICATE --external-cert-file CHAIN';

/**
 * Writes a request for a certificate by another authority, for the key and the name of the CA. Nothing else changes, however
 * often it is done.
 * @throws CapstanError (exit code 2, nothing changed) `not-installed`, `no-ca`, `unfinished-run`, `unfinished-repair`;
 *   PreflightError with `not-renewal-master`, `ca-unwell`, `hsm-unavailable`; (exit code 1) as {@link requestAnew}
 */
export async function requestCaCertificate(
  host: Host,
  { profile }: ExternalCa,
  { dryRun, listen }: Omit<CaRenewal, 'confirm'>,
): Promise<Report> {
  const { site } = await requireServer();
  await refuseDuringRepair();
  const current = await caInPlace(host);
  await runChecks([masterCheck(host, site), tokenCheck(host, site)], listen);
  const title = `Write a request for the certificate of the CA to ${RENEWAL_REQUEST_FILE}, signed with its key`;
  const step = stepper(host, listen, [['request', title]]);
  if (dryRun) return DRY_RUN;
  const made = await step('request', async () => {
    const request = await requestAnew(host, site, current, profile);
    await writeFileAtomically(RENEWAL_REQUEST_FILE, request.pem, { mode: 0o644 });
    return request;
  });
  return requestReport(made);
}

/**
 * Takes a certificate by another authority in the place of the one that the CA has. Where that one has expired, Dogtag does
 * not start before all the others are renewed as well: the new one is accepted, and a repair puts it in place.
 * @throws CapstanError (exit code 2, nothing changed) as {@link requestCaCertificate}, and PreflightError with every flaw of the
 *   certificates; (exit code 1) `renewal-failed`, `renewal-slow`, those of the placement, `interrupted`
 */
export async function takeCaCertificate(
  host: Host,
  files: readonly string[],
  run: CaRenewal,
): Promise<Report> {
  const { site } = await requireServer();
  await refuseDuringRepair();
  const current = await caInPlace(host);
  const expired = current.validToDate < new Date();
  const wish = wishOf(current);
  const checks = [caCheck(host, site, expired), certificateCheck(files, wish)];
  await runChecks([masterCheck(host, site), ...checks, tokenCheck(host, site)], run.listen);
  const source: Source = {
    title: expired
      ? 'Accept the certificate of the CA, and those above it, for the repair of this server'
      : 'Take in the certificate of the CA, and those above it',
    async chain(line) {
      const { certificate, above } = await chainIn(files, wish);
      for (const one of above) line(`under ${one.subject.replaceAll('\n', ',')}`);
      return [certificate, ...above];
    },
  };
  return expired ? acceptForRepair(host, run, source) : replace(host, site, run, source);
}

/**
 * Has a CA that another authority signed sign itself, with the same key.
 * @throws CapstanError (exit code 2, nothing changed) `ca-self-signed`, and as {@link requestCaCertificate}; (exit code 1)
 *   as {@link takeCaCertificate}, `enrollment-failed`, `renewal-unverified`
 */
export async function signCaItself(host: Host, run: CaRenewal): Promise<Report> {
  const { site } = await requireServer();
  await refuseDuringRepair();
  const current = await caInPlace(host);
  const checks = [masterCheck(host, site), elsewhereCheck(current), caCheck(host, site)];
  await runChecks([...checks, tokenCheck(host, site)], run.listen);
  return replace(host, site, run, {
    title: 'Have the CA sign a certificate for its own key',
    async chain() {
      const { pem } = await requestAnew(host, site, current);
      const { profile } = CA_CERTIFICATE;
      const issued = await issueRenewal(host, site, { request: pem, current, profile });
      requireOwn(issued, current);
      return [issued];
    },
  });
}

/** Where a new certificate of the CA comes from. */
interface Source {
  title: string;
  /** The certificate, its issuer next, the root last. */
  chain(line: (text: string) => void): Promise<X509Certificate[]>;
}

/** Keeps a certificate for the repair of this server, which needs it before all others. */
async function acceptForRepair(
  host: Host,
  { dryRun, confirm, listen }: CaRenewal,
  { title, chain }: Source,
): Promise<Report> {
  const step = stepper(host, listen, [['certificate', title]]);
  if (dryRun) return DRY_RUN;
  await confirm();
  const accepted = await step('certificate', async () => {
    const found = await chain((text) => listen({ type: 'step-line', id: 'certificate', line: text }));
    await acceptChain(found);
    return found;
  });
  return acceptedReport(accepted);
}

/** Puts a certificate into the place of the CA's by the way of every renewal: through certmonger, then everywhere. */
async function replace(
  host: Host,
  site: Site,
  { dryRun, confirm, listen }: CaRenewal,
  { title, chain }: Source,
): Promise<Report> {
  const { nickname } = CA_CERTIFICATE;
  const step = stepper(host, listen, [
    ['certificate', title],
    ['certmonger', `Have certmonger take "${nickname}", and write it to the token ${site.token.label}`],
    ['place', 'Put it in place, in Dogtag, in the directory, and for clients'],
  ]);
  if (dryRun) return DRY_RUN;
  await confirm();
  const line = (id: string) => (text: string) => listen({ type: 'step-line', id, line: text });
  await refreshPins(host, site, () => {});
  const accepted = await step('certificate', async () => {
    const found = await chain(line('certificate'));
    await acceptChain(found);
    return found;
  });
  await step('certmonger', () => handOver(host, site, accepted, line('certmonger')));
  await step('place', () => keepRenewals(host, site, line('place')));
  await requirePlaced(host, accepted);
  await forgetRequest();
  return placedReport(site, accepted);
}

/**
 * Has certmonger take the certificate that was accepted. Where it does not, the service tries again, until that is taken back.
 * @throws CapstanError `tracking-missing`, `renewal-failed`, `renewal-slow`, those of certmonger
 */
export async function handOver(
  host: Host,
  site: Site,
  [accepted]: readonly X509Certificate[],
  line: (text: string) => void,
): Promise<void> {
  await withCertmonger(host, (certmonger) => trackMissing(host, certmonger, site));
  const request = await trackedCa(host);
  if (request.status === MONITORING && !hasChanged(request, String(accepted))) return;
  const standing = { renewsHere: true, sharesToken: false, published: undefined, held: false };
  const candidate = {
    certificate: CA_CERTIFICATE,
    request,
    standing: { ...standing, master: site.hostname },
  };
  await renewOne(host, site, candidate, line);
}

/**
 * Takes back that a certificate was accepted, where certmonger has not taken it.
 * @throws CapstanError (exit code 2, nothing changed) `nothing-to-undo`, `ca-renewal-begun`, and as
 *   {@link requestCaCertificate}; (exit code 1) those of certmonger
 */
export async function undoCaRenewal(host: Host): Promise<Report> {
  const { site } = await requireServer();
  const [accepted] = await acceptedChain();
  if (!accepted) throw refusal('nothing-to-undo', 'No new certificate of the CA is on its way on this host.');
  const request = await trackedCa(host);
  if (!hasChanged(request, String(accepted)))
    throw refusal(
      'ca-renewal-begun',
      'certmonger has the new certificate, and the token holds it.',
      'Put it in place with "capstan renew", or with "capstan repair" where the one before has expired. Go back then with the certificate that the CA had, or with "capstan ca-renew --self-signed".',
    );
  await forgetAccepted();
  // What has expired certmonger does not just watch: it asks for another one, and is told to wait for the repair.
  const isExpired = new X509Certificate(request.certificate).validToDate < new Date();
  if (!isExpired && (request.status !== MONITORING || request.caError))
    await withCertmonger(host, async (certmonger) => {
      await untrack(certmonger, request);
      await trackOne(host, certmonger, site, CA_CERTIFICATE);
    });
  return { title: 'The new certificate is taken back; the CA has the one that it had.', facts: [], next: [] };
}

/** What certmonger says of the certificate of the CA. @throws CapstanError `tracking-missing`, those of certmonger */
export async function trackedCa(host: Host): Promise<TrackingRequest> {
  const requests = await withCertmonger(host, trackingRequests);
  const found = requests.find(({ id }) => id === CA_CERTIFICATE.id);
  if (found?.certificate) return found;
  throw notTracked(CA_CERTIFICATE);
}

async function requirePlaced(host: Host, [accepted]: readonly X509Certificate[]): Promise<void> {
  const found = await caInPlace(host);
  if (accepted && found.raw.equals(accepted.raw)) return;
  throw failure(
    'renewal-failed',
    `certmonger has the new certificate of the CA, but that with the serial number ${found.serialNumber} is in place still.`,
    'Look at "journalctl -u certmonger" and at the log of this run; "capstan renew" puts in place what is new.',
  );
}

/**
 * The certificate of the CA that is in place here, which Dogtag starts with. certutil lists what another server has written to
 * the token as well, the longest-lived first (NSS 3.61).
 * @throws CapstanError `command-failed`
 */
export async function caInPlace(host: Host): Promise<X509Certificate> {
  const listed = pemCertificates(await certificatePem(host, INSTANCE, CA_SIGNING_NICKNAME));
  const placed = (await placedCertificates())[CA_CERTIFICATE.id];
  return new X509Certificate(placedAmong(listed, placed) ?? listed[0] ?? '');
}

function wishOf(current: X509Certificate): ChainWish {
  const publicKey = current.publicKey.export({ type: 'spki', format: 'pem' }).toString();
  return { subject: judged(current).subject, publicKey, current };
}

/** Who renews the certificate of the CA, by the record of the servers. @throws CapstanError `directory-unreachable` */
export async function caDuty(host: Host, site: Site): Promise<ReturnType<typeof dutyOf>> {
  const { name, suffix } = directoryOf(site);
  const servers = await withLocalDirectory(host, { name }, (directory) => recordedServers(directory, suffix));
  return dutyOf(site.hostname, CA_CERTIFICATE, servers);
}

/** That this is the server that renews what all share. */
function masterCheck(host: Host, site: Site): Check {
  return {
    id: 'renewal-master',
    title: 'This server renews for all',
    async run() {
      const { renewsHere, master } = await caDuty(host, site);
      if (renewsHere) return 'yes';
      throw refusal(
        'not-renewal-master',
        `The certificate of the CA is the same for all servers, and ${master ?? 'no server'} renews it.`,
        master
          ? `Run the command on ${master}; this server takes over what is renewed there.`
          : 'Give that to one server: capstan role move renewal-master SERVER',
      );
    },
  };
}

function elsewhereCheck(current: X509Certificate): Check {
  return {
    id: 'external',
    title: 'Another authority has signed the CA',
    async run() {
      if (isFromElsewhere(current)) return current.issuer.replaceAll('\n', ',');
      throw refusal(
        'ca-self-signed',
        'The CA signs itself already.',
        `Renew its certificate with: capstan renew "${CA_SIGNING_NICKNAME}" --force`,
      );
    },
  };
}

/** @throws CapstanError `renewal-unverified`: what the profile made of it is not what the CA can take */
function requireOwn(issued: X509Certificate, current: X509Certificate): void {
  const flaws = flawsOfSuccessor(issued, current);
  if (issued.subject === issued.issuer && flaws.length === 0) return;
  const cause = flaws.length > 0 ? new PreflightError(flaws) : undefined;
  throw failure(
    'renewal-unverified',
    `The CA issued the certificate ${issued.serialNumber} for its own key, but ${flaws[0]?.message ?? 'not in its own name'}`,
    `Look whether the profile ${CA_CERTIFICATE.profile} was changed; the old certificate stays in place.`,
    cause,
  );
}

function requestReport({ fingerprint }: MadeRequest): Report {
  return {
    title: 'The request for another certificate of the CA is made; the CA goes on with the one that it has.',
    facts: [
      { name: 'Request', value: RENEWAL_REQUEST_FILE },
      { name: 'Fingerprint', value: `sha256:${fingerprint}` },
    ],
    next: [
      `Take ${RENEWAL_REQUEST_FILE} to the authority, and tell its fingerprint on another way`,
      `When the certificate is there, go on with it and with all certificates above it: ${NEXT_STAGE}`,
    ],
  };
}

function acceptedReport(chain: readonly X509Certificate[]): Report {
  return {
    title: `A certificate of the CA below ${rootOf(chain)} is accepted, and not in place yet: the one before has expired.`,
    facts: factsOf(chain),
    next: [
      'Put it in place, and renew what else has expired: capstan repair',
      'Or take it back before that: capstan ca-renew --undo',
    ],
  };
}

function rootOf(chain: readonly X509Certificate[]): string | undefined {
  return chain.at(-1)?.subject.replaceAll('\n', ',');
}

function factsOf([own]: readonly X509Certificate[]): Report['facts'] {
  return [
    { name: 'Serial number', value: own?.serialNumber ?? '' },
    { name: 'Good until', value: own?.validToDate.toISOString().slice(0, 10) ?? '' },
  ];
}

function placedReport(site: Site, chain: readonly X509Certificate[]): Report {
  return {
    title:
      chain.length === 1
        ? `The CA of ${site.hostname} signs itself, with the key that it had.`
        : `The CA of ${site.hostname} has the new certificate, below ${rootOf(chain)}.`,
    facts: factsOf(chain),
    next: [
      'See how all is: capstan status, capstan health',
      'The other servers take it over within the hour; at once: capstan renew --all on each of them',
      'Give clients that trust the old certificate by a copy of it the new /etc/capstan/ca.crt before the old one ends',
    ],
  };
}
