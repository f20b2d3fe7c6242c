/** What the renewal service does: certificates that another server published are taken over, renewed ones put in place. */
import { X509Certificate } from 'node:crypto';
import { type Certmonger, withCertmonger } from '../../certmonger/bus.ts';
import {
  isAtRest,
  isWaiting,
  knownCa,
  MONITORING,
  resubmit,
  type TrackingRequest,
  trackingRequest,
  trackingRequests,
  untilAtRest,
  untrack,
} from '../../certmonger/tracking.ts';
import { INSTANCE, type SystemCertificate } from '../../dogtag/certificates.ts';
import { tokenCertificate } from '../../dogtag/nssdb.ts';
import type { Host } from '../../host/host.ts';
import { pause } from '../../host/wait.ts';
import { pemCertificates } from '../../names/pem.ts';
import { isUnfinished } from '../../plan/journal.ts';
import type { Listener } from '../../plan/step.ts';
import { isBeingRepaired } from '../repair/journal.ts';
import { installedServer, type Report, type Site, tellingJournal } from '../site.ts';
import { CA_NICKNAME, trackOne } from '../steps/tracking.ts';
import { tokenAnswers } from '../token-look.ts';
import { stepper } from '../token-move.ts';
import { acceptedFor } from './accepted.ts';
import { answerRequests } from './asked.ts';
import { forgetFormerTrust } from './authority.ts';
import { standingOf, systemCertificates } from './cluster.ts';
import { endsSoon, ownCertificates } from './own.ts';
import { refreshPins } from './pins.ts';
import { notInPlace, placeCertificates, type Renewed } from './place.ts';
import { placedCertificates } from './record.ts';
import { helperCommand } from './units.ts';
import { keepDirectory } from './without-ca.ts';

/** Milliseconds between two looks whether certmonger is at work. */
const BETWEEN_LOOKS = 1000;
/** Looks until what takes longer is left to the next run: certificates that are renewed together cost one restart. */
const LOOKS = 60;
/** Rounds until what still changes is left to the next run. */
const ROUNDS = 5;

/**
 * The same for the server of this host, as a run of its own.
 * @throws CapstanError `not-installed`, and as {@link keepRenewals} does
 */
export async function keepRenewalsHere(host: Host, listen: Listener): Promise<Report> {
  const server = await installedServer();
  const { hostname } = server.site;
  const nothing = (title: string) => ({ title, facts: [], next: [] });
  if (isUnfinished(tellingJournal(server)) || (await isBeingRepaired()))
    return nothing(`The server ${hostname} is not whole; its certificates are left alone.`);
  const step = stepper(host, listen, [['renewals', 'Look for renewed certificates']]);
  const line = (text: string) => listen({ type: 'step-line', id: 'renewals', line: text });
  const done = await step(
    'renewals',
    () => (server.hasCa ? keepRenewals : keepDirectory)(host, server.site, line),
    (placed) => placed.length > 0,
  );
  if (done.length === 0) return nothing('No certificate is new.');
  return {
    title: 'Renewed certificates are in place.',
    facts: done.map((value) => ({ name: 'Done', value })),
    next: [],
  };
}

/**
 * Takes over what another server published, and puts in place what certmonger renewed, until nothing is left to do.
 * @returns what was done, in words
 * @throws CapstanError as {@link placeCertificates} and {@link takeOver} do
 */
export async function keepRenewals(host: Host, site: Site, line: (text: string) => void): Promise<string[]> {
  const done: string[] = [];
  await refreshPins(host, site, line);
  await withCertmonger(host, (certmonger) => trackMissing(host, certmonger, site));
  for (let round = 0; round < ROUNDS; round += 1) {
    const requests = await withCertmonger(host, (certmonger) => untilQuiet(host, certmonger));
    for (const certificate of systemCertificates()) {
      const request = requests.find(({ id }) => id === certificate.id);
      if (!request?.certificate) continue;
      if ((await isAccepted(host, site, certificate, request)) || (await mayGoOn(host, site, request)))
        await askAgain(host, request);
      const taken = await takeOver(host, site, certificate, request, line);
      if (taken) done.push(`took over "${certificate.nickname}" from ${taken}`);
    }
    const waiting = await renewedHere(host);
    if (waiting.length === 0) break;
    await placeCertificates(host, site, waiting, line);
    done.push(...waiting.map(({ certificate }) => `put "${certificate.nickname}" in place`));
  }
  if (await forgetFormerTrust(host, site, line)) done.push('trusts nobody above the CA of before');
  for (const own of ownCertificates(host, site)) {
    if (!endsSoon(await own.current())) continue;
    line(`Renewing ${own.title}`);
    await own.renew();
    done.push(`renewed ${own.title}`);
  }
  done.push(...(await answerRequests(host, site, line)));
  return done;
}

/**
 * Has certmonger know its CA, and track what a run that was killed between giving up a request and making it again left
 * untracked.
 */
export async function trackMissing(host: Host, certmonger: Certmonger, site: Site): Promise<void> {
  const ids = new Set((await trackingRequests(certmonger)).map(({ id }) => id));
  const placed = await placedCertificates();
  await knownCa(certmonger, CA_NICKNAME, helperCommand());
  for (const certificate of systemCertificates()) {
    if (!ids.has(certificate.id) && placed[certificate.id])
      await trackOne(host, certmonger, site, certificate);
  }
}

