/** Renewing certificates now: `capstan renew`. */
import { X509Certificate } from 'node:crypto';
import { withCertmonger } from '../../certmonger/bus.ts';
import {
  MONITORING,
  resubmit,
  type TrackingRequest,
  trackingRequests,
  untilAtRest,
} from '../../certmonger/tracking.ts';
import type { SystemCertificate } from '../../dogtag/certificates.ts';
import { failure, refusal } from '../../errors.ts';
import type { Host } from '../../host/host.ts';
import { quoted } from '../../names/quoted.ts';
import { isUnfinished } from '../../plan/journal.ts';
import { runChecks } from '../../plan/run.ts';
import type { Check, Listener } from '../../plan/step.ts';
import { requireHsm, serverProblems } from '../recovery.ts';
import { refuseDuringRepair } from '../repair/journal.ts';
import { type InstalledServer, installedServer, type Report, type Site, tellingJournal } from '../site.ts';
import { stepper } from '../token-move.ts';
import { fromElsewhere, isFromElsewhere, type Standing, standingOf, systemCertificates } from './cluster.ts';
import { hasChanged, keepRenewals, takeOver, trackMissing } from './keeper.ts';
import { DUE_DAYS, ownCertificates } from './own.ts';
import { refreshPins } from './pins.ts';
import { renewDirectoryHere } from './without-ca.ts';

/** What is to be renewed. */
export interface RenewalWish {
  /** The nickname of one certificate, or the name of its tracking request; all that are due without it. */
  nickname?: string | undefined;
  /** Whether certificates are renewed that are not due. */
  force: boolean;
  listen: Listener;
}

/** A certificate that is to be renewed, or taken over. */
export interface Candidate {
  certificate: SystemCertificate;
  request: TrackingRequest;
  standing: Standing;
}

/**
 * Renews certificates through certmonger, and waits until they are in place. On a server that does not renew what all share,
 * those certificates are taken over as far as the one that does has renewed them.
 * @throws CapstanError (exit code 2, nothing changed) `not-installed`, `no-ca`, `unfinished-run`, `unfinished-repair`, `certificate-unknown`,
 *   `renewal-external`, `not-due`, `not-renewal-master`; PreflightError with `ca-unwell`, `hsm-unavailable`; (exit code 1) `renewal-failed`,
 *   `renewal-slow`, those of the placement, `interrupted`
 */
export async function renewCertificates(
  host: Host,
  { nickname, force, listen }: RenewalWish,
): Promise<Report> {
  const { site, hasKra, hasCa } = await requireWhole();
  await refuseDuringRepair();
  if (!hasCa) return renewDirectoryHere(host, site, { nickname, force, listen });
  const own = ownCertificates(host, site).filter(({ name }) => nickname === undefined || name === nickname);
  const wanted = own.length > 0 && nickname !== undefined ? [] : wantedCertificates(nickname, hasKra);
  await runChecks(looks(host, site), listen);
  await refreshPins(host, site, () => {});
  await withCertmonger(host, (certmonger) => trackMissing(host, certmonger, site));
  const candidates = await chosen(host, site, wanted, nickname !== undefined, force);
  const forced = force ? own : [];
  const step = stepper(host, listen, [
    ...candidates.map(
      ({ certificate, standing }) => [certificate.id, titleOf(certificate, standing)] as const,
    ),
    ...forced.map(({ name, title }) => [name, `Renew ${title}`] as const),
    ['place', 'Put in place what is new'] as const,
  ]);
  for (const candidate of candidates) {
    const { id } = candidate.certificate;
    await step(id, () => renewOne(host, site, candidate, tell(listen, id)));
  }
  for (const { name, renew } of forced) await step(name, () => renew());
  const done = [
    ...forced.map(({ title }) => `renewed ${title}`),
    ...(await step(
      'place',
      () => keepRenewals(host, site, tell(listen, 'place')),
      (placed) => placed.length > 0,
    )),
  ];
  return report(site, candidates, done);
}

function tell(listen: Listener, id: string): (line: string) => void {
  return (line) => listen({ type: 'step-line', id, line });
}

/**
 * The server of this host, which has a CA and came to its end.
 * @throws CapstanError `not-root`, `not-installed`, `unfinished-run`, `no-ca`
 */
export async function requireServer(): Promise<InstalledServer> {
  const server = await requireWhole();
  if (server.hasCa) return server;
  throw refusal(
    'no-ca',
    `${server.site.hostname} has no CA; the certificate of its directory is all that it has.`,
    'Renew that with "capstan renew directory"; what all share, on the renewal master: capstan role list',
  );
}

/** @throws CapstanError `not-root`, `not-installed`, `unfinished-run` */
async function requireWhole(): Promise<InstalledServer> {
  const server = await installedServer();
  const journal = tellingJournal(server);
  if (isUnfinished(journal)) {
    const { flow } = journal.journal;
    throw refusal(
      'unfinished-run',
      'The installation on this host did not come to its end, or its removal did not.',
      `Go on with "capstan ${flow} --resume", or take everything back with "capstan ${flow} --undo".`,
    );
  }
  return server;
}

function wantedCertificates(nickname: string | undefined, hasKra: boolean): readonly SystemCertificate[] {
  const all = systemCertificates(hasKra);
  if (nickname === undefined) return all;
  const found = all.filter(({ id, nickname: name }) => id === nickname || name === nickname);
  if (found.length > 0) return found;
  throw refusal(
    'certificate-unknown',
    `${quoted(nickname)} is no system certificate of this server.`,
    `They are ${all.map((one) => quoted(one.nickname)).join(', ')}; and there are "agent" and "directory".`,
  );
}

