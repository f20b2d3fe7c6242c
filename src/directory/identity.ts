/** How the servers of a cluster know each other: by the TLS certificates of their directories. */
import { readFile } from 'node:fs/promises';
import { TypeOrValueExistsError } from 'ldapts';
import { editFile } from '../host/files.ts';
import type { Host } from '../host/host.ts';
import { passingSecret } from '../secret/passing.ts';
import { withPrivateFolder } from '../secret/private-file.ts';
import { DIRECTORY_NICKNAME } from './certificate.ts';
import { type Directory, isResult } from './client.ts';
import { type DirectoryInstance, instanceFolder } from './instance.ts';
import { enforceLifetimes } from './lifetime.ts';
import { authoritiesDn, mastersDn } from './tree.ts';

/** A server's certificate and private key, PEM: what it shows its peers. */
export interface ServerIdentity {
  certificate: string;
  key: string;
}

/** Where the identities of the servers are (FreeIPA keeps its system accounts there). */
export function accountsDn(suffix: string): string {
  return `cn=sysaccounts,cn=etc,${suffix}`;
}

/** The entry that a server's certificate stands for. */
export function identityDn(suffix: string, hostname: string): string {
  return `uid=${hostname},${accountsDn(suffix)}`;
}

/** The group of all servers; it may manage replication on each of them (FreeIPA's name and place). */
export function managersDn(suffix: string): string {
  return `cn=replication managers,${accountsDn(suffix)}`;
}

/** The entry with the next replica id that is free (FreeIPA's). */
export function replicaIdDn(suffix: string): string {
  return `cn=replication,cn=etc,${suffix}`;
}

/** The first id that is given away; FreeIPA's. */
const FIRST_REPLICA_ID = 3;

/** Where each server keeps the accounts of those who replicate to it; not replicated. */
export const REPLICATION_ACCOUNTS_DN = 'cn=replication managers,cn=config';

/**
 * Makes a server known: its entry, and its place in the group of all servers.
 * @param subject of its TLS certificate, RFC 4514
 */
export async function addIdentity(
  directory: Directory,
  suffix: string,
  hostname: string,
  subject: string,
): Promise<void> {
  const dn = identityDn(suffix, hostname);
  const added = await directory.add(dn, {
    objectClass: ['top', 'account'],
    uid: [hostname],
    seeAlso: [subject],
  });
  if (!added) await directory.replace(dn, { seeAlso: [subject] });
  const group = managersDn(suffix);
  await directory.add(group, {
    objectClass: ['top', 'groupOfNames'],
    cn: ['replication managers'],
    member: [dn],
  });
  if (!(await isMember(directory, group, dn))) await directory.append(group, 'member', [dn]);
}

/** Whether the server is known: its entry, and its place in the group. */
export async function hasIdentity(directory: Directory, suffix: string, hostname: string): Promise<boolean> {
  const dn = identityDn(suffix, hostname);
  return (await directory.entry(dn, ['1.1'])) !== undefined && isMember(directory, managersDn(suffix), dn);
}

/** Forgets a server; that it is not known is no error. Its own entry goes last: it may be what this is done as. */
export async function removeIdentity(directory: Directory, suffix: string, hostname: string): Promise<void> {
  const dn = identityDn(suffix, hostname);
  await directory.remove(dn);
  const group = managersDn(suffix);
  if (await isMember(directory, group, dn)) await directory.take(group, 'member', [dn]);
}

async function isMember(directory: Directory, group: string, dn: string): Promise<boolean> {
  const entry = await directory.entry(group, ['member']);
  return (entry?.values('member') ?? []).some((member) => member.toLowerCase() === dn.toLowerCase());
}

/**
 * Lets the servers of the cluster manage replication on this one, and read and write what the cluster keeps about
 * itself. The configuration of each server is its own, so that every server needs this; the rest is replicated.
 */
export async function allowServers(directory: Directory, suffix: string): Promise<void> {
  await directory.add(REPLICATION_ACCOUNTS_DN, {
    objectClass: ['top', 'nsContainer'],
    cn: ['replication managers'],
  });
  for (const [dn, aci] of localRights(suffix)) await grant(directory, dn, aci);
  // A join secret that ends on one server only would be good on all others.
  await enforceLifetimes(directory);
}

/** Lets the servers, and everybody who is known, read and write their part of the domain's tree. */
export async function allowInTree(directory: Directory, suffix: string): Promise<void> {
  await directory.add(replicaIdDn(suffix), {
    objectClass: ['top', 'nsDS5Replica'],
    cn: ['replication'],
    nsDS5ReplicaRoot: [suffix],
    nsDS5ReplicaId: [String(FIRST_REPLICA_ID)],
  });
  for (const [dn, aci] of treeRights(suffix)) await grant(directory, dn, aci);
}

/** The first word of the name of an entry by which a replication is tried. */
export const PROBE = 'capstan-probe-';

/** Lets the servers try the replication of a suffix: write and read entries of that name right below it. */
export async function allowProbes(directory: Directory, root: string, suffix: string): Promise<void> {
  const target = `(target = "ldap:///cn=${PROBE}*,${root}")`;
  await grant(directory, root, right(`${target}${ALL}`, 'try replication', 'all', managersDn(suffix)));
}

const ALL = '(targetattr = "*")';

function right(target: string, what: string, verbs: string, group: string): string {
  return `${target}(version 3.0; acl "Capstan: servers ${what}"; allow (${verbs}) groupdn = "ldap:///${group}";)`;
}

/** The configuration of the databases, each with a changelog below it. */
const DATABASES_DN = 'cn=ldbm database,cn=plugins,cn=config';

