/** What the directory of this host is asked when its health is judged. Nothing is changed. */
import { agreementsOf } from '../../directory/agreement.ts';
import { type Directory, withLocalDirectory } from '../../directory/client.ts';
import { identityDn, managersDn, REPLICATION_ACCOUNTS_DN } from '../../directory/identity.ts';
import { recordedServers } from '../../directory/masters.ts';
import { type HsmRecord, readHsmRecord } from '../../directory/record.ts';
import { replicasOf } from '../../directory/ruv.ts';
import { publishedCaCertificates } from '../../directory/tree.ts';
import { CA_SUFFIX } from '../../dogtag/deployment.ts';
import {
  AGENT_GROUP,
  CA_LIST_DN,
  certificateStatusDn,
  HOST_AUTHORITY,
  KRA_LIST_DN,
  PEOPLE_DN,
} from '../../dogtag/security-domain.ts';
import { CapstanError, sentenceOf } from '../../errors.ts';
import type { CaData, CertificateUser, DirectoryFacts } from '../../health/facts.ts';
import type { Host } from '../../host/host.ts';
import { lastCrl } from '../crl-look.ts';
import { directoryOf, type Site } from '../site.ts';

/** Entries that conflict with others; 389-ds shows most of them to those alone who ask for subentries. */
const CONFLICTS = '(&(|(objectClass=*)(objectClass=ldapSubEntry))(nsds5ReplConflict=*))';

/** What the directory keeps for the cluster. @throws CapstanError `directory-unreachable`, `directory-refused` */
export function directoryFacts(host: Host, site: Site, hasCa: boolean): Promise<DirectoryFacts> {
  const instance = directoryOf(site);
  const { suffix } = instance;
  return withLocalDirectory(host, instance, async (directory) => {
    const one = async (dn: string, attribute: string) =>
      (await directory.entry(dn, [attribute]))?.values(attribute) ?? [];
    const managers = await one(managersDn(suffix), 'member');
    const isThis = (dn: string) => dn.toLowerCase() === identityDn(suffix, site.hostname).toLowerCase();
    const [usn] = await one('cn=USN,cn=plugins,cn=config', 'nsslapd-pluginEnabled');
    const published = await publishedCaCertificates(directory, suffix);
    return {
      ...(await recordIn(directory, suffix)),
      servers: await recordedServers(directory, suffix),
      usnPlugin: usn?.toLowerCase() === 'on',
      publishedCas: published.map((der) => der.toString('base64')),
      identity: (await one(identityDn(suffix, site.hostname), 'seeAlso'))[0],
      isManager: managers.some(isThis),
      conflicts: await conflictsIn(directory, hasCa ? [suffix, CA_SUFFIX] : [suffix]),
      replicas: await replicasOf(directory),
      agreements: await agreementsOf(directory),
      ...(await sendersIn(directory)),
    };
  });
}

async function recordIn(directory: Directory, suffix: string) {
  let record: HsmRecord | undefined;
  let recordProblem: string | undefined;
  try {
    record = await readHsmRecord(directory, suffix);
  } catch (error) {
    if (!(error instanceof CapstanError) || error.code !== 'hsm-record-malformed') throw error;
    recordProblem = error.message;
  }
  return { record, recordProblem };
}

async function conflictsIn(directory: Directory, suffixes: readonly string[]): Promise<string[]> {
  const found: string[] = [];
  for (const suffix of suffixes) {
    const entries = await directory.search(suffix, { scope: 'sub', filter: CONFLICTS, attributes: ['1.1'] });
    found.push(...entries.map(({ dn }) => dn));
  }
  return found;
}

async function sendersIn(directory: Directory): Promise<Pick<DirectoryFacts, 'senders' | 'letIn'>> {
  const accounts = await directory.search(REPLICATION_ACCOUNTS_DN, {
    scope: 'one',
    filter: '(objectClass=person)',
    attributes: ['1.1'],
  });
  const replicas = await directory.search('cn=mapping tree,cn=config', {
    scope: 'sub',
    filter: '(objectClass=nsDS5Replica)',
    attributes: ['nsDS5ReplicaBindDN'],
  });
  return {
    senders: accounts.map(({ dn }) => dn),
    letIn: replicas.flatMap((replica) => replica.values('nsDS5ReplicaBindDN')),
  };
}

/**
 * What the CA keeps in the directory.
 * @param serials of the certificates that may be revoked, decimal
 * @throws CapstanError `directory-unreachable`, `directory-refused`
 */
export function caData(host: Host, site: Site, serials: readonly string[]): Promise<CaData> {
  return withLocalDirectory(host, directoryOf(site), async (directory) => ({
    users: await usersIn(directory),
    agents: ((await directory.entry(AGENT_GROUP, ['uniqueMember']))?.values('uniqueMember') ?? []).map((dn) =>
      dn.toLowerCase(),
    ),
    domain: {
      CA: await domainIn(directory, CA_LIST_DN),
      KRA: await domainIn(directory, KRA_LIST_DN),
    },
    crl: await crlIn(host, directory),
    revoked: await revokedIn(directory, serials),
    authoritySerial: await authorityIn(directory),
  }));
}

async function usersIn(directory: Directory): Promise<CertificateUser[]> {
  const entries = await directory.search(PEOPLE_DN, {
    scope: 'one',
    filter: '(description=2;*)',
    attributes: ['uid', 'description', 'userCertificate'],
    explicitBufferAttributes: ['userCertificate', 'userCertificate;binary'],
  });
  return entries.map((entry) => ({
    uid: entry.values('uid')[0] ?? '',
    dn: entry.dn,
    descriptions: entry.values('description'),
    certificates: ['userCertificate', 'userCertificate;binary'].flatMap((name) =>
      entry.bytes(name).map((der) => der.toString('base64')),
    ),
  }));
}

async function domainIn(directory: Directory, list: string): Promise<string[]> {
  const entries = await directory.search(list, { scope: 'one', attributes: ['cn'] });
  return entries.map((entry) => (entry.values('cn')[0] ?? '').replace(/:\d+$/, '').toLowerCase());
}

async function crlIn(host: Host, directory: Directory): Promise<CaData['crl']> {
  try {
    return await lastCrl(host, directory);
  } catch (error) {
    if (error instanceof CapstanError && error.code === 'crl-unverified')
      return { problem: sentenceOf(error) };
    throw error;
  }
}

async function revokedIn(directory: Directory, serials: readonly string[]): Promise<string[]> {
  const revoked: string[] = [];
  for (const serial of serials) {
    const entry = await directory.entry(certificateStatusDn(serial), ['certStatus']);
    if (/^REVOKED/i.test(entry?.values('certStatus')[0] ?? '')) revoked.push(serial);
  }
  return revoked;
}

async function authorityIn(directory: Directory): Promise<string | undefined> {
  const [entry] = await directory.search(HOST_AUTHORITY.base, {
    scope: 'one',
    filter: HOST_AUTHORITY.filter,
    attributes: ['authoritySerial'],
  });
  return entry?.values('authoritySerial')[0];
}
