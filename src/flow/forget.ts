/** Taking a server out of the cluster that is gone for good: what `capstan topology forget` does. */
import { agreementsOf, removeAgreement } from '../directory/agreement.ts';
import { type Directory, withLocalDirectory } from '../directory/client.ts';
import { removeIdentity } from '../directory/identity.ts';
import { removeServer, type ServerEntry, serversWith } from '../directory/masters.ts';
import { removeReferral, shutOut } from '../directory/replication.ts';
import { cleanRuv, replicasOf } from '../directory/ruv.ts';
import { CA_SUFFIX } from '../dogtag/deployment.ts';
import { failure, isInterruption, refusal, sentenceOf } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { quoted } from '../names/quoted.ts';
import type { Listener } from '../plan/step.ts';
import { removeCaTraces, removeKraTraces } from './ca-users.ts';
import { disconnectGone } from './connectors.ts';
import { objectionsTo } from './leave.ts';
import { directoryOf, type Report } from './site.ts';
import { stepper } from './token-move.ts';
import { askOne, atServer, type Cluster, clusterOf, suffixesOf, suppliersOf } from './topology.ts';

/** Which server is to be forgotten. */
export interface Forgetting {
  /** Its fully qualified name. */
  gone: string;
  /** Also one that answers, or that does something for all. */
  force: boolean;
  listen: Listener;
}

/**
 * Has the cluster forget a server that will never come back: its agreements and accounts on every server that answers,
 * its replica ids, its membership of the security domain, its record and its identity. To be run on any server with a
 * CA. Safe to call again, with servers that did not answer the first time.
 * @throws CapstanError (exit code 2, nothing changed) `server-unknown`, `server-is-this-one`, `ca-missing`, `server-answers`, and those
 *   of {@link objectionsTo}; (exit code 1) `servers-not-told` after the rest is done, `ruv-not-cleaned`,
 *   `directory-refused`, `interrupted`, ...
 */
export async function forgetServer(host: Host, { gone, force, listen }: Forgetting): Promise<Report> {
  const cluster = await clusterOf(host);
  await requireForgettable(host, cluster, gone, force);
  const step = stepper(host, listen, [
    ['agreements', `Remove the agreements with ${gone} on all servers`],
    ['replica-ids', `Clean its replica ids out of all servers`],
    ['domain', 'Take it out of the security domain'],
    ['record', 'Forget its record, its roles and its identity'],
  ]);
  const others = cluster.servers.filter(({ hostname }) => !same(hostname, gone));
  const silent = await step('agreements', () =>
    everywhere(host, cluster, others, (directory) => cut(directory, cluster, gone)),
  );
  await step('replica-ids', async () => {
    await cleanIds(host, cluster, gone);
    await everywhere(host, cluster, others, (directory) => removeReferrals(directory, cluster, gone));
  });
  await step('domain', async () => {
    if (!hasCa(cluster, cluster.site.hostname)) return;
    // Before its record goes, which says that it had a KRA.
    if (serversWith(cluster.servers, 'KRA').some((name) => same(name, gone))) {
      silent.push(...(await disconnectGone(host, serversWith(others, 'CA'), gone)));
    }
    await here(host, cluster, async (directory) => {
      await removeKraTraces(directory, gone);
      await removeCaTraces(directory, gone);
    });
  });
  await step('record', () => here(host, cluster, (directory) => forgetRecord(directory, cluster, gone)));
  if (silent.length > 0) throw notTold(gone, silent);
  return {
    title: `The cluster has forgotten ${gone}.`,
    facts: [{ name: 'Told', value: others.map(({ hostname }) => hostname).join(', ') }],
    next: [
      'See whether the others are still connected: capstan topology list',
      `Never start ${gone} again as it is: remove what is on it, or install it anew.`,
    ],
  };
}

/** Whether a server has the CA's subtree. */
function hasCa(cluster: Cluster, hostname: string): boolean {
  return suppliersOf(cluster, CA_SUFFIX).some((name) => same(name, hostname));
}

function here<T>(host: Host, { site }: Cluster, use: (directory: Directory) => Promise<T>): Promise<T> {
  return withLocalDirectory(host, directoryOf(site), use);
}

