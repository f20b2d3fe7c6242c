import { failure } from '../errors.ts';
import { longerHint } from '../host/deadlines.ts';
import type { Host } from '../host/host.ts';
import { pause } from '../host/wait.ts';
import type { Secret } from '../secret/secret.ts';
import { type Certmonger, integer, objectPath, text } from './bus.ts';

/** A certificate that certmonger is to watch: where its key and the certificate itself lie. */
export interface TrackedCertificate {
  /** The NSS database. */
  database: string;
  /** Nickname without a token in front. */
  nickname: string;
  /** The token's name; undefined for the internal token. */
  token: string | undefined;
  /** PIN of that token. certmonger keeps it in its own store, readable by root only. */
  pin: Secret;
  /**
   * Bits of its key. certmonger makes a new key at the next renewal where the size is not the one that it was told, 2048 bits
   * unless told (0.79.13, `key_gen_size`; seen with a CA's key of 3072 bits).
   */
  keySize: number;
  /** The profile that the CA's helper is told. */
  profile: string;
  /** The program that certmonger starts, as root, when it has saved a renewed certificate. */
  afterSaving: string;
}

/** What certmonger says of a tracking request. */
export interface TrackingRequest {
  path: string;
  id: string;
  status: string;
  stuck: boolean;
  database: string;
  nickname: string;
  keyToken: string | undefined;
  certToken: string | undefined;
  /** Serial number, hexadecimal, as certmonger writes it. */
  serial: string;
  issued: Date | undefined;
  expires: Date | undefined;
  /** The certificate that certmonger knows, PEM; empty where it could not read it. */
  certificate: string;
  /** The last error of the CA helper: a request can be MONITORING and have one all the same. */
  caError: string | undefined;
}

/** The state of a request whose certificate has been read and is being watched. */
export const MONITORING = 'MONITORING';
/**
 * States of a request that could not read its certificate and goes about enrolling a new one: it would make another
 * key on the token (certmonger, `cm-state`).
 */
const ENROLLING = /^(?:GENERATING_|NEED_|HAVE_|SUBMITTING|CA_)/;
const POLL_MILLISECONDS = 200;

/**
 * Whether the token that certmonger names is the wanted one, undefined for the internal token: certmonger names that,
 * when it names it, as NSS does.
 */
export function isOnToken(named: string | undefined, wanted: string | undefined): boolean {
  return named === wanted || (wanted === undefined && /^NSS .*Certificate DB$/.test(named ?? ''));
}

/** Registers a CA helper under `nickname`, unless there is one. @returns the object path of the CA */
export async function knownCa(certmonger: Certmonger, nickname: string, helper: string): Promise<string> {
  const existing = await findCa(certmonger, nickname);
  if (existing) return existing;
  await certmonger.call('add_known_ca', { signature: 'ssas', body: [nickname, helper, []] });
  const added = await findCa(certmonger, nickname);
  if (!added) throw failure('certmonger-refused', `certmonger took the CA ${nickname} but does not know it.`);
  return added;
}

/** Forgets the CA helper; that there is none is no error. */
export async function removeKnownCa(certmonger: Certmonger, nickname: string): Promise<void> {
  const path = await findCa(certmonger, nickname);
  if (path) await certmonger.call('remove_known_ca', { signature: 'o', body: [path] });
}

/** The object path of the CA of that nickname. */
export async function findCa(certmonger: Certmonger, nickname: string): Promise<string | undefined> {
  const path = await certmonger.call<string>('find_ca_by_nickname', { signature: 's', body: [nickname] });
  return path || undefined;
}

/** All tracking requests of this host. */
export async function trackingRequests(certmonger: Certmonger): Promise<TrackingRequest[]> {
  const paths = await certmonger.call<string[]>('get_requests');
  return Promise.all(paths.map((path) => trackingRequest(certmonger, path)));
}

/** The request at an object path. */
export async function trackingRequest(certmonger: Certmonger, path: string): Promise<TrackingRequest> {
  const found = await certmonger.properties(path);
  const word = (name: string) => (found[name] ? String(found[name]) : undefined);
  const date = (name: string) => {
    const seconds = Number(found[name] ?? 0);
    return seconds > 0 ? new Date(seconds * 1000) : undefined;
  };
  return {
    path,
    id: word('nickname') ?? '',
    status: word('status') ?? 'unknown',
    stuck: found.stuck === true,
    database: word('cert-database') ?? '',
    nickname: word('cert-nickname') ?? '',
    keyToken: word('key-token'),
    certToken: word('cert-token'),
    serial: word('serial') ?? '',
    issued: date('not-valid-before'),
    expires: date('not-valid-after'),
    certificate: word('cert') ?? '',
    caError: word('ca-error'),
  };
}

/**
 * Has certmonger track the certificate.
 * @param id the request's name, as `getcert list` shows it
 * @returns the object path of the request
 * @throws CapstanError `certmonger-refused`
 */
