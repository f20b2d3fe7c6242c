/** Replication agreements: each feeds the changes of one suffix from this server to another. */
import { readFile } from 'node:fs/promises';
import { failure, isInterruption } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { pause, within } from '../host/wait.ts';
import type { Secret } from '../secret/secret.ts';
import type { Directory, Entry } from './client.ts';
import { type DirectoryInstance, instanceFolder, LDAPS_PORT } from './instance.ts';
import { replicaDn, senderDn } from './replication.ts';

/** One feed: a suffix, and the server that gets it. */
export interface Feed {
  suffix: string;
  /** The host name of the server that receives. */
  receiver: string;
}

/** What 389-ds says about the last session of one kind. */
export interface Session {
  ok: boolean;
  /** Its own words. */
  text: string;
  /** When it ended; undefined where there was none since the server started. */
  at: Date | undefined;
}

/** An agreement and how it is. */
export interface Agreement extends Feed {
  enabled: boolean;
  /** Whether sender and receiver have the same data to build on; without, no change is sent. */
  initialised: boolean;
  /** Whether changes are being sent now. */
  busy: boolean;
  lastUpdate: Session;
}

/** The entry of an agreement in cn=config. */
export function agreementDn({ suffix, receiver }: Feed): string {
  return `cn=${receiver},${replicaDn(suffix)}`;
}

/** Entry USNs are each server's own (389-ds, USN plug-in); replicated, they would be overwritten by one another. */
const REPLICATED = '(objectclass=*) $ EXCLUDE entryusn';

/**
 * Seconds after which a silent receiver is given up; 600 unless told. An agreement cannot be removed while its session
 * waits: where packets were lost without a word that took 19 s with 30, and more than 285 s with 120 (389-ds 1.4.4.11).
 */
const PATIENCE = '30';

/**
 * Seconds for which a removal waits for a protocol to say that it has ended, 120 unless told; the thread is waited for
 * in any case. During the copy that an agreement begins with, its incremental protocol has not run yet and never says
 * so (389-ds 1.4.4.11, `prot_stop`; seen).
 */
const STOPPING = '5';

/**
 * Feeds a suffix to another server over LDAPS, in place of an agreement for the same that is there. Nothing is sent until
 * the receiver has data to build on, see {@link initialise}: an agreement that is added with nsds5BeginReplicaRefresh copies
 * the suffix each time that it is turned off and on, until its server starts anew (389-ds 1.4.4.11, agmt_start; seen).
 * @param feed.sender the host name of this server, and `password` that of its account on the receiver
 * @throws CapstanError `directory-refused`
 */
export async function addAgreement(
  directory: Directory,
  feed: Feed & { sender: string; password: Secret },
): Promise<void> {
  await removeAgreement(directory, feed);
  await directory.add(agreementDn(feed), {
    objectClass: ['top', 'nsDS5ReplicationAgreement'],
    cn: [feed.receiver],
    nsDS5ReplicaRoot: [feed.suffix],
    nsDS5ReplicaHost: [feed.receiver],
    nsDS5ReplicaPort: [String(LDAPS_PORT)],
    nsDS5ReplicaTransportInfo: ['LDAPS'],
    nsDS5ReplicaBindMethod: ['SIMPLE'],
    nsDS5ReplicaBindDN: [senderDn(feed.sender, feed.suffix)],
    nsDS5ReplicaCredentials: [feed.password.reveal()],
    nsds5ReplicaEnabled: ['on'],
    nsDS5ReplicatedAttributeList: [REPLICATED],
    nsDS5ReplicatedAttributeListTotal: [REPLICATED],
    nsds5ReplicaTimeout: [PATIENCE],
    nsds5ReplicaProtocolTimeout: [STOPPING],
  });
}

/** Ends a feed; that there is none is no error. It takes until the session that goes on has ended. */
export async function removeAgreement(directory: Directory, feed: Feed): Promise<void> {
  await directory.remove(agreementDn(feed), 'replication');
}

/** The description of an agreement that is off for a moment; see feed-keeper.ts. It tells it from one that is off for good. */
export const BEGINS_ANEW = 'Capstan has this feed begin anew';

const ATTRIBUTES = [
  'nsDS5ReplicaRoot',
  'nsDS5ReplicaHost',
  'description',
  'nsds5ReplicaEnabled',
  'nsds5BeginReplicaRefresh',
  'nsds5replicaUpdateInProgress',
  'nsds5replicaLastUpdateStatus',
  'nsds5replicaLastUpdateEnd',
  'nsds5replicaLastInitStatus',
  'nsds5replicaLastInitEnd',
];

/** The entries of the agreements of the instance, with the named attributes. */
export function agreementEntries(directory: Directory, attributes: readonly string[]): Promise<Entry[]> {
  return directory.search('cn=mapping tree,cn=config', {
    scope: 'sub',
    filter: '(objectClass=nsDS5ReplicationAgreement)',
    attributes: [...attributes],
  });
}

/** The agreements of the instance, by suffix and receiver. */
export async function agreementsOf(directory: Directory): Promise<Agreement[]> {
  const entries = await agreementEntries(directory, ATTRIBUTES);
  return entries
    .map(readAgreement)
    .toSorted((a, b) => a.suffix.localeCompare(b.suffix) || a.receiver.localeCompare(b.receiver));
}

/** One agreement, or undefined where there is none. */
export async function agreementFor(directory: Directory, feed: Feed): Promise<Agreement | undefined> {
  const entry = await directory.entry(agreementDn(feed), ATTRIBUTES);
  return entry && readAgreement(entry);
}

