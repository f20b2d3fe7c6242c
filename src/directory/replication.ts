/** Replication of a suffix: who supplies it, under which id, and who may send changes to this server. */
import { failure } from '../errors.ts';
import type { Secret } from '../secret/secret.ts';
import { mappingTreeDn } from './backend.ts';
import type { Directory } from './client.ts';
import { REPLICATION_ACCOUNTS_DN } from './identity.ts';

/** The entry that makes a server a supplier of a suffix. */
export function replicaDn(suffix: string): string {
  return `cn=replica,${mappingTreeDn(suffix)}`;
}

/**
 * How 389-ds replicates here (configuration reference, `cn=replica`).
 * A supplier with much to send lets others have their turn after 60 s, FreeIPA's value. One that finds a peer out of
 * reach tries again after 3 s, and ever more seldom down to every 30 s; unless told, every 5 minutes.
 */
const SETTINGS = { nsds5ReplicaReleaseTimeout: ['60'], nsds5ReplicaBackoffMax: ['30'] };

/**
 * How long changes are kept for servers that are away; one that was away longer has to be initialised again. FreeIPA
 * keeps them as long.
 */
const CHANGELOG_AGE = '30d';
const MAX_AGE = 'nsslapd-changelogmaxage';

/**
 * Makes the instance a supplier of a suffix that it serves, with a changelog; safe to call twice.
 * @param id the replica id of the server, 1 to 65534, the same for all its suffixes and no other server's
 * @throws CapstanError `replica-id-differs`, `suffix-missing`, `directory-refused`
 */
export async function makeSupplier(directory: Directory, suffix: string, id: number): Promise<void> {
  const tree = await directory.entry(mappingTreeDn(suffix), ['nsslapd-backend']);
  const [backend] = tree?.values('nsslapd-backend') ?? [];
  if (backend === undefined)
    throw failure('suffix-missing', `The directory does not serve the suffix ${suffix}.`);
  const dn = replicaDn(suffix);
  const added = await directory.add(dn, {
    objectClass: ['top', 'nsDS5Replica', 'extensibleObject'],
    cn: ['replica'],
    nsDS5ReplicaRoot: [suffix],
    nsDS5ReplicaId: [String(id)],
    // Updatable, and with a changelog.
    nsDS5ReplicaType: ['3'],
    nsDS5Flags: ['1'],
    ...SETTINGS,
  });
  if (!added) {
    await requireId(directory, suffix, id);
    await directory.replace(dn, SETTINGS);
  }
  await keepChanges(directory, backend);
}

/**
 * Has the changelog of a database forget what is old: since 389-ds 1.4.4 each has its own, which comes with the replica.
 * Only where it does not do so already: once a replica was initialised and removed, 389-ds ends with a segmentation
 * fault when the entry is modified (seen with 1.4.4.11: the callback of the old replica is still registered).
 */
async function keepChanges(directory: Directory, backend: string): Promise<void> {
  const dn = `cn=changelog,cn=${backend},cn=ldbm database,cn=plugins,cn=config`;
  const changelog = await directory.entry(dn, [MAX_AGE]);
  if (changelog?.values(MAX_AGE)[0] !== CHANGELOG_AGE)
    await directory.replace(dn, { [MAX_AGE]: [CHANGELOG_AGE] });
}

async function requireId(directory: Directory, suffix: string, id: number): Promise<void> {
  const present = await supplierId(directory, suffix);
  if (present === id) return;
  throw failure(
    'replica-id-differs',
    `The directory supplies ${suffix} with the replica id ${present}, not with ${id}.`,
    'Remove the replication that is there, or the server.',
  );
}

/** The replica id with which the instance supplies a suffix; undefined where it does not. */
export async function supplierId(directory: Directory, suffix: string): Promise<number | undefined> {
  const entry = await directory.entry(replicaDn(suffix), ['nsDS5ReplicaId']);
  const [id] = entry?.values('nsDS5ReplicaId') ?? [];
  return id === undefined ? undefined : Number(id);
}