export async function track(
  certmonger: Certmonger,
  ca: string,
  id: string,
  certificate: TrackedCertificate,
): Promise<string> {
  const [, path] = await certmonger.call<[boolean, string]>('add_request', {
    signature: 'a{sv}',
    body: [requestProperties(ca, id, certificate)],
  });
  return path;
}

/**
 * Waits until certmonger has read the certificate of a request from its token and watches it.
 * @throws CapstanError `tracking-not-monitoring`, `interrupted`, and those of {@link Certmonger}
 */
export async function untilMonitoring(
  host: Host,
  certmonger: Certmonger,
  path: string,
): Promise<TrackingRequest> {
  const isEnd = ({ status, stuck }: TrackingRequest) =>
    status === MONITORING || stuck || ENROLLING.test(status);
  const request = await lastLook(host, certmonger, path, { deadline: 'monitoring', verb: 'watch' }, isEnd);
  if (request.status === MONITORING) return request;
  await untrack(certmonger, request);
  throw notMonitoring(request, host.deadlines.monitoring);
}

/** Looks at a request until it came to an end, or until the deadline is over. @returns what it was at the last look */
async function lastLook(
  host: Host,
  certmonger: Certmonger,
  path: string,
  { deadline, verb }: { deadline: 'monitoring' | 'renewal'; verb: string },
  isEnd: (request: TrackingRequest) => boolean,
): Promise<TrackingRequest> {
  const seconds = host.deadlines[deadline];
  const what = `certmonger to ${verb} ${path.slice(path.lastIndexOf('/') + 1)}`;
  const told = host.waiting(what, seconds);
  // Not by the time of day, which somebody may set.
  const until = performance.now() + seconds * 1000;
  try {
    for (;;) {
      const request = await trackingRequest(certmonger, path);
      if (isEnd(request) || performance.now() > until) return request;
      await pause(host, POLL_MILLISECONDS, what);
    }
  } finally {
    told();
  }
}

/** Stops tracking; the certificate stays. */
export async function untrack(certmonger: Certmonger, request: TrackingRequest): Promise<void> {
  await certmonger.call('remove_request', { signature: 'o', body: [request.path] });
}

/**
 * Has certmonger ask its CA for a new certificate now, for the same key.
 * @throws CapstanError `certmonger-refused`
 */
export async function resubmit(certmonger: Certmonger, { path }: TrackingRequest): Promise<void> {
  await certmonger.callAt(path, 'resubmit');
}

/** States in which a request stays that its CA did not serve, until certmonger tries again hours later. */
const GIVEN_UP =
  /^(?:CA_REJECTED|CA_UNREACHABLE|CA_UNCONFIGURED|NEED_CA|NEED_GUIDANCE|.*_NEED_.*|.*SAVE_FAILED)$/;

/** Whether a request asked its CA and waits for an answer that comes later. */
export function isWaiting({ status }: TrackingRequest): boolean {
  return status === 'CA_WORKING';
}

/** Whether nothing goes on about a request: it is watched, waits for its CA, or was given up for now. */
export function isAtRest(request: TrackingRequest): boolean {
  return (
    request.stuck || request.status === MONITORING || isWaiting(request) || GIVEN_UP.test(request.status)
  );
}

/**
 * Waits until nothing goes on about a request any more, see {@link isAtRest}.
 * @throws CapstanError `renewal-slow` after the deadline `renewal`, `interrupted`, and those of {@link Certmonger}
 */
export async function untilAtRest(
  host: Host,
  certmonger: Certmonger,
  path: string,
): Promise<TrackingRequest> {
  const request = await lastLook(host, certmonger, path, { deadline: 'renewal', verb: 'renew' }, isAtRest);
  if (isAtRest(request)) return request;
  throw failure(
    'renewal-slow',
    `certmonger did not come to an end with "${request.nickname}" within ${host.deadlines.renewal} s; it is ${request.status}.`,
    longerHint('renewal'),
  );
}

function requestProperties(
  ca: string,
  id: string,
  { database, nickname, token, pin, keySize, profile, afterSaving }: TrackedCertificate,
) {
  const sides = ['key', 'cert'].flatMap((side): [string, unknown][] => [
    [`${side}-storage`, text('NSSDB')],
    [`${side}-database`, text(database)],
    [`${side}-nickname`, text(nickname)],
    ...(token === undefined ? [] : ([[`${side}-token`, text(token)]] as [string, unknown][])),
  ]);
  return [
    ['nickname', text(id)],
    ...sides,
    ['key-pin', text(pin.reveal())],
    ['key-size', integer(keySize)],
    ['ca', objectPath(ca)],
    ['ca-profile', text(profile)],
    ['cert-postsave-command', text(afterSaving)],
  ];
}

function notMonitoring(request: TrackingRequest, deadline: number) {
  return failure(
    'tracking-not-monitoring',
    `certmonger does not monitor "${request.nickname}" on the token ${request.certToken ?? 'internal'}: its request ${request.id} is ` +
      `${request.status}${request.caError ? ` (${request.caError})` : ''} after up to ${deadline} s.`,
    `Look at "getcert list -i ${request.id}" and "journalctl -u certmonger".`,
  );
}
