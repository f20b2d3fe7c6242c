/** The servers of a cluster and their roles, recorded where and as FreeIPA records its own. */
import type { Directory } from './client.ts';
import { removeRequest } from './requests.ts';
import { mastersDn } from './tree.ts';

/** A role that a server can have; the name of its entry (FreeIPA's). */
export type RoleName = 'CA' | 'KRA';

/** What an entry of a role says besides that the role is there. */
export const ROLE_MARKS = {
  /** The role is in use (FreeIPA). */
  enabled: 'enabledService',
  /** This server renews the certificates that all share (FreeIPA). */
  renewalMaster: 'caRenewalMaster',
  /** This server generates the CRLs. FreeIPA keeps that in CS.cfg only. */
  crlGenerator: 'crlGenerator',
} as const;

/** Before the serial number of the token that holds the keys of the role. */
const TOKEN_SERIAL = 'tokenSerial ';

/** A role of a server. */
export interface RoleEntry {
  name: RoleName;
  enabled: boolean;
  renewalMaster: boolean;
  crlGenerator: boolean;
  /** The serial number of the token as its server saw it; a partition reached by two libraries may have two. */
  tokenSerial: string | undefined;
}

/** A server of the cluster. */
export interface ServerEntry {
  hostname: string;
  roles: RoleEntry[];
}

/** The servers with a role in use, by name. */
export function serversWith(servers: readonly ServerEntry[], role: RoleName): string[] {
  return servers
    .filter(({ roles }) => roles.some(({ name, enabled }) => name === role && enabled))
    .map(({ hostname }) => hostname);
}

/** The entry of a server. */
export function serverDn(suffix: string, hostname: string): string {
  return `cn=${hostname},${mastersDn(suffix)}`;
}

/** The entry of a role of a server. */
export function roleDn(suffix: string, hostname: string, role: RoleName): string {
  return `cn=${role},${serverDn(suffix, hostname)}`;
}

/** Records a server. */
export async function recordServer(directory: Directory, suffix: string, hostname: string): Promise<void> {
  await directory.add(serverDn(suffix, hostname), { objectClass: ['top', 'nsContainer'], cn: [hostname] });
}

/** What a server says of a role of its own. */
export interface RoleFacts {
  tokenSerial: string;
  renewalMaster?: boolean;
  crlGenerator?: boolean;
}

/** Records a role of a server that is recorded; marks that it has stay. */
export async function recordRole(
  directory: Directory,
  suffix: string,
  hostname: string,
  role: RoleName,
  facts: RoleFacts,
): Promise<void> {
  const dn = roleDn(suffix, hostname, role);
  const wanted = [
    ROLE_MARKS.enabled,
    'startOrder 50',
    `${TOKEN_SERIAL}${facts.tokenSerial}`,
    ...(facts.renewalMaster ? [ROLE_MARKS.renewalMaster] : []),
    ...(facts.crlGenerator ? [ROLE_MARKS.crlGenerator] : []),
  ];
  const added = await directory.add(dn, {
    objectClass: ['top', 'nsContainer', 'ipaConfigObject'],
    cn: [role],
    ipaConfigString: wanted,
  });
  if (added) return;
  const present = (await directory.entry(dn, ['ipaConfigString']))?.values('ipaConfigString') ?? [];
  const stale = present.filter((value) => value.startsWith(TOKEN_SERIAL) && !wanted.includes(value));
  const missing = wanted.filter((value) => !present.includes(value));
  if (stale.length > 0) await directory.take(dn, 'ipaConfigString', stale);
  if (missing.length > 0) await directory.append(dn, 'ipaConfigString', missing);
}

/** Forgets a role of a server; that there is none is no error. */
export async function removeRole(
  directory: Directory,
  suffix: string,
  hostname: string,
  role: RoleName,
): Promise<void> {
  await directory.remove(roleDn(suffix, hostname, role));
}

/** Forgets a server with all its roles, and what it asked for; that it is not recorded is no error. */
export async function removeServer(directory: Directory, suffix: string, hostname: string): Promise<void> {
  await removeRequest(directory, suffix, hostname);
  const dn = serverDn(suffix, hostname);
  if (!(await directory.entry(dn, ['1.1']))) return;
  const roles = await directory.search(dn, { scope: 'one', attributes: ['1.1'] });
  for (const role of roles) await directory.remove(role.dn);
  await directory.remove(dn);
}

/** The servers that are recorded, by name, each with its roles. */
export async function recordedServers(directory: Directory, suffix: string): Promise<ServerEntry[]> {
  const base = mastersDn(suffix);
  if (!(await directory.entry(base, ['1.1']))) return [];
  const entries = await directory.search(base, { scope: 'sub', attributes: ['cn', 'ipaConfigString'] });
  const depth = base.split(',').length;
  const servers = entries.filter(({ dn }) => dn.split(',').length === depth + 1);
  return servers
    .map((server) => ({
      hostname: server.values('cn')[0] ?? '',
      roles: entries
        .filter(({ dn }) => dn.toLowerCase().endsWith(`,${server.dn.toLowerCase()}`))
        .flatMap((entry) => roleOf(entry.values('cn')[0] ?? '', entry.values('ipaConfigString'))),
    }))
    .toSorted((one, other) => one.hostname.localeCompare(other.hostname));
}

/** The role of an entry; none for roles of FreeIPA that Capstan does not know (KDC, DNS). */
function roleOf(name: string, strings: readonly string[]): RoleEntry[] {
  if (name !== 'CA' && name !== 'KRA') return [];
  const has = (mark: string) => strings.some((value) => value.toLowerCase() === mark.toLowerCase());
  return [
    {
      name,
      enabled: has(ROLE_MARKS.enabled),
      renewalMaster: has(ROLE_MARKS.renewalMaster),
      crlGenerator: has(ROLE_MARKS.crlGenerator),
      tokenSerial: strings.find((value) => value.startsWith(TOKEN_SERIAL))?.slice(TOKEN_SERIAL.length),
    },
  ];
}

/** Gives a role of a server one of the marks, or takes it from it. */
export async function setMark(
  directory: Directory,
  suffix: string,
  {
    hostname,
    role,
    mark,
    on,
  }: { hostname: string; role: RoleName; mark: keyof typeof ROLE_MARKS; on: boolean },
): Promise<void> {
  const dn = roleDn(suffix, hostname, role);
  const present = (await directory.entry(dn, ['ipaConfigString']))?.values('ipaConfigString') ?? [];
  const found = present.filter((value) => value.toLowerCase() === ROLE_MARKS[mark].toLowerCase());
  if (on && found.length === 0) await directory.append(dn, 'ipaConfigString', [ROLE_MARKS[mark]]);
  if (!on && found.length > 0) await directory.take(dn, 'ipaConfigString', found);
}