/** The states of a request whose CA did not answer, whose helper was killed, or whose token was away or let nobody in. */
const GIVEN_UP = /^(?:CA_UNREACHABLE|NEED_GUIDANCE|NEED_\w+_(?:TOKEN|PIN))$/;

/**
 * Whether certmonger is to be asked again. Programs that disturb each other at a token of SoftHSM look like a wrong PIN;
 * where the token counts a wrong one, it is not tried on and on.
 */
async function mayGoOn(host: Host, { token }: Site, { status }: TrackingRequest): Promise<boolean> {
  if (!GIVEN_UP.test(status)) return false;
  return !status.endsWith('_PIN') || !(await tokenAnswers(host, token)).pinCountLow;
}

/**
 * Whether a certificate of the CA was accepted here that certmonger has not taken yet: the run was killed that was at it. One
 * that follows an expired one waits for a repair.
 */
async function isAccepted(
  host: Host,
  site: Site,
  certificate: SystemCertificate,
  request: TrackingRequest,
): Promise<boolean> {
  const current = new X509Certificate(request.certificate);
  if (!isAtRest(request) || current.validToDate < new Date() || !(await acceptedFor(current))) return false;
  return (await standingOf(host, site, certificate, current)).renewsHere;
}

/** certmonger itself would wait for hours for its CA, and for the others until somebody asks it to go on. */
async function askAgain(host: Host, request: TrackingRequest): Promise<void> {
  await withCertmonger(host, async (certmonger) => {
    await resubmit(certmonger, request);
    await untilAtRest(host, certmonger, request.path);
  });
}

/** The certificates that certmonger renewed and that are not in place yet. */
export async function renewedHere(host: Host): Promise<Renewed[]> {
  const requests = await withCertmonger(host, trackingRequests);
  return notInPlace(
    systemCertificates(),
    requests.filter(({ status }) => status === MONITORING),
  );
}

/** Waits until certmonger is at work on none of the certificates, but not without end. */
async function untilQuiet(host: Host, certmonger: Certmonger): Promise<TrackingRequest[]> {
  const ids = new Set(systemCertificates().map(({ id }) => id));
  for (let look = 1; ; look += 1) {
    const requests = (await trackingRequests(certmonger)).filter(({ id }) => ids.has(id));
    if (requests.every(isAtRest) || look >= LOOKS) return requests;
    await pause(host, BETWEEN_LOOKS, 'certmonger to renew');
  }
}

/**
 * Takes a certificate over that the server which renews for all published. On the same token it is already: certmonger
 * reads it anew. A token of this host's own gets it through certmonger's helper.
 * @returns the server it was taken from; undefined where there was nothing to take
 * @throws CapstanError `directory-unreachable`, those of certmonger and of {@link trackOne}
 */
export async function takeOver(
  host: Host,
  site: Site,
  certificate: SystemCertificate,
  request: TrackingRequest,
  line: (text: string) => void,
): Promise<string | undefined> {
  if (certificate.token === 'internal') return undefined;
  const current = new X509Certificate(request.certificate);
  const standing = await standingOf(host, site, certificate, current);
  const { renewsHere, published, held, master, sharesToken } = standing;
  // A certmonger that was started meanwhile has read what is on the token, and waits for it still.
  const offered = published ?? (held && isWaiting(request) ? current : undefined);
  if (renewsHere || !offered || master === undefined) return undefined;
  line(`Taking "${certificate.nickname}" over from ${master}`);
  const found = await read(host, site, certificate, request, { offered, sharesToken });
  return found !== undefined && sameSerial(found.serial, offered.serialNumber) ? master : undefined;
}

async function read(
  host: Host,
  site: Site,
  certificate: SystemCertificate,
  request: TrackingRequest,
  { offered, sharesToken }: { offered: X509Certificate; sharesToken: boolean },
): Promise<TrackingRequest | undefined> {
  return withCertmonger(host, async (certmonger) => {
    if (!sharesToken) {
      await resubmit(certmonger, request);
      return untilAtRest(host, certmonger, request.path);
    }
    // certutil lists what the internal token has of the same subject as well, the longest-lived first (NSS 3.61).
    const listed = await tokenCertificate(host, INSTANCE, site.token.label, certificate.nickname);
    const found = pemCertificates(listed).map((one) => new X509Certificate(one));
    if (!found.some(({ raw }) => raw.equals(offered.raw))) return undefined;
    await untrack(certmonger, request);
    return trackingRequest(certmonger, await trackOne(host, certmonger, site, certificate));
  });
}

/** Whether certmonger has another certificate in a request than it had, both PEM. */
export function hasChanged(after: Pick<TrackingRequest, 'certificate'>, before: string): boolean {
  if (after.certificate === '') return false;
  return before === '' || !new X509Certificate(after.certificate).raw.equals(new X509Certificate(before).raw);
}

/** Whether two serial numbers are the same, hexadecimal both, whatever their leading zeros and letter case. */
export function sameSerial(one: string, other: string): boolean {
  return one !== '' && other !== '' && BigInt(`0x${one}`) === BigInt(`0x${other}`);
}
