/** The feeds between the servers of a cluster: how each is, and what they hold together. No server is asked here. */
import type { Agreement } from '../directory/agreement.ts';
import { type Lag, lagBetween, type Replica } from '../directory/ruv.ts';

/** What a server told about its replication. */
export interface ReplicationLook {
  replicas: readonly Replica[];
  agreements: readonly Agreement[];
}

/**
 * How a feed is: changes arrive (`well`); some are on their way (`sending`); some should have arrived long ago
 * (`behind`); the sender cannot send (`failing`); both have other data (`uninitialised`); somebody turned it off
 * (`disabled`); the receiver does not answer and cannot tell what arrived (`unproved`); the sender does not answer
 * (`unknown`), or has no such feed any more (`missing`).
 */
export type FeedState =
  | 'well'
  | 'sending'
  | 'behind'
  | 'failing'
  | 'uninitialised'
  | 'disabled'
  | 'unproved'
  | 'unknown'
  | 'missing';

/** One feed between two servers. */
export interface FeedLook {
  suffix: string;
  sender: string;
  receiver: string;
  state: FeedState;
  well: boolean;
  /** The state for a person, with the directory's own words where it cannot send. */
  detail: string;
  /** What the receiver misses; undefined where one of the two does not answer. */
  lag: Lag[] | undefined;
  /** When something was sent last, ISO 8601. */
  lastUpdate: string | undefined;
}

/** Seconds after which a change should have arrived, however much there is to send. */
const LATE = 60;
/** Seconds that the last change that arrived may be old when there are newer ones. */
const STALE = 300;

/** What the servers told at one moment, by host name; a server that did not answer is not in it. */
export type Looks = ReadonlyMap<string, ReplicationLook>;

/**
 * The feeds of a cluster, by suffix, sender and receiver. Of a server that does not answer only those are known that
 * answer feeds of others.
 * @param before what the senders had, a moment before `now`: what arrived meanwhile is no lag
 * @param time seconds since 1970
 */
export function feedsOf(before: Looks, now: Looks, time: number): FeedLook[] {
  const known = [...now].flatMap(([sender, look]) =>
    look.agreements.map((agreement) => judged(sender, agreement, before, now, time)),
  );
  const has = (suffix: string, sender: string, receiver: string) =>
    known.some(
      (feed) => feed.suffix === suffix && same(feed.sender, sender) && same(feed.receiver, receiver),
    );
  const answers = known
    .filter(({ suffix, sender, receiver }) => !has(suffix, receiver, sender))
    .map(({ suffix, sender, receiver }) => unseen(suffix, receiver, sender, now.has(receiver)));
  return [...known, ...answers].toSorted(
    (a, b) =>
      a.suffix.localeCompare(b.suffix) ||
      a.sender.localeCompare(b.sender) ||
      a.receiver.localeCompare(b.receiver),
  );
}

/** The feed that should answer another one, and was not seen. */
function unseen(suffix: string, sender: string, receiver: string, reached: boolean): FeedLook {
  return {
    ...{ suffix, sender, receiver, well: false, lag: undefined, lastUpdate: undefined },
    state: reached ? 'missing' : 'unknown',
    detail: reached ? `${sender} has no agreement with ${receiver}` : `${sender} does not answer`,
  };
}

function judged(sender: string, agreement: Agreement, before: Looks, now: Looks, time: number): FeedLook {
  const { suffix, receiver, lastUpdate } = agreement;
  const there = replicaOf(before.get(sender), suffix);
  const here = replicaOf(now.get(receiver), suffix);
  const lag = there && here && lagBetween(there.ruv, here.ruv);
  const differ = there && here && there.ruv.generation !== here.ruv.generation;
  const [state, detail] =
    troubleOf(agreement, differ ?? false) ??
    arrival(lag, time) ??
    unseenBy(receiver, suffix, now.has(receiver));
  return {
    ...{ suffix, sender, receiver, state, detail, lag },
    well: state === 'well' || state === 'sending',
    lastUpdate: lastUpdate.at?.toISOString(),
  };
}

