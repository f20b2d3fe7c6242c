/** The certificates on the token, which all servers share: renewed by one server, and taken over by the others. */
import { X509Certificate } from 'node:crypto';
import { withCertmonger } from '../../certmonger/bus.ts';
import { trackingRequests } from '../../certmonger/tracking.ts';
import { agreementsOf } from '../../directory/agreement.ts';
import { withLocalDirectory } from '../../directory/client.ts';
import { beginAnew } from '../../directory/feed-keeper.ts';
import { recordedServers } from '../../directory/masters.ts';
import { caSession } from '../../dogtag/rest.ts';
import { CapstanError, failure, isInterruption, refusal, sentenceOf } from '../../errors.ts';
import type { Host } from '../../host/host.ts';
import { pause, within } from '../../host/wait.ts';
import type { Step } from '../../plan/step.ts';
import { peersOf } from '../peers.ts';
import { CA_CERTIFICATE } from '../renewal/ca.ts';
import { dutyOf, isFromElsewhere, standingOf, systemCertificates } from '../renewal/cluster.ts';
import { sameSerial } from '../renewal/keeper.ts';
import { type Candidate, isDue, renewOne } from '../renewal/renew.ts';
import { directoryOf, dogtagOf, type Site } from '../site.ts';
import { trustedCa } from './authority.ts';

/** Milliseconds between two looks whether what another server published has arrived. */
const BETWEEN_LOOKS = 1000;

/**
 * The servers that renew what this one shares with them, and that therefore are repaired before it.
 * @throws CapstanError `directory-unreachable`, `directory-refused`
 */
async function serversBefore(host: Host, site: Site, hasKra: boolean): Promise<string[]> {
  const { name, suffix } = directoryOf(site);
  const servers = await withLocalDirectory(host, { name }, (directory) => recordedServers(directory, suffix));
  const duties = systemCertificates(hasKra).map((certificate) => dutyOf(site.hostname, certificate, servers));
  const others = duties.filter(({ renewsHere }) => !renewsHere);
  if (others.some(({ master }) => master === undefined)) {
    throw refusal(
      'no-renewal-master',
      'No server is recorded as the one that renews what all share.',
      `Give that to this one: capstan role move renewal-master ${site.hostname}`,
    );
  }
  return [...new Set(others.flatMap(({ master }) => master ?? []))];
}

/**
 * Has those servers be repaired already.
 * @returns in words, who was looked at
 * @throws CapstanError (exit code 2) `other-server-first`, `no-renewal-master`
 */
export async function requireTurn(host: Host, site: Site, hasKra: boolean): Promise<string> {
  const before = await serversBefore(host, site, hasKra);
  for (const hostname of before) await requireRepaired(host, site, hostname);
  return before.length === 0
    ? 'this server renews for all'
    : `after ${before.join(', ')}, which renewed already`;
}

async function requireRepaired(host: Host, site: Site, hostname: string): Promise<void> {
  const [{ restPath }, certificate] = await Promise.all([dogtagOf(), trustedCa(host, site)]);
  const session = caSession(host, { hostname, caCertificate: certificate, restPath });
  try {
    await session.get('/authorities/host-authority');
  } catch (error) {
    if (isInterruption(error) || !(error instanceof CapstanError)) throw error;
    throw refusal(
      'other-server-first',
      `${hostname} renews what all servers share, and is not well yet: ${error.message}`,
      `Run "capstan repair" there first. If ${hostname} is gone for good, have this server renew for all: capstan role move renewal-master ${site.hostname}`,
      error,
    );
  } finally {
    session.close();
  }
}

/**
 * Renews what is on the token through certmonger, or takes over what another server renewed.
 * @param bridge the serial number of a certificate of the CA that is replaced, too: the token signed it, and not the CA
 */
export function sharedCertificates(
  host: Host,
  site: Site,
  hasKra: boolean,
  bridge: () => string | undefined,
): Step {
  const due = () => candidates(host, site, hasKra, bridge());
  return {
    id: 'shared',
    title: 'Renew the certificates on the token, or take them over from the server that renews for all',
    done: async () => (await due()).length === 0,
    async apply({ line }) {
      let left = await due();
      const isAway = ({ standing }: Candidate) => !standing.renewsHere && !standing.published;
      if (left.some(isAway)) {
        await wakeFeeds(host, site, line);
        await within(host, 'replication', 'what another server renewed', async (signal) => {
          while (left.some(isAway) && !signal.aborted) {
            await pause(host, BETWEEN_LOOKS, 'what another server renewed');
            left = await due();
          }
        }).catch((error: unknown) => {
          throw isInterruption(error) ? error : notArrived(left.filter(isAway), error);
        });
      }
      for (const one of left) {
        line(one.certificate.nickname);
        await renewOne(host, site, one, line);
      }
    },
    undo: async () => {},
  };
}

/** The certificates on the token whose requests have not a valid one. */
async function candidates(host: Host, site: Site, hasKra: boolean, bridge = ''): Promise<Candidate[]> {
  const requests = await withCertmonger(host, trackingRequests);
  const due: Candidate[] = [];
  for (const certificate of systemCertificates(hasKra).filter(({ token }) => token === 'hsm')) {
    const request = requests.find(({ id }) => id === certificate.id);
    if (!request?.certificate) {
      throw failure(
        'tracking-missing',
        `certmonger does not watch "${certificate.nickname}".`,
        'Look at "getcert list" and "journalctl -u certmonger".',
      );
    }
    const isBridge = certificate.id === CA_CERTIFICATE.id && sameSerial(request.serial, bridge);
    if (!isDue(request) && !isBridge) continue;
    const current = new X509Certificate(request.certificate);
    const standing = await standingOf(host, site, certificate, current);
    if (standing.renewsHere && isFromElsewhere(current)) continue;
    due.push({ certificate, request, standing });
  }
  return due;
}

function notArrived(missing: readonly Candidate[], error: unknown) {
  const names = missing.map(({ certificate }) => `"${certificate.nickname}"`).join(', ');
  const masters = [...new Set(missing.map(({ standing }) => standing.master))].join(', ');
  return failure(
    'renewal-not-arrived',
    `What ${masters} renewed has not arrived in the directory of this server: ${names}. ${sentenceOf(error)}`,
    `See on ${masters} whether it is published and whether replication works: capstan status, capstan topology list. Then run "capstan repair" again.`,
    error,
  );
}

/** Has the other servers send at once: they could not for long, and wait minutes between two tries. */
async function wakeFeeds(host: Host, site: Site, line: (text: string) => void): Promise<void> {
  const { name, suffix } = directoryOf(site);
  const servers = await withLocalDirectory(host, { name }, (directory) => recordedServers(directory, suffix));
  const peers = peersOf(host, site);
  for (const { hostname } of servers.filter((one) => one.hostname !== site.hostname)) {
    line(`Having ${hostname} send what is new`);
    try {
      await peers.at(hostname, async (directory) => {
        const feeds = (await agreementsOf(directory)).filter(({ receiver }) => receiver === site.hostname);
        for (const feed of feeds) await beginAnew(directory, feed);
      });
    } catch (error) {
      if (isInterruption(error)) throw error;
      line(`${hostname} cannot be told: ${sentenceOf(error)}`);
    }
  }
}