/**
 * The servers that the instance feeds, as its configuration file has them: also when it is down.
 * @returns host names, each once
 */
export async function receiversOnDisk(instance: Pick<DirectoryInstance, 'name'>): Promise<string[]> {
  const ldif = await readFile(`${instanceFolder(instance)}/dse.ldif`, 'utf8').catch(() => '');
  const hosts = ldif.replaceAll('\n ', '').matchAll(/^nsDS5ReplicaHost: (\S+)$/gim);
  return [...new Set([...hosts].map(([, name = '']) => name))];
}

/** What an agreement's entry says; see {@link Agreement}. */
export function readAgreement(entry: Entry): Agreement {
  const value = (name: string) => entry.values(name)[0] ?? '';
  const lastUpdate = readSession(value('nsds5replicaLastUpdateStatus'), value('nsds5replicaLastUpdateEnd'));
  return {
    suffix: value('nsDS5ReplicaRoot'),
    receiver: value('nsDS5ReplicaHost'),
    enabled: value('nsds5ReplicaEnabled').toLowerCase() !== 'off' || value('description') === BEGINS_ANEW,
    initialised: !UNINITIALISED.test(lastUpdate.text) && value('nsds5BeginReplicaRefresh') === '',
    busy: value('nsds5replicaUpdateInProgress').toLowerCase() === 'true',
    lastUpdate,
  };
}

/** Whether the receiver took part in the last session, or the one that goes on; false before the first. */
export function hasReached({ lastUpdate }: Agreement): boolean {
  return lastUpdate.ok && /acquired successfully|session successful/i.test(lastUpdate.text);
}

/** What a session finds that has nothing to build on (repl5.h: NSDS50_REPL_NO_SUCH_REPLICA is 6, a RUV's error 19). */
const UNINITIALISED = /different database generation ID|may need to be initialized/i;

/**
 * A status: `Error (0) Replica acquired successfully: ...`, where 0 is success (1 and 18: the receiver has not the time,
 * and is asked again); before 1.3.7 without "Error" and parentheses.
 * @param end generalised time; 389-ds says 1970 where there was no session
 */
export function readSession(status: string, end: string): Session {
  const [, code, words] = /^(?:Error )?\(?(-?\d+)\)?\s*(?:- )?(.*)$/s.exec(status) ?? [];
  const passing = /^Can't acquire (?:busy )?replica/.test(words ?? '');
  return { ok: Number(code ?? 0) === 0 || passing, text: words ?? status, at: readTime(end) };
}

/** A generalised time (RFC 4517, 3.3.13) as 389-ds writes it: `20260102030405Z`. */
function readTime(text: string): Date | undefined {
  const [, ...parts] = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(text) ?? [];
  if (parts.length === 0) return undefined;
  const [year = 0, month = 1, day, hour, minute, second] = parts.map(Number);
  const time = new Date(Date.UTC(year, month - 1, day, hour, minute, second));
  return time.getTime() === 0 ? undefined : time;
}

/** Milliseconds between two looks at a total update, and between two lines about it. */
const LOOK = 250;
const TELL = 5000;

/**
 * Copies a whole suffix to the server that an agreement feeds, in place of what it has of it, and waits for the end.
 * @param line told every few seconds how long it takes
 * @throws CapstanError `initialisation-failed`, also after the deadline `replication-init`; `interrupted`
 */
export async function initialise(
  host: Host,
  directory: Directory,
  feed: Feed,
  line: (text: string) => void,
): Promise<void> {
  const what = `${feed.suffix} to be copied to ${feed.receiver}`;
  const dn = agreementDn(feed);
  await directory.replace(dn, { nsds5BeginReplicaRefresh: ['start'] });
  const begun = Date.now();
  let told = begun;
  const session = await within(host, 'replication-init', what, async (signal) => {
    for (;;) {
      const found = await initialisation(directory, dn);
      if (found || signal.aborted) return found;
      if (Date.now() - told >= TELL) {
        told = Date.now();
        line(`Waiting for ${what}: ${Math.round((told - begun) / 1000)} s`);
      }
      await pause(host, LOOK, what);
    }
  }).catch((error: unknown) => {
    if (isInterruption(error)) throw error;
    throw notInitialised(feed, error);
  });
  if (!session?.ok) throw notInitialised(feed, new Error(session?.text));
}

/** How a total update ended; undefined while it goes on. */
async function initialisation(directory: Directory, dn: string): Promise<Session | undefined> {
  const entry = await directory.entry(dn, ATTRIBUTES);
  const value = (name: string) => entry?.values(name)[0] ?? '';
  if (!entry) return { ok: false, text: 'the agreement was removed meanwhile', at: undefined };
  if (value('nsds5BeginReplicaRefresh') !== '') return undefined;
  const status = value('nsds5replicaLastInitStatus');
  if (status === '' || /in progress/i.test(status)) return undefined;
  const session = readSession(status, value('nsds5replicaLastInitEnd'));
  return { ...session, ok: /Total update succeeded/i.test(status) };
}

function notInitialised({ suffix, receiver }: Feed, error: unknown) {
  const said = error instanceof Error ? error.message : String(error);
  return failure(
    'initialisation-failed',
    `${suffix} could not be copied to ${receiver}: ${said}`,
    `The error logs of both directories, /var/log/dirsrv/slapd-*/errors, say more.`,
    error,
  );
}
