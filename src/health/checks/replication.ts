import { agreementDn } from '../../directory/agreement.ts';
import { senderDn } from '../../directory/replication.ts';
import { type CheckFacts, type Fault, type HealthCheck, judgement } from '../check.ts';
import type { ClusterFacts, DirectoryFacts } from '../facts.ts';

/** How the servers feed each other, seen from this one, and what is left of those that are gone. */
export const REPLICATION_CHECKS: readonly HealthCheck[] = [
  judgement({
    code: 'server-silent',
    area: 'replication',
    severity: 'ERROR',
    holds: 'Each server of the cluster answers this one over LDAPS.',
    remedy:
      'Run "capstan health" on it. One that is gone for good is forgotten with "capstan topology forget".',
    needs: ['server', 'cluster'],
    look: ({ server, cluster }) =>
      cluster.servers.flatMap(({ hostname, problem }): Fault[] =>
        problem === undefined || hostname === server.hostname
          ? []
          : [{ key: hostname, message: `${hostname} does not answer: ${problem}` }],
      ),
  }),
  feed('feed-disabled', ['disabled'], 'No feed is turned off.', {
    remedy:
      'Set nsds5ReplicaEnabled of the agreement to "on", or end the feed with "capstan topology remove".',
  }),
  feed('feed-failing', ['failing'], 'Each server can send its changes.', {
    remedy: '"capstan topology add SENDER RECEIVER" makes a feed anew that does not work.',
  }),
  feed('feed-behind', ['behind'], 'Changes arrive.', {
    remedy:
      '"capstan topology add SENDER RECEIVER" makes the feed anew; see the error logs of both directories.',
  }),
  feed(
    'feed-uninitialised',
    ['uninitialised'],
    'Servers that feed each other have the same data to build on.',
    {
      remedy:
        'The server that was away for too long, or was restored from a copy, has to be installed again.',
    },
  ),
  feed('feed-missing', ['missing'], 'Each feed has one that leads back.', {
    remedy: '"capstan topology add SENDER RECEIVER" makes both.',
  }),
  judgement({
    code: 'replication-parted',
    area: 'replication',
    severity: 'ERROR',
    holds: 'All servers are connected with each other by feeds.',
    remedy: 'Join the parts with "capstan topology add".',
    needs: ['cluster'],
    look: ({ cluster }) =>
      cluster.parts
        .map(({ suffix, parts }) => ({ suffix, parts: joined(parts, oneWay(cluster, suffix)) }))
        .filter(({ parts }) => parts.length > 1)
        .map(({ suffix, parts }) => ({
          key: suffix,
          message: `The servers are in parts that hear nothing of each other (${suffix}): ${parts.map((part) => part.join(', ')).join(' | ')}.`,
        })),
  }),
  judgement({
    code: 'replication-conflict',
    area: 'replication',
    severity: 'ERROR',
    holds: 'No two servers have changed the same entry apart from each other.',
    remedy: 'Compare the two entries, and delete the one with "nsuniqueid" in its name, or rename it.',
    needs: ['directory'],
    look: ({ directory }) =>
      directory.conflicts.map((dn) => ({
        key: dn,
        message: `The entry ${dn} is in conflict with another one.`,
      })),
  }),
  judgement({
    code: 'ruv-leftover',
    area: 'replication',
    severity: 'WARNING',
    holds: 'The directory keeps account of no server that is gone.',
    remedy: '"capstan topology forget SERVER" cleans what is left of a server.',
    needs: ['directory'],
    look: ({ directory }) =>
      leftovers(directory).map(({ id, suffix, hostname }) => ({
        key: `${id} ${suffix}`,
        message: `The directory still keeps account of the replica ${id} of ${suffix}, on ${hostname}, which is no server of the cluster.`,
        remedy: `"capstan topology forget ${hostname}" cleans what is left of it.`,
      })),
  }),
  judgement({
    code: 'sender-leftover',
    area: 'replication',
    severity: 'WARNING',
    holds: 'No server that is gone may still send changes.',
    remedy: 'Delete the account, and its name from nsDS5ReplicaBindDN of the replica.',
    needs: ['directory'],
    look: ({ directory: { servers, replicas, senders } }) => {
      const known = new Set(
        replicas.flatMap(({ suffix }) =>
          servers.map(({ hostname }) => senderDn(hostname, suffix).toLowerCase()),
        ),
      );
      // What goes with the account of a server's changes (ruv-leftover) is told there.
      const told = new Set(
        leftovers({ servers, replicas }).map(({ hostname, suffix }) =>
          senderDn(hostname, suffix).toLowerCase(),
        ),
      );
      return senders
        .filter((dn) => !known.has(dn.toLowerCase()) && !told.has(dn.toLowerCase()))
        .map((dn) => ({ key: dn, message: `The account ${dn} belongs to no server of the cluster.` }));
    },
  }),
  judgement({
    code: 'sender-refused',
    area: 'replication',
    severity: 'ERROR',
    holds: 'Each server that is to send changes here is let in.',
    remedy: '"capstan topology add SENDER RECEIVER" lets it in again.',
    needs: ['directory'],
    look: ({ directory: { agreements, senders, letIn } }) =>
      agreements.flatMap(({ suffix, receiver }): Fault[] => {
        const dn = senderDn(receiver, suffix).toLowerCase();
        const isIn = [senders, letIn].every((list) => list.some((one) => one.toLowerCase() === dn));
        if (isIn) return [];
        return [
          {
            key: agreementDn({ suffix, receiver }),
            message: `${receiver} is not let in to send ${suffix} here.`,
          },
        ];
      }),
  }),
];

