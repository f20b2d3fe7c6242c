/**
 * Has feeds begin anew on releases of 389-ds that stop to send after a large change and tell of success.
 *
 * These releases read a feed's changelog through a buffer of 8 KiB that grows for a larger change, and shrinks again when
 * the next one is read. When the last change of one server that arrived is larger than that, and one of another server
 * was read after it, the next session does not find its place with the small buffer, reads from the first change on,
 * takes that for a step back, and ends (cl5_clcache.c; the check came with upstream issue 4492, and 4644 mended both). So
 * it takes three servers. A feed that is turned off and on has a new buffer, large enough for its first look. Seen with
 * 1.4.4.11: three CAs that issue two certificates each at once stood still in the second round without, and in none of
 * six with it.
 */
import { NoSuchObjectError } from 'ldapts';
import type { Host } from '../host/host.ts';
import { agreementDn, agreementEntries, BEGINS_ANEW, type Feed } from './agreement.ts';
import { type Directory, type Entry, isResult } from './client.ts';

/** Releases with the check of issue 4492 and without the cure of 4644, by the tags of upstream: from, and below. */
const AFFECTED = [
  { from: [1, 4, 4, 10], below: [1, 4, 4, 14] },
  { from: [2, 0, 2, 0], below: [2, 0, 4, 0] },
] as const;

/**
 * Whether a release stops to send after a large change.
 * @param text what `ns-slapd -v` prints: `389-Directory/1.4.4.11 B2021.139.1122`
 */
export function stopsAfterLargeChanges(text: string): boolean {
  const [, ...parts] = /^389-Directory\/(\d+)\.(\d+)\.(\d+)(?:\.(\d+))?/m.exec(text) ?? [];
  if (parts.length === 0) return false;
  const release = parts.map((part) => Number(part ?? 0));
  return AFFECTED.some(({ from, below }) => !isBelow(release, from) && isBelow(release, below));
}

function isBelow(release: readonly number[], other: readonly number[]): boolean {
  const index = release.findIndex((part, at) => part !== other[at]);
  return index >= 0 && (release[index] ?? 0) < (other[index] ?? 0);
}

/** Whether the 389-ds of this host stops to send after a large change. @throws CapstanError `command-failed` */
export async function needsFeedKeeper(host: Host): Promise<boolean> {
  // ns-slapd -v of 1.4.4 prints its version and ends with 1.
  const { stdout, stderr } = await host.run('ns-slapd', ['-v'], { accept: [0, 1] });
  return stopsAfterLargeChanges(`${stdout}\n${stderr}`);
}

/** What a keeper knows of each feed, by its DN: what it had sent when it last began anew. */
export type SentBefore = Map<string, string>;

const ATTRIBUTES = [
  'nsDS5ReplicaRoot',
  'nsDS5ReplicaHost',
  'description',
  'nsds5ReplicaEnabled',
  'nsds5BeginReplicaRefresh',
  'nsds5replicaUpdateInProgress',
  'nsds5replicaChangesSentSinceStartup',
];

/**
 * Has each feed of the instance begin anew that sent something since it last did, and is idle; turns on again what was
 * left off by a keeper that was killed.
 * @param before what the last call left; the first one begins with an empty map
 * @returns the feeds that began anew
 * @throws CapstanError `directory-unreachable`, `directory-refused`
 */
export async function renewSentFeeds(directory: Directory, before: SentBefore): Promise<Feed[]> {
  const entries = await agreementEntries(directory, ATTRIBUTES);
  const renewed: Feed[] = [];
  for (const entry of entries) {
    const sent = value(entry, 'nsds5replicaChangesSentSinceStartup');
    if (!isDue(entry, sent, before.get(entry.dn))) continue;
    before.set(entry.dn, sent);
    const feed = { suffix: value(entry, 'nsDS5ReplicaRoot'), receiver: value(entry, 'nsDS5ReplicaHost') };
    await beginAnew(directory, feed);
    renewed.push(feed);
  }
  return renewed;
}

/** Whether a feed is to begin anew; one that somebody else turned off, or that copies the suffix, is left alone. */
function isDue(entry: Entry, sent: string, before = ''): boolean {
  if (value(entry, 'nsds5ReplicaEnabled').toLowerCase() === 'off')
    return value(entry, 'description') === BEGINS_ANEW;
  const busy = value(entry, 'nsds5replicaUpdateInProgress').toLowerCase() === 'true';
  return !busy && value(entry, 'nsds5BeginReplicaRefresh') === '' && sent !== before;
}

/**
 * Turns a feed off and on, so that it sends at once. The server waits for the end of a session that goes on.
 * @throws CapstanError `directory-unreachable`, `directory-refused`
 */
export async function beginAnew(directory: Directory, feed: Feed): Promise<void> {
  const dn = agreementDn(feed);
  try {
    await directory.replace(dn, { description: [BEGINS_ANEW], nsds5ReplicaEnabled: ['off'] });
    await directory.replace(dn, { nsds5ReplicaEnabled: ['on'], description: [] });
  } catch (error) {
    // Removed since the look.
    if (!isResult(error, NoSuchObjectError)) throw error;
  }
}

function value(entry: Entry, name: string): string {
  return entry.values(name)[0] ?? '';
}
