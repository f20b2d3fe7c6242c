/** The users that a KRA needs: who puts it into the security domain, and who archives and recovers on its host. */
import { removeBranch } from '../directory/backend.ts';
import type { Directory } from '../directory/client.ts';
import { KRA_SUFFIX } from '../dogtag/kra-deployment.ts';
import { agentUser } from '../dogtag/own-agent.ts';
import {
  caUser,
  KRA_DOMAIN_GROUP,
  KRA_GROUPS_DN,
  KRA_PEOPLE_DN,
  kraJoinUid,
  PEOPLE_DN,
  RECOVERY_GROUP,
  userDn,
} from '../dogtag/security-domain.ts';
import { failure } from '../errors.ts';
import type { Secret } from '../secret/secret.ts';
import { addCaUser, removeCaUser, removeInstallTokens } from './ca-users.ts';

/** Dogtag's user for the person who runs the cluster (`pki_admin_uid`): in the CA's subtree, and in the KRA's. */
const ADMINISTRATOR = 'admin';

/** Adds the user by whom the KRA of a host joins the security domain; an earlier one of that name goes. */
export async function addKraMember(directory: Directory, hostname: string, password: Secret): Promise<void> {
  const user = caUser(kraJoinUid(hostname), 'adminType', [KRA_DOMAIN_GROUP], {
    userPassword: [password.reveal()],
  });
  await addCaUser(directory, user);
}

/** Removes that user, with the install tokens that it got; that there is none is no error. */
export async function removeKraMember(directory: Directory, hostname: string): Promise<void> {
  await removeInstallTokens(directory, kraJoinUid(hostname));
  await removeCaUser(directory, userDn(kraJoinUid(hostname)));
}

/** The certificate of the CA's administrator, DER. @throws CapstanError `administrator-missing` */
export async function administratorCertificate(directory: Directory): Promise<Buffer> {
  const entry = await directory.entry(userDn(ADMINISTRATOR), ['userCertificate']);
  const [certificate] = entry?.bytes('userCertificate') ?? [];
  if (certificate) return certificate;
  throw failure(
    'administrator-missing',
    `The CA's administrator, ${userDn(ADMINISTRATOR)}, has no certificate in the directory, which a first KRA takes over.`,
  );
}

/** Gives the KRA's administrator the password that the CA's has, which only the directory knows, as a hash. */
export async function shareAdministratorPassword(directory: Directory): Promise<void> {
  const [hash] =
    (await directory.entry(userDn(ADMINISTRATOR), ['userPassword']))?.values('userPassword') ?? [];
  const administrator = userDn(ADMINISTRATOR, KRA_PEOPLE_DN);
  if (hash !== undefined) await directory.replace(administrator, { userPassword: [hash] });
}

/**
 * Lets the agent of a host archive and recover, and tell CAs of its KRA. The first server's is the administrator's
 * certificate, which may do both already.
 * @param certificate of the agent, PEM
 */
export async function admitAgent(directory: Directory, hostname: string, certificate: string): Promise<void> {
  const user = agentUser(hostname, certificate);
  if (await mayRecover(directory, user.attributes.description)) return;
  const dn = userDn(user.attributes.uid?.[0] as string, KRA_PEOPLE_DN);
  await addCaUser(directory, { ...user, dn, groups: [RECOVERY_GROUP] }, KRA_GROUPS_DN);
  const inCa = userDn(user.attributes.uid?.[0] as string, PEOPLE_DN);
  const members = (await directory.entry(KRA_DOMAIN_GROUP, ['uniqueMember']))?.values('uniqueMember') ?? [];
  if (members.some((one) => one.toLowerCase() === inCa.toLowerCase())) return;
  await directory.append(KRA_DOMAIN_GROUP, 'uniqueMember', [inCa]);
}

/** Whether who shows a certificate of this description is an agent of the KRA already. */
async function mayRecover(
  directory: Directory,
  description: readonly unknown[] | undefined,
): Promise<boolean> {
  const users = await directory.search(KRA_PEOPLE_DN, { scope: 'one', attributes: ['description'] });
  const [same] = users.filter((one) => one.values('description').includes(String(description?.[0])));
  if (!same) return false;
  const members = (await directory.entry(RECOVERY_GROUP, ['uniqueMember']))?.values('uniqueMember') ?? [];
  return members.some((one) => one.toLowerCase() === same.dn.toLowerCase());
}

/** Removes the KRA's tree, with all that is archived in it. */
export async function removeArchive(directory: Directory): Promise<void> {
  await removeBranch(directory, KRA_SUFFIX);
}

/** Removes the indexes that a KRA's pkispawn made in a database of this server: they are not replicated. */
export async function removeKraIndexes(directory: Directory, backend: string): Promise<void> {
  const base = `cn=${backend},cn=ldbm database,cn=plugins,cn=config`;
  if (!(await directory.entry(base, ['1.1']))) return;
  const searches = await directory.search(base, {
    scope: 'one',
    filter: '(objectClass=vlvSearch)',
    attributes: ['vlvBase'],
  });
  for (const { dn, values } of searches) {
    if (values('vlvBase').some((one) => one.toLowerCase().endsWith(KRA_SUFFIX)))
      await removeBranch(directory, dn);
  }
  // Only keys and their requests have realms.
  await removeBranch(directory, `cn=realm,cn=index,${base}`);
}
