/** Making and removing the feeds between two servers of the cluster: `capstan topology add` and `remove`. */
import { addAgreement, removeAgreement } from '../directory/agreement.ts';
import type { Directory } from '../directory/client.ts';
import { letIn, shutOut } from '../directory/replication.ts';
import { proveReplication } from '../directory/replication-proof.ts';
import { replicasOf } from '../directory/ruv.ts';
import { CapstanError, refusal, sentenceOf } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { quoted } from '../names/quoted.ts';
import type { Listener } from '../plan/step.ts';
import { passingSecret } from '../secret/passing.ts';
import { type FeedLook, isBetween, type Link, linksOf, partsOf } from './feeds.ts';
import type { Report } from './site.ts';
import { stepper } from './token-move.ts';
import {
  askOne,
  atServer,
  type Cluster,
  clusterOf,
  readTopology,
  suffixesOf,
  suppliersOf,
  type Topology,
} from './topology.ts';

/** What a change of the topology needs. */
export interface TopologyChange {
  /** The two servers as they were named: in full, or by the first part of the name. */
  one: string;
  other: string;
  listen: Listener;
}

/** Two servers, what goes between them, and how all was found. */
interface Pair {
  cluster: Cluster;
  topology: Topology;
  link: Link;
  /** The suffixes that both have. */
  suffixes: string[];
  /** The feeds between the two that are there. */
  feeds: FeedLook[];
}

/**
 * Has two servers feed each other in every suffix that both have, and proves each way by a write. What is there and well
 * stays; what is there and does not work is made anew. What cannot be proved is taken back.
 * @param undoSignal ends the taking back; the signal that ended the run does not
 * @throws CapstanError `server-unknown`, `server-same`, `server-unreachable`, `replication-differs` with nothing changed;
 *   `replication-unproven`, `directory-refused`, `interrupted`, ...
 */
export async function addLink(
  host: Host,
  { one, other, listen, undoSignal }: TopologyChange & { undoSignal: AbortSignal },
): Promise<Report> {
  const pair = await findPair(host, one, other);
  requireReached(pair, 'Bring it back first: both servers have to be told.');
  requireSameData(pair);
  const names = pair.link.join(' and ');
  const missing = pair.suffixes.filter((suffix) => !isFed(pair, suffix));
  if (missing.length === 0) return report(`${names} feed each other already; nothing was changed.`, []);
  const step = stepper(host, listen, [
    ['feeds', `Have ${names} feed each other: ${missing.join(', ')}`],
    ['proof', 'Prove each way by a write'],
  ]);
  try {
    await step('feeds', () => bothEnds(host, pair, (ends) => feed(ends, missing)));
    const facts = await step('proof', () => bothEnds(host, pair, (ends) => prove(host, ends, missing)));
    return report(`${names} feed each other.`, facts);
  } catch (error) {
    const made = missing.filter((suffix) => !pair.feeds.some((feedLook) => feedLook.suffix === suffix));
    throw withRemains(error, await takeBack(host.under(undoSignal), pair, made), pair);
  }
}

/**
 * Ends the feeds between two servers in every suffix, on both.
 * @param force also where it cuts the topology in parts, and where one of the two does not answer
 * @throws CapstanError `server-unknown`, `server-same`, `server-unreachable`, `topology-cut` with nothing changed;
 *   `directory-refused`, `interrupted`, ...
 */
export async function removeLink(
  host: Host,
  { one, other, listen, force }: TopologyChange & { force: boolean },
): Promise<Report> {
  const pair = await findPair(host, one, other);
  const names = pair.link.join(' and ');
  if (pair.feeds.length === 0) return report(`${names} do not feed each other; nothing was changed.`, []);
  if (!force) {
    requireReached(pair, 'With --force, only the server that answers is told.');
    requireWhole(pair);
  }
  const reached = await whoAnswers(host, pair);
  const step = stepper(
    host,
    listen,
    reached.map((name) => [name, `End what ${name} sends to the other, and takes from it`] as const),
  );
  for (const name of reached) await step(name, () => unlink(host, pair, name, suffixesOf(pair.cluster)));
  const away = pair.link.filter((name) => !reached.includes(name));
  return {
    ...report(`${names} do not feed each other any more.`, []),
    next: away.map(
      (name) => `${name} did not answer and still has its side: run the command again when it is back.`,
    ),
  };
}

/** Those of the two that can be told. One that was only slow to answer a moment ago is asked again: it would keep its side. */
async function whoAnswers(host: Host, pair: Pair): Promise<string[]> {
  const answering: string[] = [];
  for (const name of pair.link) {
    const problem = problemOf(pair, name);
    if (problem === undefined || (await answers(host, pair, name))) answering.push(name);
  }
  return answering;
}

async function answers(host: Host, { cluster }: Pair, name: string): Promise<boolean> {
  try {
    await askOne(host, name, (bounded) => atServer(bounded, cluster, name, replicasOf));
    return true;
  } catch (error) {
    if (host.signal.aborted) throw error;
    return false;
  }
}

async function findPair(host: Host, one: string, other: string): Promise<Pair> {
  const cluster = await clusterOf(host);
  const link = [serverNamed(cluster, one), serverNamed(cluster, other)] as const;
  if (link[0] === link[1]) {
    throw refusal('server-same', `${link[0]} was named twice.`, 'Name two servers.');
  }
  const topology = await readTopology(host, cluster);
  const suffixes = suffixesOf(cluster).filter((suffix) =>
    link.every((name) => suppliersOf(cluster, suffix).includes(name)),
  );
  const feeds = topology.feeds.filter(
    ({ sender, receiver, state }) => isBetween([sender, receiver], link) && state !== 'missing',
  );
  return { cluster, topology, link, suffixes, feeds };
}

