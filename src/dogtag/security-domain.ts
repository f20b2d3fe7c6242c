/**
 * What a CA of a host has in the CA's subtree besides its certificates: pure names, for those who write to the
 * directory. As Dogtag 10.10.2 writes it (SecurityDomainProcessor, Configurator.setupUser; seen).
 */
import { escapeValue } from '../names/dn.ts';
import { CA_SUFFIX } from './deployment.ts';
import { KRA_SUFFIX } from './kra-deployment.ts';

/** The port under which the security domain knows a subsystem. */
export const SECURE_PORT = 8443;

/** Where the users of the CA are. */
export const PEOPLE_DN = `ou=people,${CA_SUFFIX}`;
/** Where its groups are, with their members in `uniqueMember`. */
export const GROUPS_DN = `ou=groups,${CA_SUFFIX}`;
/** The security domain. */
export const DOMAIN_DN = `ou=Security Domain,${CA_SUFFIX}`;
/** Where the install tokens are that were given out, each with the `uid` of who asked for it. */
export const SESSIONS_DN = `ou=sessions,${DOMAIN_DN}`;
/** Where the CAs of the security domain are. */
export const CA_LIST_DN = `cn=CAList,${DOMAIN_DN}`;

/** The group whose members put CAs into the security domain. */
export const DOMAIN_GROUP = `cn=Enterprise CA Administrators,${GROUPS_DN}`;
/** The group whose members put KRAs into the security domain, and tell CAs of them. */
export const KRA_DOMAIN_GROUP = `cn=Enterprise KRA Administrators,${GROUPS_DN}`;
/** Where the KRAs of the security domain are. */
export const KRA_LIST_DN = `cn=KRAList,${DOMAIN_DN}`;
/** Where the users of the KRA are. */
export const KRA_PEOPLE_DN = `ou=people,${KRA_SUFFIX}`;
/** Where its groups are. */
export const KRA_GROUPS_DN = `ou=groups,${KRA_SUFFIX}`;
/** The group whose members archive and recover. */
export const RECOVERY_GROUP = `cn=Data Recovery Manager Agents,${KRA_GROUPS_DN}`;
/** The group whose members approve requests. */
export const AGENT_GROUP = `cn=Certificate Manager Agents,${GROUPS_DN}`;

/** The entry of a user. @param people where the users of the subsystem are */
export function userDn(uid: string, people = PEOPLE_DN): string {
  return `uid=${escapeValue(uid)},${people}`;
}

/** The entry of a host's CA in the security domain. */
export function domainEntryDn(hostname: string): string {
  return `cn=${hostname}:${SECURE_PORT},${CA_LIST_DN}`;
}

/**
 * The user that the subsystem of a host may have. The first CA has one; a clone shares its certificate and gets none,
 * but where a KRA came to it, or Dogtag is older, there is one all the same.
 */
export function subsystemUid(hostname: string): string {
  return `CA-${hostname}-${SECURE_PORT}`;
}

/** The user by whom a host joins the security domain. */
export function joinUid(hostname: string): string {
  return `admin-${hostname}`;
}

/** The user of a host's own agent. */
export function agentUid(hostname: string): string {
  return `capstan-${hostname}`;
}

/** The user by whom a KRA of a host joins the security domain, for the time of its installation. */
export function kraJoinUid(hostname: string): string {
  return `capstan-kra-${hostname}`;
}

/** The agent of a repair, for the moment in which the host's own has no valid certificate. */
export function repairUid(hostname: string): string {
  return `capstan-repair-${hostname}`;
}

/** What is to be forgotten of a host: entries, and users with their places in groups and their install tokens. */
export interface DomainTraces {
  entries: string[];
  users: { uid: string; dn: string }[];
}

/**
 * All that a host with a CA leaves in the CA's subtree when it leaves the cluster: what pkidestroy of 10.10.2 would
 * remove (domain entry and subsystem user), and Capstan's own users. The ranges of numbers that it was given are used
 * up and stay so; certificates and requests are the cluster's.
 */
export function domainTraces(hostname: string): DomainTraces {
  const uids = [subsystemUid(hostname), agentUid(hostname), joinUid(hostname), repairUid(hostname)];
  return {
    entries: [domainEntryDn(hostname)],
    users: uids.map((uid) => ({ uid, dn: userDn(uid) })),
  };
}

/**
 * All that a host with a KRA leaves behind besides what was archived: its place in the security domain with the users of
 * the CA's subtree, and those of the KRA's own, by whom the CA and the agent of that host come to it (seen with 10.10.2).
 */
export function kraTraces(hostname: string): { domain: DomainTraces; own: string[] } {
  const uids = [`KRA-${hostname}-${SECURE_PORT}`, kraJoinUid(hostname)];
  return {
    domain: {
      entries: [`cn=${hostname}:${SECURE_PORT},${KRA_LIST_DN}`],
      users: uids.map((uid) => ({ uid, dn: userDn(uid) })),
    },
    own: [subsystemUid(hostname), agentUid(hostname)].map((uid) => userDn(uid, KRA_PEOPLE_DN)),
  };
}

/** What a directory must have of a user, and the groups that get the user as `uniqueMember`. */
export interface CaUser {
  dn: string;
  attributes: Record<string, (string | Buffer)[]>;
  groups: string[];
}

/** The object classes of Dogtag's users (schema `cmsuser`). */
const USER_CLASSES = ['top', 'person', 'organizationalPerson', 'inetOrgPerson', 'cmsuser'];

/**
 * A user of the CA as Dogtag makes one.
 * @param people where the users of the subsystem are
 * @param type `agentType` for those who come by certificate, `adminType` for those who come by password
 */
export function caUser(
  uid: string,
  type: 'agentType' | 'adminType',
  groups: readonly string[],
  more: Record<string, (string | Buffer)[]> = {},
  people = PEOPLE_DN,
): CaUser {
  return {
    dn: userDn(uid, people),
    attributes: {
      objectClass: USER_CLASSES,
      uid: [uid],
      cn: [uid],
      sn: [uid],
      usertype: [type],
      userstate: ['1'],
      ...more,
    },
    groups: [...groups],
  };
}

/** The entry in which the CA keeps a certificate that it issued, with its `certStatus`. @param serial decimal */
export function certificateStatusDn(serial: string): string {
  return `cn=${serial},ou=certificateRepository,ou=ca,${CA_SUFFIX}`;
}

/** Where the entry of the CA itself is, and how it is told from those of lightweight CAs. */
export const HOST_AUTHORITY = {
  base: `ou=authorities,ou=ca,${CA_SUFFIX}`,
  filter: '(&(objectClass=authority)(!(authorityParentID=*)))',
} as const;
