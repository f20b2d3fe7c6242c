/**
 * How a host comes to join the cluster: an identity for its directory, and a user of Dogtag's security domain who may
 * ask for an install token and do nothing else, with a password that ends by itself.
 */
import type { Directory } from '../directory/client.ts';
import { addIdentity, grant, managersDn, removeIdentity } from '../directory/identity.ts';
import { clockOf, enforceLifetimes, expiringPassword, passwordExpiry } from '../directory/lifetime.ts';
import {
  caUser,
  DOMAIN_DN,
  DOMAIN_GROUP,
  GROUPS_DN,
  joinUid,
  PEOPLE_DN,
  SESSIONS_DN,
  userDn,
} from '../dogtag/security-domain.ts';
import type { Secret } from '../secret/secret.ts';
import { addCaUser, removeCaUser, removeInstallTokens } from './ca-users.ts';
import { directorySubject } from './site.ts';

/** The entry above all certificates, which knows how many there are. */
const CERTIFICATES_DN = 'ou=certificateRepository,ou=ca,o=ipaca';

/** The entry of the user that a host joins as. */
export function joinUserDn(hostname: string): string {
  return userDn(joinUid(hostname));
}

/** Whether an entry is that of a user that a host joins as. */
export function isJoinUser(dn: string): boolean {
  return dn.startsWith(`uid=${joinUid('')}`);
}

/** Who is to join, and until when. */
export interface JoinRequest {
  /** The domain's. */
  suffix: string;
  subjectBase: string;
  /** The fully qualified name of the host that joins. */
  hostname: string;
  /** The join secret: the password of the user that it joins as. */
  secret: Secret;
  /** Seconds. */
  lifetime: number;
}

/**
 * Lets a host join: makes its identity known to all servers, and makes the user that it joins as, in the place of an
 * earlier one: of the join secrets of a host only the last one is good. Where it ends in the middle, {@link undoJoin}
 * takes it back.
 * @param directory of a server with a CA, as the Directory Manager
 * @returns when the join secret ends, by the clock of that server
 * @throws CapstanError `directory-refused`, `directory-unreachable`
 */
export async function prepareJoin(directory: Directory, request: JoinRequest): Promise<Date> {
  const { suffix, hostname, secret, lifetime } = request;
  await enforceLifetimes(directory);
  await allowJoining(directory, suffix);
  await endJoin(directory, hostname);
  await addIdentity(directory, suffix, hostname, directorySubject(request));
  const now = (await clockOf(directory)) ?? new Date();
  const expires = new Date(now.getTime() + lifetime * 1000);
  const user = caUser(joinUid(hostname), 'adminType', [DOMAIN_GROUP]);
  const attributes = {
    ...user.attributes,
    objectClass: [...(user.attributes.objectClass ?? []), 'passwordPolicy'],
    ...expiringPassword(user.dn, secret, expires),
  };
  await addCaUser(directory, { ...user, attributes });
  return expires;
}

/**
 * Removes the user that a host joined as, with the install tokens that it got; that there is none is no error. For the
 * Directory Manager and for servers.
 * @throws CapstanError `directory-refused`, `directory-unreachable`
 */
export async function endJoin(directory: Directory, hostname: string): Promise<void> {
  await removeInstallTokens(directory, joinUid(hostname));
  await removeCaUser(directory, joinUserDn(hostname));
}

/**
 * Takes back all that {@link prepareJoin} made for a host that did not join: the user and the identity.
 * @throws CapstanError `directory-refused`, `directory-unreachable`
 */
export async function undoJoin(
  directory: Directory,
  { suffix, hostname }: Pick<JoinRequest, 'suffix' | 'hostname'>,
): Promise<void> {
  await endJoin(directory, hostname);
  await removeIdentity(directory, suffix, hostname);
}

/** When the join secret of a host ends; undefined where it has none. */
export async function joinExpiry(directory: Directory, hostname: string): Promise<Date | undefined> {
  return passwordExpiry(directory, joinUserDn(hostname));
}

/** How many certificates the CA has issued; undefined where the connection may not know. */
export async function countCertificates(directory: Directory): Promise<number | undefined> {
  const entry = await directory.entry(CERTIFICATES_DN, ['numSubordinates']);
  const [count] = entry?.values('numSubordinates') ?? [];
  return count === undefined ? undefined : Number(count);
}

/** Lets who joins count the certificates, and lets the servers remove the user of a host that has joined. */
async function allowJoining(directory: Directory, suffix: string): Promise<void> {
  const joiners = `groupdn = "ldap:///${DOMAIN_GROUP}"`;
  const servers = `groupdn = "ldap:///${managersDn(suffix)}"`;
  const remove = `allow (read, search, delete) ${servers}`;
  const user = `uid=${joinUid('*')}`;
  const rights: [dn: string, target: string, name: string, rule: string][] = [
    [
      CERTIFICATES_DN,
      '(targetattr = "numSubordinates || objectClass")(targetfilter = "(ou=certificateRepository)")',
      'who joins counts certificates',
      `allow (read, search) ${joiners}`,
    ],
    [PEOPLE_DN, `(target = "ldap:///${user},${PEOPLE_DN}")${ALL}`, 'servers remove who has joined', remove],
    [DOMAIN_DN, `(target = "ldap:///${SESSIONS_DN}")${ALL}`, 'servers remove install tokens', remove],
    [
      GROUPS_DN,
      '(targetattr = "uniqueMember || objectClass || cn")',
      'servers see groups',
      `allow (read, search) ${servers}`,
    ],
    [
      GROUPS_DN,
      // What has no filter is allowed: nothing may be added.
      `(targetattr = "uniqueMember")(targattrfilters = "add=uniqueMember:(!(uniqueMember=*)), del=uniqueMember:(uniqueMember=${user})")`,
      'servers take out who has joined',
      `allow (write) ${servers}`,
    ],
  ];
  for (const [dn, target, name, rule] of rights)
    await grant(directory, dn, `${target}(version 3.0; acl "Capstan: ${name}"; ${rule};)`);
}

const ALL = '(targetattr = "*")';