async function requireForgettable(host: Host, cluster: Cluster, gone: string, force: boolean): Promise<void> {
  if (same(gone, cluster.site.hostname)) {
    throw refusal(
      'server-is-this-one',
      `${gone} is the server on this host.`,
      'Remove it with "capstan uninstall", or name another one.',
    );
  }
  if (!(await isKnown(host, cluster, gone))) {
    const names = cluster.servers.map(({ hostname }) => hostname).join(', ');
    throw refusal(
      'server-unknown',
      `The cluster does not know ${quoted(gone)}; its servers are ${names}.`,
      'Give the full name of a server.',
    );
  }
  const able = suppliersOf(cluster, CA_SUFFIX).filter((name) => !same(name, gone));
  if (hasCa(cluster, gone) && able.length > 0 && !hasCa(cluster, cluster.site.hostname)) {
    throw refusal(
      'ca-missing',
      `${gone} has a CA, and this server has none: it cannot take it out of the security domain.`,
      `Run the command on ${able.join(' or ')}.`,
    );
  }
  if (force) return;
  const [objection] = objectionsTo(gone, cluster.servers);
  if (objection) throw objection;
  if (await answers(host, cluster, gone)) {
    throw refusal(
      'server-answers',
      `${gone} answers: it is not gone.`,
      `Run "capstan uninstall" there. With --force it is forgotten all the same, and goes on by itself, with other data.`,
    );
  }
}

/** Whether it is recorded, or something of it is left in the replication of this server. */
async function isKnown(host: Host, cluster: Cluster, gone: string): Promise<boolean> {
  if (cluster.servers.some(({ hostname }) => same(hostname, gone))) return true;
  return here(host, cluster, async (directory) => {
    const feeds = await agreementsOf(directory);
    return feeds.some(({ receiver }) => same(receiver, gone)) || (await idsOf(directory, gone)).length > 0;
  });
}

async function answers(host: Host, cluster: Cluster, gone: string): Promise<boolean> {
  try {
    await askOne(host, gone, (bounded) =>
      atServer(bounded, cluster, gone, (directory) => directory.entry('', ['1.1'])),
    );
    return true;
  } catch (error) {
    if (isInterruption(error) && host.signal.aborted) throw error;
    return false;
  }
}

/** Does the same on several servers at once. @returns those that did not answer, each with the reason */
async function everywhere(
  host: Host,
  cluster: Cluster,
  others: readonly ServerEntry[],
  work: (directory: Directory) => Promise<void>,
): Promise<string[]> {
  const silent: string[] = [];
  await Promise.all(
    others.map(async ({ hostname }) => {
      try {
        await askOne(host, hostname, (bounded) => atServer(bounded, cluster, hostname, work));
      } catch (error) {
        if (host.signal.aborted) throw error;
        silent.push(`${hostname} (${sentenceOf(error)})`);
      }
    }),
  );
  return silent;
}

async function cut(directory: Directory, cluster: Cluster, gone: string): Promise<void> {
  const suffixes = suffixesOf(cluster);
  for (const suffix of suffixes) await removeAgreement(directory, { suffix, receiver: gone });
  await shutOut(directory, { suffixes, sender: gone });
}

/** Once the ids are cleaned, 389-ds does not add them again. */
async function removeReferrals(directory: Directory, cluster: Cluster, gone: string): Promise<void> {
  for (const suffix of suffixesOf(cluster)) await removeReferral(directory, suffix, gone);
}

/**
 * With force: nobody can receive the last changes of a server that is gone from itself, and waiting for all to have the
 * same of them would wait for servers that are away as well.
 */
async function cleanIds(host: Host, cluster: Cluster, gone: string): Promise<void> {
  await here(host, cluster, async (directory) => {
    for (const { suffix, id } of await idsOf(directory, gone)) {
      await cleanRuv(host, directory, suffix, id, { force: true });
    }
  });
}

/** The replica ids of a server, by the address that stands in the RUV. */
async function idsOf(directory: Directory, hostname: string): Promise<{ suffix: string; id: number }[]> {
  const replicas = await replicasOf(directory);
  return replicas.flatMap(({ suffix, ruv }) =>
    ruv.elements
      .filter(({ url }) => same(/^ldaps?:\/\/([^:/]+)/.exec(url)?.[1] ?? '', hostname))
      .map(({ id }) => ({ suffix, id })),
  );
}

async function forgetRecord(directory: Directory, { suffix }: Cluster, gone: string): Promise<void> {
  await removeServer(directory, suffix, gone);
  await removeIdentity(directory, suffix, gone);
}

function notTold(gone: string, silent: readonly string[]) {
  return failure(
    'servers-not-told',
    `Not every server could be told to forget ${gone}: ${silent.join('; ')}`,
    'When they are back, run the command again; until then they go on trying to send to it.',
  );
}

function same(one: string, other: string): boolean {
  return one.toLowerCase() === other.toLowerCase();
}
