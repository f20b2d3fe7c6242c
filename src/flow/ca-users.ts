/** The users that Capstan keeps in the CA's subtree, and all that a CA that leaves has there. */
import type { Directory } from '../directory/client.ts';
import { type CaUser, domainTraces, GROUPS_DN, joinUid, SESSIONS_DN } from '../dogtag/security-domain.ts';

/** Adds a user of the CA in the place of one of that name, and gives it its groups. */
export async function addCaUser(directory: Directory, user: CaUser): Promise<void> {
  await removeCaUser(directory, user.dn);
  await directory.add(user.dn, user.attributes);
  for (const group of user.groups) await directory.append(group, 'uniqueMember', [user.dn]);
}

/** Removes a user of the CA from its groups, and then the user itself; that there is none is no error. */
export async function removeCaUser(directory: Directory, dn: string): Promise<void> {
  const groups = await directory.search(GROUPS_DN, {
    scope: 'one',
    filter: `(uniqueMember=${dn})`,
    attributes: ['uniqueMember'],
  });
  for (const group of groups) {
    const mine = group.values('uniqueMember').filter((one) => one.toLowerCase() === dn.toLowerCase());
    await directory.take(group.dn, 'uniqueMember', mine);
  }
  await directory.remove(dn);
}

/**
 * Removes all that the CA of a host has in the CA's subtree; see {@link domainTraces}. Safe to call twice.
 * @param mayJoin whether the host still is to join: another try may be made with its join secret
 */
export async function removeCaTraces(directory: Directory, hostname: string, mayJoin = false): Promise<void> {
  const { entries, users } = domainTraces(hostname);
  for (const dn of entries) await directory.remove(dn);
  for (const { uid, dn } of users) {
    if (mayJoin && uid === joinUid(hostname)) continue;
    await removeInstallTokens(directory, uid);
    await removeCaUser(directory, dn);
  }
}

/** Removes the install tokens that a user asked for. Dogtag makes their container with the first one. */
export async function removeInstallTokens(directory: Directory, uid: string): Promise<void> {
  if (!(await directory.entry(SESSIONS_DN, ['1.1']))) return;
  const tokens = await directory.search(SESSIONS_DN, {
    scope: 'one',
    filter: `(uid=${uid})`,
    attributes: ['1.1'],
  });
  for (const token of tokens) await directory.remove(token.dn);
}
