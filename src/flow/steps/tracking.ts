import { X509Certificate } from 'node:crypto';
import { type Certmonger, withCertmonger } from '../../certmonger/bus.ts';
import {
  knownCa,
  MONITORING,
  removeKnownCa,
  type TrackingRequest,
  track,
  trackingRequests,
  untilMonitoring,
  untrack,
} from '../../certmonger/tracking.ts';
import { CA_CERTIFICATES, INSTANCE, type SystemCertificate } from '../../dogtag/certificates.ts';
import { certificatePem, instancePins, nssDatabase, tokenCertificate } from '../../dogtag/nssdb.ts';
import { failure } from '../../errors.ts';
import type { Host } from '../../host/host.ts';
import type { Step } from '../../plan/step.ts';
import { forgetAccepted, forgetRequest } from '../renewal/accepted.ts';
import { forgetPlaced, placedAs, placedCertificates, recordPlaced } from '../renewal/record.ts';
import { AFTER_SAVING, helperCommand } from '../renewal/units.ts';
import type { Site } from '../site.ts';

/** What certmonger calls the CA of this cluster. */
export const CA_NICKNAME = 'capstan';

/** Which certificates are to be tracked, and by which step: those of the CA unless told. */
export interface TrackedCertificates {
  id: string;
  title: string;
  certificates: readonly SystemCertificate[];
}

const OF_CA: TrackedCertificates = {
  id: 'tracking',
  title: `Have certmonger track the ${CA_CERTIFICATES.length} system certificates`,
  certificates: CA_CERTIFICATES,
};

/**
 * Has certmonger track system certificates, each in its own token, and waits until it has read it and watches it.
 * One after the other: two readers of one SoftHSM token disturb each other ("Could not get the token flags", the login
 * fails), and certmonger tries again only after five seconds (0.79.13, seen). A request that an earlier try gave up,
 * before certmonger could make a key for it, is made again, and so is one that certmonger itself has given up.
 */
export function tracking(
  host: Host,
  site: Site,
  { id, title, certificates }: TrackedCertificates = OF_CA,
): Step {
  const ids = new Set(certificates.map((one) => one.id));
  return {
    id,
    title,
    done: () =>
      withCertmonger(host, async (certmonger) => {
        const requests = await trackingRequests(certmonger);
        const watched = new Set(requests.flatMap(({ id, status }) => (status === MONITORING ? [id] : [])));
        const placed = await placedCertificates();
        return [...ids].every((one) => watched.has(one) && placed[one] !== undefined);
      }),
    apply: (report) =>
      withCertmonger(host, async (certmonger) => {
        await dropStuck(certmonger, ids);
        await trackAll(host, certmonger, { site, certificates }, report.line);
      }),
    undo: () =>
      withCertmonger(host, async (certmonger) => {
        for (const request of await trackingRequests(certmonger)) {
          if (ids.has(request.id)) await untrack(certmonger, request);
        }
        // The CA that certmonger asks goes with the CA's own.
        if (certificates === CA_CERTIFICATES) await removeKnownCa(certmonger, CA_NICKNAME);
        if (certificates === CA_CERTIFICATES) await forgetAccepted();
        if (certificates === CA_CERTIFICATES) await forgetRequest();
        await forgetPlaced([...ids]);
      }),
  };
}

async function trackAll(
  host: Host,
  certmonger: Certmonger,
  { site, certificates }: { site: Site; certificates: readonly SystemCertificate[] },
  line: (text: string) => void,
): Promise<void> {
  const present = new Map((await trackingRequests(certmonger)).map(({ id, path }) => [id, path]));
  for (const certificate of certificates) {
    const known = present.get(certificate.id);
    if (known === undefined) await trackOne(host, certmonger, site, certificate);
    else await recordFirst(certificate.id, await untilMonitoring(host, certmonger, known));
    line(`${certificate.nickname}: ${MONITORING}`);
  }
}

/**
 * Has certmonger track one system certificate, and waits until it has read it. What it finds the first time is taken for in
 * place.
 * @returns the object path of the request
 * @throws CapstanError `tracking-not-monitoring`, `certmonger-refused`, `token-pin-missing`, `interrupted`
 */
export async function trackOne(
  host: Host,
  certmonger: Certmonger,
  site: Site,
  { id, nickname, profile, token: where }: SystemCertificate,
): Promise<string> {
  const pins = await instancePins(INSTANCE);
  const ca = await knownCa(certmonger, CA_NICKNAME, helperCommand());
  const token = where === 'hsm' ? site.token.label : undefined;
  const path = await track(certmonger, ca, id, {
    ...{ database: nssDatabase(INSTANCE), nickname, token, pin: pins.pin(token) },
    ...{ keySize: await keySizeOf(host, token, nickname), profile, afterSaving: AFTER_SAVING },
  });
  await recordFirst(id, await untilMonitoring(host, certmonger, path));
  return path;
}

/** Bits of the key of a certificate: what an override of the deployment may have chosen. */
async function keySizeOf(host: Host, token: string | undefined, nickname: string): Promise<number> {
  const pem = await (token === undefined
    ? certificatePem(host, INSTANCE, nickname)
    : tokenCertificate(host, INSTANCE, token, nickname));
  const { modulusLength } = new X509Certificate(pem).publicKey.asymmetricKeyDetails ?? {};
  if (modulusLength) return modulusLength;
  throw failure('tracking-not-rsa', `The certificate "${nickname}" is not of an RSA key.`);
}

async function recordFirst(id: string, request: TrackingRequest): Promise<void> {
  if (!(await placedCertificates())[id]) await recordPlaced({ [id]: placedAs(request) });
}

/**
 * Gives up requests whose token was away when certmonger wanted to read it: it looks no second time (0.79.13, seen in
 * the state NEWLY_ADDED_NEED_KEYINFO_READ_TOKEN after an outage of the HSM).
 */
async function dropStuck(certmonger: Certmonger, ids: ReadonlySet<string>): Promise<void> {
  for (const request of await trackingRequests(certmonger)) {
    if (request.stuck && ids.has(request.id)) await untrack(certmonger, request);
  }
}