/** What the sender itself finds wrong. */
function troubleOf(
  { enabled, initialised, lastUpdate }: Agreement,
  differ: boolean,
): [FeedState, string] | undefined {
  if (!enabled) return ['disabled', 'turned off (nsds5ReplicaEnabled)'];
  if (!initialised || differ) return ['uninitialised', 'the two have different data: nothing is sent'];
  return lastUpdate.ok ? undefined : ['failing', lastUpdate.text];
}

/** What the receiver has of what the sender had; undefined where one of the two did not tell. */
function arrival(lag: readonly Lag[] | undefined, time: number): [FeedState, string] | undefined {
  if (!lag) return undefined;
  if (lag.length === 0) return ['well', 'up to date'];
  const newest = Math.max(...lag.map(({ last }) => last));
  const oldest = Math.min(...lag.map(({ has, last }) => has ?? last));
  if (time - newest <= LATE && time - oldest <= STALE) return ['sending', 'changes are on their way'];
  const seconds = Math.max(...lag.map((one) => one.seconds));
  return [
    'behind',
    `${seconds} s behind: has the changes up to ${clock(oldest)}, but there are some of ${clock(newest)}`,
  ];
}

function unseenBy(receiver: string, suffix: string, answers: boolean): [FeedState, string] {
  return answers
    ? ['failing', `${receiver} does not replicate ${suffix}`]
    : ['unproved', `${receiver} does not answer`];
}

function clock(time: number): string {
  return new Date(time * 1000).toISOString().replace(/\.\d+Z$/, 'Z');
}

function replicaOf(look: ReplicationLook | undefined, suffix: string): Replica | undefined {
  return look?.replicas.find((replica) => replica.suffix === suffix);
}

/** What connects two servers: their names, in any order. */
export type Link = readonly [one: string, other: string];

/** The states of a feed that was not seen. */
const UNSEEN: readonly FeedState[] = ['missing', 'unknown'];

/** The pairs of servers that feed each other in a suffix; one direction is enough where the other is not known. */
export function linksOf(feeds: readonly FeedLook[], suffix: string): Link[] {
  return feeds
    .filter((feed) => feed.suffix === suffix && !UNSEEN.includes(feed.state))
    .filter(({ sender, receiver }) => {
      const back = feeds.find(
        (feed) => feed.suffix === suffix && same(feed.sender, receiver) && same(feed.receiver, sender),
      );
      if (back?.state === 'unknown') return true;
      return back?.state !== 'missing' && sender < receiver;
    })
    .map(({ sender, receiver }) => [sender, receiver] as const);
}

/** The servers in groups, each connected within and to no other; the largest group first. */
export function partsOf(servers: readonly string[], links: readonly Link[]): string[][] {
  const parts: string[][] = [];
  const left = new Set(servers);
  for (const start of servers) {
    if (!left.has(start)) continue;
    const part = reached(start, links).filter((name) => left.delete(name));
    parts.push(part.toSorted((a, b) => a.localeCompare(b)));
  }
  return parts.toSorted((a, b) => b.length - a.length);
}

/** All that can be reached from a server over links, itself first. */
function reached(start: string, links: readonly Link[]): string[] {
  const found = [start];
  for (const name of found) {
    for (const [one, other] of links) {
      if (same(one, name) && !found.some((seen) => same(seen, other))) found.push(other);
      if (same(other, name) && !found.some((seen) => same(seen, one))) found.push(one);
    }
  }
  return found;
}

/** Whether a link is between two servers. */
export function isBetween([one, other]: Link, [first, second]: Link): boolean {
  return (same(one, first) && same(other, second)) || (same(one, second) && same(other, first));
}

function same(one: string, other: string): boolean {
  return one.toLowerCase() === other.toLowerCase();
}