/** The feeds between servers that answer: those of one that is silent are that one's trouble. */
function feedsAmong({ servers, feeds }: ClusterFacts): ClusterFacts['feeds'] {
  const silent = servers.filter(({ problem }) => problem !== undefined).map(({ hostname }) => hostname);
  return feeds.filter(({ sender, receiver }) => !silent.includes(sender) && !silent.includes(receiver));
}

/** A check of the feeds that are in one of some states. */
function feed(
  code: string,
  states: readonly string[],
  holds: string,
  { remedy, severity = 'ERROR' }: Partial<CheckFacts> & Pick<CheckFacts, 'remedy'>,
): HealthCheck {
  return judgement({
    ...{ code, area: 'replication', severity, holds, remedy },
    needs: ['cluster'],
    look: ({ cluster }) =>
      feedsAmong(cluster)
        .filter(({ state }) => states.includes(state))
        .map(({ suffix, sender, receiver, detail }) => ({
          key: `${sender} -> ${receiver} ${suffix}`,
          message: `The feed of ${suffix} from ${sender} to ${receiver}: ${detail}.`,
          remedy: remedy.replace('SENDER', sender).replace('RECEIVER', receiver),
        })),
  });
}

/** A server that an update vector names and that is not recorded. */
interface Leftover {
  id: number;
  suffix: string;
  hostname: string;
}

/** What the update vectors name beside the servers that are recorded. */
function leftovers({ servers, replicas }: Pick<DirectoryFacts, 'servers' | 'replicas'>): Leftover[] {
  const known = servers.map(({ hostname }) => hostname.toLowerCase());
  return replicas.flatMap(({ suffix, ruv, id: own }) =>
    ruv.elements.flatMap(({ id, url }): Leftover[] => {
      const [, hostname = ''] = /^ldaps?:\/\/([^:/]+)/i.exec(url) ?? [];
      const isKnown = id === own || hostname === '' || known.includes(hostname.toLowerCase());
      return isKnown ? [] : [{ id, suffix, hostname }];
    }),
  );
}

/** The feeds that lead one way only. */
function oneWay({ feeds }: ClusterFacts, suffix: string): (readonly [string, string])[] {
  return feeds
    .filter((feed) => feed.suffix === suffix && feed.state === 'missing')
    .map(({ sender, receiver }) => [sender, receiver] as const);
}

/** The parts that are left when the servers of each pair count as connected. */
function joined(
  parts: readonly (readonly string[])[],
  pairs: readonly (readonly [string, string])[],
): string[][] {
  return pairs.reduce<string[][]>(
    (left, pair) => {
      const touched = left.filter((part) => part.some((name) => pair.includes(name)));
      return [...left.filter((part) => !touched.includes(part)), touched.flat()];
    },
    parts.map((part) => [...part]),
  );
}
