/** The users of the CA and its security domain, in the directory. */
import type { Directory, Entry } from '../directory/client.ts';
import { type CaUser, domainTraces, GROUPS_DN, SESSIONS_DN, userDn } from '../dogtag/security-domain.ts';

/**
 * Adds a user of the CA, or gives one that is there already what it is to have, and its place in its groups.
 * @param directory with the CA's subtree
 */
export async function addCaUser(directory: Directory, user: CaUser): Promise<void> {
  const added = await directory.add(user.dn, user.attributes);
  if (!added) {
    const { objectClass: _, uid: __, ...changeable } = user.attributes;
    await directory.replace(user.dn, changeable);
  }
  for (const group of user.groups) {
    const members = (await directory.entry(group, ['uniqueMember']))?.values('uniqueMember') ?? [];
    if (membersLike(members, user.dn).length === 0) await directory.append(group, 'uniqueMember', [user.dn]);
  }
}

/** Removes a user of the CA with its places in groups and its install tokens; that there is none is no error. */
export async function removeCaUser(directory: Directory, uid: string): Promise<void> {
  const dn = userDn(uid);
  const groups = await found(directory, GROUPS_DN, `(uniqueMember=${dn})`, ['uniqueMember']);
  for (const group of groups) {
    const values = membersLike(group.values('uniqueMember'), dn);
    if (values.length > 0) await directory.take(group.dn, 'uniqueMember', values);
  }
  for (const session of await found(directory, SESSIONS_DN, `(uid=${uid})`))
    await directory.remove(session.dn);
  await directory.remove(dn);
}

/**
 * Removes all that a host with a CA has in the CA's subtree as a member of the security domain; safe to call twice, and
 * on any server, for the subtree is replicated.
 */
export async function forgetInDomain(directory: Directory, hostname: string): Promise<void> {
  const { entries, users } = domainTraces(hostname);
  for (const dn of entries) await directory.remove(dn);
  for (const { uid } of users) await removeCaUser(directory, uid);
}

/** The values that name the entry, however they are spelled: Dogtag writes `ou=People` here and `ou=people` there. */
function membersLike(members: readonly string[], dn: string): string[] {
  return members.filter((member) => member.toLowerCase() === dn.toLowerCase());
}

/** The entries one below a base that match a filter; none where there is no base. */
async function found(
  directory: Directory,
  base: string,
  filter: string,
  attributes: string[] = ['1.1'],
): Promise<Entry[]> {
  if (!(await directory.entry(base, ['1.1']))) return [];
  return directory.search(base, { scope: 'one', filter, attributes });
}
