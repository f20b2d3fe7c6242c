/** Replica update vectors: which changes of which supplier a server has. */
import { failure, isInterruption } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { pause, within } from '../host/wait.ts';
import type { Directory } from './client.ts';
import { replicaDn } from './replication.ts';

/** A change sequence number: when a supplier made a change, and its place among those of the same second. */
export interface Csn {
  /** Seconds since 1970. */
  time: number;
  sequence: number;
  /** The id of the supplier. */
  replica: number;
  subsequence: number;
}

/** What a server knows of one supplier. */
export interface RuvElement {
  id: number;
  /** Where the supplier is: `ldap://ca1.example.test:389`; empty where it did not say. */
  url: string;
  /** The first and the last change of it; undefined where it made none. */
  first?: Csn | undefined;
  last?: Csn | undefined;
}

/** A replica update vector. */
export interface Ruv {
  /** What all data with the same origin have in common; without it, nothing can be sent. */
  generation: string | undefined;
  elements: RuvElement[];
}

/** Four numbers in hexadecimal (389-ds, csn.c): 32 bits of time, 16 bits each of sequence, id and subsequence. */
const CSN = /^([0-9a-f]{8})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{4})$/i;

/** Reads a change sequence number; undefined for what is none. */
export function parseCsn(text: string): Csn | undefined {
  const [, ...parts] = CSN.exec(text) ?? [];
  if (parts.length === 0) return undefined;
  const [time = 0, sequence = 0, replica = 0, subsequence = 0] = parts.map((part) =>
    Number.parseInt(part, 16),
  );
  return { time, sequence, replica, subsequence };
}

/** The older of two changes first, as 389-ds orders them. */
export function compareCsn(one: Csn, other: Csn): number {
  return (
    one.time - other.time ||
    one.sequence - other.sequence ||
    one.replica - other.replica ||
    one.subsequence - other.subsequence
  );
}

/** Reads the values of `nsds50ruv`: `{replicageneration} CSN`, and `{replica ID URL} FIRST LAST` for each supplier. */
export function parseRuv(values: readonly string[]): Ruv {
  const generation = values.flatMap((value) => /^\{replicageneration\} (\S+)/.exec(value)?.[1] ?? [])[0];
  const elements = values.flatMap((value): RuvElement[] => {
    const [, id, url = '', first = '', last = ''] =
      /^\{replica (\d+)(?: (\S+))?\}(?: (\S+))?(?: (\S+))?/.exec(value) ?? [];
    return id === undefined ? [] : [{ id: Number(id), url, first: parseCsn(first), last: parseCsn(last) }];
  });
  return { generation, elements: elements.toSorted((a, b) => a.id - b.id) };
}

/** The vector of the instance for a suffix, as it is in memory now; undefined where the suffix is not replicated. */
export async function ruvOf(directory: Directory, suffix: string): Promise<Ruv | undefined> {
  const entry = await directory.entry(replicaDn(suffix), ['nsds50ruv']);
  return entry && parseRuv(entry.values('nsds50ruv'));
}

/** A suffix that a server supplies. */
export interface Replica {
  suffix: string;
  /** The replica id of the server. */
  id: number;
  ruv: Ruv;
}

/** The suffixes that the instance supplies, with what it has of each. */
export async function replicasOf(directory: Directory): Promise<Replica[]> {
  const entries = await directory.search('cn=mapping tree,cn=config', {
    scope: 'sub',
    filter: '(objectClass=nsDS5Replica)',
    attributes: ['nsDS5ReplicaRoot', 'nsDS5ReplicaId', 'nsds50ruv'],
  });
  return entries
    .map((entry) => ({
      suffix: entry.values('nsDS5ReplicaRoot')[0] ?? '',
      id: Number(entry.values('nsDS5ReplicaId')[0]),
      ruv: parseRuv(entry.values('nsds50ruv')),
    }))
    .toSorted((one, other) => one.suffix.localeCompare(other.suffix));
}

/** What one server misses of the changes of one supplier. */
export interface Lag {
  /** The replica id of the supplier. */
  supplier: number;
  /** When the last change was made that it has, in seconds since 1970; undefined where it has none. */
  has: number | undefined;
  /** When the last change was made that there is. */
  last: number;
  /** Between the two; for one that has nothing, since the first change (dsconf calls it the lag time). */
  seconds: number;
}

/** What the receiver of changes misses of what the sender has; what only the receiver has does not count. */
export function lagBetween(sender: Ruv, receiver: Ruv): Lag[] {
  return sender.elements.flatMap(({ id, first, last }) => {
    if (!last) return [];
    const has = receiver.elements.find((element) => element.id === id)?.last;
    if (has && compareCsn(has, last) >= 0) return [];
    const seconds = last.time - (has ?? first ?? last).time;
    return [{ supplier: id, has: has?.time, last: last.time, seconds }];
  });
}

const TASKS_DN = 'cn=cleanallruv,cn=tasks,cn=config';
const LOOK = 250;

/**
 * Has all servers of the cluster forget a supplier of a suffix that is gone (389-ds, CleanAllRUV task), and waits for it.
 * One suffix after another: 389-ds cleans an id in one place at a time. After the deadline the task goes on by itself,
 * also after a restart, until every server that the agreements lead to has done it.
 * @param force cleans without waiting until all have received the last changes of the supplier; what they miss is lost
 * @throws CapstanError `ruv-not-cleaned`, also after the deadline `ruv-clean`; `directory-refused`, `interrupted`
 */
export async function cleanRuv(
  host: Host,
  directory: Directory,
  suffix: string,
  id: number,
  { force = false }: { force?: boolean } = {},
): Promise<void> {
  const ruv = await ruvOf(directory, suffix);
  if (!ruv?.elements.some((element) => element.id === id)) return;
  const name = `capstan ${id} ${new Date().toISOString()}`;
  const dn = `cn=${name},${TASKS_DN}`;
  await directory.add(dn, {
    objectClass: ['top', 'extensibleObject'],
    cn: [name],
    'replica-base-dn': [suffix],
    'replica-id': [String(id)],
    'replica-force-cleaning': [force ? 'yes' : 'no'],
  });
  const what = `the servers to forget the replica ${id} of ${suffix}`;
  let said = '';
  await within(host, 'ruv-clean', what, async (signal) => {
    while (!signal.aborted) {
      const task = await directory.entry(dn, ['nsTaskExitCode', 'nsTaskStatus']);
      said = task?.values('nsTaskStatus')[0] ?? said;
      const [exit] = task?.values('nsTaskExitCode') ?? [];
      if (exit === '0') return;
      if (exit !== undefined) throw new Error(`it ended with ${exit}`);
      await pause(host, LOOK, what);
    }
  }).catch((error: unknown) => {
    if (isInterruption(error)) throw error;
    throw failure(
      'ruv-not-cleaned',
      `Not all servers have forgotten the replica ${id} of ${suffix} yet: ${said || String(error)}`,
      'The directory goes on with it by itself; bring back the servers that do not answer, or remove their agreements.',
      error,
    );
  });
}