/** The server that is meant: its whole name, or what comes before the first dot where only one begins so. */
function serverNamed({ servers, site }: Cluster, name: string): string {
  const wanted = name.toLowerCase();
  const names = servers.map(({ hostname }) => hostname);
  const found = names.filter(
    (one) => one.toLowerCase() === wanted || one.toLowerCase().startsWith(`${wanted}.`),
  );
  if (found.length === 1 && found[0] !== undefined) return found[0];
  throw refusal(
    'server-unknown',
    `${quoted(name)} is no server of ${site.domain}.`,
    `The servers are ${names.join(', ')}.`,
  );
}

function problemOf({ topology }: Pair, name: string): string | undefined {
  return topology.servers.find(({ hostname }) => hostname === name)?.problem;
}

function requireReached(pair: Pair, next: string): void {
  for (const name of pair.link) {
    const problem = problemOf(pair, name);
    if (problem !== undefined)
      throw refusal('server-unreachable', `${name} does not answer: ${problem}`, next);
  }
}

function requireSameData({ topology, feeds, link }: Pair): void {
  const differing = feeds.find(({ state }) => state === 'uninitialised');
  const parts = topology.parts.find((one) => one.parts.length > 1);
  if (!differing) return;
  throw refusal(
    'replication-differs',
    `${link.join(' and ')} have different data in ${differing.suffix}${parts ? ', and the topology is in parts' : ''}.`,
    'Install the one again whose data are to go: "capstan uninstall" and "capstan replica-install" there.',
  );
}

/** Whether both directions are there and send. */
function isFed({ feeds }: Pair, suffix: string): boolean {
  const own = feeds.filter((one) => one.suffix === suffix);
  return own.length === 2 && own.every(({ state }) => state === 'well' || state === 'sending');
}

/** Refuses to cut a suffix in more parts than it is in. */
function requireWhole({ cluster, topology, link }: Pair): void {
  for (const suffix of suffixesOf(cluster)) {
    const servers = suppliersOf(cluster, suffix);
    const links = linksOf(topology.feeds, suffix);
    const before = partsOf(servers, links);
    const after = partsOf(
      servers,
      links.filter((other) => !isBetween(other, link)),
    );
    if (after.length <= before.length) continue;
    const parts = after.map((part) => part.join(', ')).join(' | ');
    throw refusal(
      'topology-cut',
      `Without the agreement between ${link.join(' and ')}, ${suffix} would be in ${after.length} parts: ${parts}.`,
      'Add another one between the parts first, with "capstan topology add"; or remove it all the same with --force.',
    );
  }
}

/** The two directories, and what each sends to the other. */
interface Ends {
  from: Directory;
  to: Directory;
  sender: string;
  receiver: string;
}

function bothEnds<T>(
  host: Host,
  { cluster, link: [one, other] }: Pair,
  use: (ends: readonly Ends[]) => Promise<T>,
): Promise<T> {
  return atServer(host, cluster, one, (first) =>
    atServer(host, cluster, other, (second) =>
      use([
        { from: first, to: second, sender: one, receiver: other },
        { from: second, to: first, sender: other, receiver: one },
      ]),
    ),
  );
}

/** Makes the feeds of some suffixes. */
async function feed(ends: readonly Ends[], missing: readonly string[]): Promise<void> {
  for (const { from, to, sender, receiver } of ends) {
    const password = passingSecret(`password of ${sender} on ${receiver}`);
    await letIn(to, { suffixes: missing, sender, password });
    for (const suffix of missing) await addAgreement(from, { suffix, sender, receiver, password });
  }
}

async function prove(
  host: Host,
  ends: readonly Ends[],
  suffixes: readonly string[],
): Promise<Report['facts']> {
  const facts: Report['facts'] = [];
  for (const suffix of suffixes) {
    for (const { from, to, sender, receiver } of ends) {
      const seconds = await proveReplication(host, from, to, { suffix, sender, receiver });
      facts.push({ name: `${suffix}, ${sender} to ${receiver}`, value: `${seconds.toFixed(1)} s` });
    }
  }
  return facts;
}

async function unlink(
  host: Host,
  { cluster, link }: Pair,
  name: string,
  suffixes: readonly string[],
): Promise<void> {
  const peer = link[0] === name ? link[1] : link[0];
  await atServer(host, cluster, name, async (directory) => {
    for (const suffix of suffixes) await removeAgreement(directory, { suffix, receiver: peer });
    await shutOut(directory, { suffixes, sender: peer });
  });
}

/** Takes back what was made, as far as the servers answer. @returns the servers where it could not be done, with why */
async function takeBack(host: Host, pair: Pair, suffixes: readonly string[]): Promise<string[]> {
  const remains: string[] = [];
  for (const name of pair.link) {
    try {
      await unlink(host, pair, name, suffixes);
    } catch (error) {
      remains.push(`${name} (${sentenceOf(error)})`);
    }
  }
  return remains;
}

/** The error of a run that could not take back all that it made. */
function withRemains(error: unknown, remains: readonly string[], { link }: Pair): unknown {
  if (remains.length === 0 || !(error instanceof CapstanError)) return error;
  const { code, message, exit, next = '', cause } = error;
  const remedy = `Not all could be taken back: ${remains.join('; ')}. Then run "capstan topology remove ${link.join(' ')}".`;
  return new CapstanError({ code, message, exit, cause, next: `${next} ${remedy}`.trim() });
}

function report(title: string, facts: Report['facts']): Report {
  return { title, facts, next: [] };
}