function localRights(suffix: string): [dn: string, aci: string][] {
  const group = managersDn(suffix);
  const classes = ['nsds5Replica', 'nsds5ReplicationAgreement', 'nsMappingTree']
    .map((name) => `(objectClass=${name})`)
    .join('');
  // 389-ds asks for the right to add the container of the tasks, too, with each of them.
  const container = '(target = "ldap:///cn=cleanallruv,cn=tasks,cn=config")';
  const cleaning = '(target = "ldap:///cn=*,cn=cleanallruv,cn=tasks,cn=config")';
  return [
    ['cn=mapping tree,cn=config', right(ALL, 'add replication', 'add', group)],
    [
      'cn=mapping tree,cn=config',
      right(
        `${ALL}(targetfilter = "(|${classes})")`,
        'manage replication',
        'read, search, compare, write, delete',
        group,
      ),
    ],
    [REPLICATION_ACCOUNTS_DN, right(ALL, 'manage the accounts of replication', 'all', group)],
    [
      DATABASES_DN,
      right(
        `(target = "ldap:///cn=changelog,cn=*,${DATABASES_DN}")(targetattr = "nsslapd-changelogmaxage || cn || objectClass")`,
        'trim the changelog',
        'read, search, write',
        group,
      ),
    ],
    ['cn=tasks,cn=config', right(container + ALL, 'begin to clean the RUV', 'add, read, search', group)],
    ['cn=tasks,cn=config', right(cleaning + ALL, 'clean the RUV', 'add, read, search', group)],
  ];
}

function treeRights(suffix: string): [dn: string, aci: string][] {
  const group = managersDn(suffix);
  const known = (what: string) =>
    `${ALL}(version 3.0; acl "Capstan: ${what}"; allow (read, search, compare) userdn = "ldap:///all";)`;
  return [
    [accountsDn(suffix), right(ALL, 'manage each other', 'all', group)],
    [mastersDn(suffix), right(ALL, 'manage their roles', 'all', group)],
    [mastersDn(suffix), known('servers and roles for all who are known')],
    [replicaIdDn(suffix), right(ALL, 'draw replica ids', 'all', group)],
    [authoritiesDn(suffix), known('authorities for all who are known')],
  ];
}

/** Sets a right on an entry, in the place of one of the same name. @param aci an ACI of 389-ds */
export async function grant(directory: Directory, dn: string, aci: string): Promise<void> {
  const entry = await directory.entry(dn, ['aci']);
  const name = aciName(aci);
  const same = entry?.values('aci').filter((value) => aciName(value) === name) ?? [];
  if (same.includes(aci)) return;
  // One of an older version of Capstan, or of a domain with another name, would allow what this one does not.
  if (same.length > 0) await directory.take(dn, 'aci', same);
  try {
    await directory.append(dn, 'aci', [aci]);
  } catch (error) {
    // Two hosts may be let in at the same time, the first two of a cluster: the other run was quicker.
    if (!isResult(error, TypeOrValueExistsError)) throw error;
  }
}

function aciName(aci: string): string | undefined {
  return /acl\s+"([^"]*)"/.exec(aci)?.[1];
}

/**
 * Has the instance take a certificate of the CA for the entry that names its subject in `seeAlso`. The server reads
 * this file when it starts (389-ds, certmap.conf).
 * @param issuer the CA's subject, RFC 4514
 */
export async function mapCertificates(
  instance: Pick<DirectoryInstance, 'name'>,
  issuer: string,
): Promise<void> {
  await editFile(`${instanceFolder(instance)}/certmap.conf`, (text) => withCertificateMap(text, issuer));
}

/** The text of certmap.conf with Capstan's map in place of an earlier one. */
export function withCertificateMap(text: string, issuer: string): string {
  const others = text.split('\n').filter((line) => !/^(?:certmap\s+capstan\s|capstan:)/.test(line));
  const map = [`certmap capstan ${issuer}`, 'capstan:CmapLdapAttr seeAlso', 'capstan:DNComps'];
  return `${others.join('\n').trimEnd()}\n\n${map.join('\n')}\n`;
}

/**
 * The identity of the server on this host, for connections to its peers. The key is read into memory: 389-ds keeps it
 * in its NSS database, where root may use it.
 * @throws CapstanError `command-failed`
 */
export async function serverIdentity(
  host: Host,
  instance: Pick<DirectoryInstance, 'name'>,
): Promise<ServerIdentity> {
  const folder = instanceFolder(instance);
  return withPrivateFolder(async (scratch) => {
    const bundle = `${scratch.path}/identity.p12`;
    const secret = passingSecret('password of a file that is gone at once');
    const password = scratch.write('password', secret);
    await host.run('pk12util', [
      ...['-o', bundle, '-d', folder, '-n', DIRECTORY_NICKNAME],
      ...['-k', `${folder}/pwdfile.txt`, '-w', password],
      // OpenSSL 3 does not read what NSS uses unless told. Each derivation of a key, and each half of a longer key, costs
      // 600,000 iterations, a second of work: for a file that is gone at once, and whose certificates are no secret.
      ...['-c', 'AES-128-CBC', '-C', 'NONE'],
    ]);
    const out = `${scratch.path}/identity.pem`;
    await host.run('openssl', [
      ...['pkcs12', '-in', bundle, '-passin', `file:${password}`, '-nodes', '-clcerts', '-out', out],
    ]);
    const text = await readFile(out, 'utf8');
    const block = (label: string) =>
      new RegExp(`-----BEGIN ${label}-----[^]*?-----END ${label}-----`).exec(text)?.[0] ?? '';
    return { certificate: block('CERTIFICATE'), key: block('PRIVATE KEY') };
  });
}