/** Ends the replication of a suffix, with its agreements and its changelog. The data stay; safe to call twice. */
export async function unmakeSupplier(directory: Directory, suffix: string): Promise<void> {
  const dn = replicaDn(suffix);
  if (!(await directory.entry(dn, ['1.1']))) return;
  const agreements = await directory.search(dn, { scope: 'one', attributes: ['1.1'] });
  for (const agreement of agreements) await directory.remove(agreement.dn, 'replication');
  await directory.remove(dn);
}

/**
 * The account of a server that sends the changes of one suffix, on a server that receives them. One for each suffix: an
 * agreement that runs does not take another password (389-ds 1.4.4, seen).
 */
export function senderDn(sender: string, suffix: string): string {
  const name = suffix.split(',').map((part) => part.slice(part.indexOf('=') + 1));
  return `cn=${sender} ${name.join('.')},${REPLICATION_ACCOUNTS_DN}`;
}

/** The suffixes that one server may send to another. */
export interface Sending {
  suffixes: readonly string[];
  /** The host name of the server that sends. */
  sender: string;
}

/**
 * Lets a server send its changes to this one: an account in this server's own configuration, which no other server
 * gets to see, with a password that is set anew each time; safe to call twice.
 * @throws CapstanError `directory-refused`
 */
export async function letIn(
  directory: Directory,
  { suffixes, sender, password }: Sending & { password: Secret },
): Promise<void> {
  await directory.add(REPLICATION_ACCOUNTS_DN, {
    objectClass: ['top', 'nsContainer'],
    cn: ['replication managers'],
  });
  for (const suffix of suffixes) await letInto(directory, suffix, sender, password);
}

async function letInto(
  directory: Directory,
  suffix: string,
  sender: string,
  password: Secret,
): Promise<void> {
  const dn = senderDn(sender, suffix);
  const added = await directory.add(dn, {
    objectClass: ['top', 'person'],
    cn: [dn.slice('cn='.length, dn.indexOf(','))],
    sn: ['replication'],
    userPassword: [password.reveal()],
  });
  if (!added) await directory.replace(dn, { userPassword: [password.reveal()] });
  if ((await bindDns(directory, suffix, dn)).length === 0) {
    await directory.append(replicaDn(suffix), 'nsDS5ReplicaBindDN', [dn]);
  }
}

/** Lets a server send these suffixes no more. Safe to call twice. */
export async function shutOut(directory: Directory, { suffixes, sender }: Sending): Promise<void> {
  for (const suffix of suffixes) {
    const dn = senderDn(sender, suffix);
    const present = await bindDns(directory, suffix, dn);
    if (present.length > 0) await directory.take(replicaDn(suffix), 'nsDS5ReplicaBindDN', present);
    await directory.remove(dn);
  }
}

/** The values by which an account may replicate a suffix, as they are written. */
async function bindDns(directory: Directory, suffix: string, dn: string): Promise<string[]> {
  const replica = await directory.entry(replicaDn(suffix), ['nsDS5ReplicaBindDN']);
  return (replica?.values('nsDS5ReplicaBindDN') ?? []).filter((one) => same(one, dn));
}

function same(one: string, other: string): boolean {
  return one.toLowerCase() === other.toLowerCase();
}

/**
 * Takes away the referral to a server that is gone: 389-ds adds one for each supplier that it hears of to the entry of
 * the suffix, and never removes it (1.4.4, seen). That there is none is no error.
 */
export async function removeReferral(directory: Directory, suffix: string, hostname: string): Promise<void> {
  const dn = mappingTreeDn(suffix);
  const present = (await directory.entry(dn, ['nsslapd-referral']))?.values('nsslapd-referral') ?? [];
  const mine = present.filter((url) => url.toLowerCase().startsWith(`ldap://${hostname.toLowerCase()}:`));
  if (mine.length > 0) await directory.take(dn, 'nsslapd-referral', mine);
}
