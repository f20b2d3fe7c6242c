/** The users that Capstan keeps in the CA's subtree, and all that a CA that leaves has there. */
import type { Directory, Entry } from '../directory/client.ts';
import {
  agentUid,
  type CaUser,
  domainTraces,
  GROUPS_DN,
  joinUid,
  KRA_DOMAIN_GROUP,
  KRA_GROUPS_DN,
  kraTraces,
  SESSIONS_DN,
  userDn,
} from '../dogtag/security-domain.ts';

/**
 * Adds a user of a subsystem in the place of one of that name, and gives it its groups.
 * @param groups where the groups of the subsystem are
 */
export async function addCaUser(directory: Directory, user: CaUser, groups = GROUPS_DN): Promise<void> {
  await removeCaUser(directory, user.dn, groups);
  await directory.add(user.dn, user.attributes);
  for (const group of user.groups) await directory.append(group, 'uniqueMember', [user.dn]);
}

/** Removes a user of a subsystem from its groups, and then the user itself; that there is none is no error. */
export async function removeCaUser(directory: Directory, dn: string, groupsDn = GROUPS_DN): Promise<void> {
  const groups = await directory.search(groupsDn, {
    scope: 'one',
    filter: `(uniqueMember=${dn})`,
    attributes: ['uniqueMember'],
  });
  for (const group of groups) await takeOut(directory, group, dn);
  await directory.remove(dn);
}

async function takeOut(directory: Directory, group: Entry, dn: string): Promise<void> {
  const mine = group.values('uniqueMember').filter((one) => one.toLowerCase() === dn.toLowerCase());
  if (mine.length > 0) await directory.take(group.dn, 'uniqueMember', mine);
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

/**
 * Removes all that the KRA of a host has in the CA's subtree and in its own; see {@link kraTraces}. What was archived
 * stays. Safe to call twice, and where there never was a KRA.
 */
export async function removeKraTraces(directory: Directory, hostname: string): Promise<void> {
  const { domain, own } = kraTraces(hostname);
  for (const dn of domain.entries) await directory.remove(dn);
  for (const { uid, dn } of domain.users) {
    await removeInstallTokens(directory, uid);
    await removeCaUser(directory, dn);
  }
  // The agent stays the CA's, and tells CAs of no KRA any more.
  const group = await directory.entry(KRA_DOMAIN_GROUP, ['uniqueMember']);
  if (group) await takeOut(directory, group, userDn(agentUid(hostname)));
  if (!(await directory.entry(KRA_GROUPS_DN, ['1.1']))) return;
  for (const dn of own) await removeCaUser(directory, dn, KRA_GROUPS_DN);
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