/** What has to work before anything is renewed. */
function looks(host: Host, site: Site): Check[] {
  return [caCheck(host, site), tokenCheck(host, site)];
}

/** That the directory and the CA work. @param caMayRest whether the CA need not work, because its certificate has expired for instance */
export function caCheck(host: Host, site: Site, caMayRest = false): Check {
  return {
    id: 'ca',
    title: caMayRest ? 'The directory works' : 'The directory and the CA work',
    async run() {
      const { directory, ca } = await serverProblems(host, site, { directory: true, ca: !caMayRest });
      const problem = directory ?? ca;
      if (!problem) return caMayRest ? 'yes' : 'the CA made a signature';
      throw refusal(
        'ca-unwell',
        `Nothing can be renewed: ${problem.message}`,
        'Bring the server back with "capstan restart".',
        problem,
      );
    },
  };
}

/** That the token lets Dogtag in. */
export function tokenCheck(host: Host, site: Site): Check {
  return {
    id: 'token',
    title: `The token ${site.token.label} lets Dogtag in`,
    async run() {
      await requireHsm(host, site, () => {});
      return 'yes';
    },
  };
}

/** What of the wanted certificates is renewed, or taken over. */
async function chosen(
  host: Host,
  site: Site,
  wanted: readonly SystemCertificate[],
  named: boolean,
  force: boolean,
): Promise<Candidate[]> {
  const requests = await withCertmonger(host, trackingRequests);
  const candidates: Candidate[] = [];
  for (const certificate of wanted) {
    const request = requests.find(({ id }) => id === certificate.id);
    if (!request?.certificate) throw notTracked(certificate);
    const current = new X509Certificate(request.certificate);
    const standing = await standingOf(host, site, certificate, current);
    if (standing.renewsHere && isFromElsewhere(current)) {
      if (named) throw fromElsewhere(current);
      continue;
    }
    if (standing.renewsHere ? force || isDue(request) : standing.published !== undefined)
      candidates.push({ certificate, request, standing });
    else if (named) throw nothingToDo(certificate, request, standing);
  }
  return candidates;
}

/** Whether a certificate is near its end, or its renewal failed. */
export function isDue(
  { expires, caError, status }: Pick<TrackingRequest, 'expires' | 'caError' | 'status'>,
  now = Date.now(),
): boolean {
  if (caError !== undefined || status !== MONITORING) return true;
  return expires !== undefined && expires.getTime() - now < DUE_DAYS * 86_400_000;
}

function nothingToDo({ nickname }: SystemCertificate, { expires }: TrackingRequest, standing: Standing) {
  if (standing.renewsHere)
    return refusal(
      'not-due',
      `"${nickname}" is good until ${expires?.toISOString().slice(0, 10)}, and is renewed ${DUE_DAYS} days before by itself.`,
      'Renew it all the same with --force.',
    );
  return refusal(
    'not-renewal-master',
    `"${nickname}" is the same for all servers, and ${standing.master ?? 'no server'} renews it; nothing newer is published.`,
    standing.master
      ? `Renew it there first: capstan renew "${nickname}"`
      : 'Give that to one server: capstan role move renewal-master SERVER',
  );
}

/** certmonger does not watch a system certificate. */
export function notTracked({ nickname }: SystemCertificate) {
  return failure(
    'tracking-missing',
    `certmonger does not watch "${nickname}".`,
    'Look at "getcert list" and "journalctl -u certmonger".',
  );
}

function titleOf({ nickname }: SystemCertificate, { renewsHere, master }: Standing): string {
  return renewsHere ? `Renew "${nickname}"` : `Take "${nickname}" over from ${master}`;
}

/**
 * Has certmonger renew a certificate, or takes it over, and waits for that.
 * @throws CapstanError `renewal-failed`, `renewal-slow`, those of certmonger
 */
export async function renewOne(
  host: Host,
  site: Site,
  { certificate, request, standing }: Candidate,
  line: (text: string) => void,
): Promise<void> {
  if (!standing.renewsHere) {
    if (await takeOver(host, site, certificate, request, line)) return;
    throw failure(
      'renewal-failed',
      `"${certificate.nickname}" could not be taken over from ${standing.master}: the token ${site.token.label} does not hold the certificate that was published.`,
      `See how it is there: capstan status on ${standing.master}`,
    );
  }
  const after = await withCertmonger(host, async (certmonger) => {
    await resubmit(certmonger, request);
    return untilAtRest(host, certmonger, request.path);
  });
  // certmonger goes back to watching the old certificate after some errors of the CA, and says so in ca-error alone.
  if (after.status !== MONITORING || after.caError || !hasChanged(after, request.certificate)) {
    throw failure(
      'renewal-failed',
      `certmonger did not renew "${certificate.nickname}": ${after.caError ?? `it is ${after.status}`}`,
      `The old certificate stays in place. Look at "getcert list -i ${certificate.id}", "journalctl -u certmonger" and /var/log/capstan/renewal-helper.log.`,
    );
  }
  line(`serial ${after.serial}, good until ${after.expires?.toISOString().slice(0, 10)}`);
}

function report({ hostname }: Site, candidates: readonly Candidate[], done: readonly string[]): Report {
  if (candidates.length === 0 && done.length === 0)
    return {
      title: `No certificate of ${hostname} is due; nothing was changed.`,
      facts: [],
      next: ['Renew all of them all the same: capstan renew --all --force'],
    };
  return {
    title: `The certificates of ${hostname} are renewed and in place.`,
    facts: done.map((value) => ({ name: 'Done', value })),
    next: [
      'See how they are: capstan status',
      'Servers that share the keys take them over within the hour; at once: capstan renew --all on each of them',
    ],
  };
}
