/** Taking a server out of the replication of a suffix, so that its peers keep nothing of it. */
import { agreementFor, agreementsOf, removeAgreement } from '../directory/agreement.ts';
import { type Directory, withLocalDirectory } from '../directory/client.ts';
import { removeIdentity } from '../directory/identity.ts';
import { removeServer } from '../directory/masters.ts';
import { removeReferral, shutOut, supplierId, unmakeSupplier } from '../directory/replication.ts';
import { proveReplication } from '../directory/replication-proof.ts';
import { cleanRuv } from '../directory/ruv.ts';
import { endTurn, inTurn } from '../directory/turn.ts';
import { joinUid } from '../dogtag/security-domain.ts';
import { CapstanError, failure, isInterruption, sentenceOf } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { removeInstallTokens } from './ca-users.ts';
import { joinExpiry } from './join.ts';
import type { Peers } from './peers.ts';
import { directoryOf, type JoinedSite } from './site.ts';

/** What is cut. */
export interface Cut {
  suffix: string;
  /** This server's replica id, where its directory cannot be asked. */
  replicaId?: number | undefined;
  /** The peer that became a supplier only for this server, and is to be none again when nobody else needs it. */
  unmakeAt?: string | undefined;
  /** Whether the peers are to forget this server's identity as well: it is the last suffix that it shares with them. */
  forget: boolean;
}

/**
 * Cuts the server on this host off from all its peers in one suffix: agreements and accounts on both sides, and its
 * replica id in their RUV. What was deleted here before has reached a peer by then. This server's own side goes last,
 * when all peers were told: until then a second try finds there who they are.
 * @throws CapstanError `peers-not-cleaned` when a peer could not be told, after all others were
 */
export async function cutOff(
  host: Host,
  site: JoinedSite,
  peers: Peers,
  cut: Cut,
  line: (text: string) => void,
): Promise<void> {
  const here = await localEnd(host, site, cut.suffix);
  const names = [...new Set([...here.receivers, site.supplier])];
  const told = telling(peers, names);
  await told.each(async (remote, peer) => {
    await settle(host, site, remote, peer, cut.suffix, line);
    await removeAgreement(remote, { suffix: cut.suffix, receiver: site.hostname });
    await shutOut(remote, { suffixes: [cut.suffix], sender: site.hostname });
  });
  const id = here.id ?? cut.replicaId;
  // One tells the others.
  if (id !== undefined) await told.one(names, (remote) => cleanRuv(host, remote, cut.suffix, id));
  // The vector stays with the data, also where nobody supplies them any more: it had to be clean before.
  await told.each((remote, peer) => unmake(host, site, remote, peer, cut));
  // After the RUV is clean: before that 389-ds would add it again.
  await told.each((remote) => removeReferral(remote, cut.suffix, site.hostname));
  // Last of all: it is replicated, and no peer lets this server in any more.
  if (cut.forget) await told.each((remote) => forgetIdentity(remote, site));
  if (told.failed.size > 0) throw notCleaned(site, told.failed);
  await withLocalDirectory(host, directoryOf(site), async (local) => {
    // A server that only loses its CA lives on.
    for (const sender of names) await shutOut(local, { suffixes: [cut.suffix], sender });
    await unmakeSupplier(local, cut.suffix);
  }).catch(unlessDown);
}

/** Tells peers one after another, and remembers which of them could not be told. */
function telling(peers: Peers, names: readonly string[]) {
  const failed = new Map<string, string>();
  const tell = async (peer: string, what: (remote: Directory, peer: string) => Promise<unknown>) => {
    try {
      await peers.at(peer, (remote) => what(remote, peer));
      return true;
    } catch (error) {
      if (isInterruption(error)) throw error;
      // One that has forgotten this server keeps nothing of it: an earlier try came so far, or somebody said so there.
      if ((error as { code?: string }).code === 'directory-credentials-refused') return false;
      failed.set(peer, sentenceOf(error));
      return false;
    }
  };
  return {
    failed,
    async each(what: (remote: Directory, peer: string) => Promise<unknown>): Promise<void> {
      for (const peer of names) if (!failed.has(peer)) await tell(peer, what);
    },
    /** Until one was told. */
    async one(some: readonly string[], what: (remote: Directory) => Promise<unknown>): Promise<void> {
      for (const peer of some) if (!failed.has(peer) && (await tell(peer, what))) return;
    },
  };
}

/** This server's side: its replica id, and whom it feeds. A directory that is down, or not there yet, tells nothing. */
async function localEnd(host: Host, site: JoinedSite, suffix: string) {
  const nothing = { id: undefined as number | undefined, receivers: [] as string[] };
  const found = await withLocalDirectory(host, directoryOf(site), async (local) => ({
    id: await supplierId(local, suffix),
    receivers: (await agreementsOf(local)).filter((one) => one.suffix === suffix).map((one) => one.receiver),
  })).catch(unlessDown);
  return found ?? nothing;
}

/** Waits until what was written here is on the peer; where they were never joined there is nothing to wait for. */
async function settle(
  host: Host,
  site: JoinedSite,
  remote: Directory,
  peer: string,
  suffix: string,
  line: (text: string) => void,
): Promise<void> {
  const way = { suffix, sender: site.hostname, receiver: peer };
  await withLocalDirectory(host, directoryOf(site), async (local) => {
    const agreement = await agreementFor(local, way);
    if (!agreement?.lastUpdate.ok || agreement.lastUpdate.at === undefined) return;
    await proveReplication(host, local, remote, way).catch((error: unknown) => {
      if (isInterruption(error)) throw error;
      line(`${peer} may not have the last changes of this server: ${sentenceOf(error)}`);
    });
  }).catch(unlessDown);
}

/** Forgets the record of this server, and its identity. One that has not joined yet may try again: as long as its join secret is good it is expected. */
async function forgetIdentity(remote: Directory, site: JoinedSite): Promise<void> {
  const { suffix } = directoryOf(site);
  // It goes here as well: what this server deleted may not have arrived.
  await removeServer(remote, suffix, site.hostname);
  // What was asked for with the secret ends with this try.
  await removeInstallTokens(remote, joinUid(site.hostname));
  if (await joinExpiry(remote, site.hostname)) return;
  await removeIdentity(remote, suffix, site.hostname);
}

/** Ends the supplying of a peer that began for this server alone. */
async function unmake(
  host: Host,
  site: JoinedSite,
  remote: Directory,
  peer: string,
  { suffix, unmakeAt }: Cut,
): Promise<void> {
  await endTurn(remote, site.hostname);
  if (unmakeAt !== peer) return;
  await inTurn(host, remote, site.hostname, async () => {
    const others = (await agreementsOf(remote)).filter((one) => one.suffix === suffix);
    if (others.length === 0) await unmakeSupplier(remote, suffix);
  });
}

/** Takes a directory that is down for one that tells nothing; for `catch`. */
export function unlessDown(error: unknown): undefined {
  if (error instanceof CapstanError && error.code === 'directory-unreachable') return undefined;
  throw error;
}

function notCleaned({ hostname }: JoinedSite, failed: ReadonlyMap<string, string>) {
  const peers = [...failed].map(([peer, why]) => `${peer} (${why})`).join('; ');
  return failure(
    'peers-not-cleaned',
    `Not every server could be told that ${hostname} leaves: ${peers}`,
    `Bring them back and run the command again. When they are gone for good, go on with "capstan uninstall --force"; what is left of ${hostname} on another server is removed there with "capstan topology forget ${hostname}".`,
  );
}
