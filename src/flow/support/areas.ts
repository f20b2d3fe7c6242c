import { certmongerEvidence } from '../../certmonger/evidence.ts';
import {
  directoryEvidence,
  directoryUnits,
  instanceNames,
  recordEvidence,
} from '../../directory/evidence.ts';
import { INSTANCE } from '../../dogtag/certificates.ts';
import { dogtagEvidence, dogtagUnits, moduleLibraries } from '../../dogtag/evidence.ts';
import {
  type Evidence,
  fileEvidence,
  filesEvidence,
  lookEvidence,
  outputEvidence,
} from '../../host/evidence.ts';
import type { Host } from '../../host/host.ts';
import { serviceEvidence, systemEvidence, unitEvidence } from '../../host/system.ts';
import { tokenEvidence } from '../../hsm/evidence.ts';
import { PRIVATE_PARENTS } from '../../secret/private-file.ts';
import { RENEWAL_SERVICE, RENEWAL_TIMER } from '../renewal/units.ts';
import { CA_FILE, directoryOf, installedServer, PKI_USER, type Site } from '../site.ts';
import { serverStatus } from '../status.ts';

const MIB = 1024 * 1024;

/** One part of a support bundle. */
export interface Area {
  id: string;
  title: string;
  evidence(): Promise<Evidence[]>;
}

/** Everything that a support bundle is made of, in its order. */
export async function supportAreas(): Promise<Area[]> {
  const site = await knownSite();
  return [
    { id: 'capstan', title: 'Capstan: journal, logs, status', evidence: capstanEvidence },
    {
      id: 'dogtag',
      title: 'Dogtag: logs and configuration',
      evidence: () => dogtagEvidence(INSTANCE),
    },
    {
      id: 'directory',
      title: '389 Directory Server: logs, configuration, HSM record',
      evidence: () => directories(site),
    },
    { id: 'certmonger', title: 'certmonger: requests and CAs', evidence: certmongerEvidence },
    { id: 'hsm', title: 'HSM: tokens, seen without a login', evidence: async () => [await tokens(site)] },
    { id: 'systemd', title: 'systemd: services and their journal', evidence: () => services(site) },
    { id: 'host', title: 'Host: releases, room, clock, names', evidence: async () => systemEvidence() },
  ];
}

/** The site of this host's server; undefined where there is none, or where its journal cannot be read. */
async function knownSite(): Promise<Site | undefined> {
  return installedServer().then(
    ({ site }) => site,
    () => undefined,
  );
}

async function capstanEvidence(): Promise<Evidence[]> {
  return [
    ...(await filesEvidence(
      'capstan/journal',
      'the journal: what was done, and what an undo needs',
      '/var/lib/capstan',
      '*.json',
    )),
    ...(await filesEvidence('capstan/log', "Capstan's own log", '/var/log/capstan', '*.log', {
      newest: 20,
      limit: 4 * MIB,
    })),
    lookEvidence(
      'capstan/status.json',
      'how the server is, as "capstan status" tells it',
      'capstan status --output json',
      statusJson,
      ({ command, ldap, certmonger, signature }) => command + Math.max(2 * ldap, 2 * certmonger, signature),
    ),
    fileEvidence('capstan/ca.crt', 'the certificate of the CA', CA_FILE),
    outputEvidence('capstan/files.txt', "Capstan's files", [
      ...(['ls', '-lAR', '--full-time', '/var/lib/capstan', '/etc/capstan', '/var/log/capstan'] as const),
    ]),
    outputEvidence('capstan/private-folders.txt', 'names of what a killed run left in memory', [
      ...(['find', ...PRIVATE_PARENTS, '-maxdepth', '4', '('] as const),
      ...PRIVATE_PARENTS.flatMap((parent, index) => [
        ...(index > 0 ? ['-o'] : []),
        '-path',
        `${parent}/capstan-*`,
      ]),
      ...[')', '-ls'],
    ]),
  ];
}

async function statusJson(host: Host): Promise<string> {
  return `${JSON.stringify(await serverStatus(host), undefined, 2)}\n`;
}

async function directories(site: Site | undefined): Promise<Evidence[]> {
  const names = await knownInstances(site);
  return [
    ...names.flatMap(directoryEvidence),
    recordEvidence(site && directoryOf(site)),
    outputEvidence('directory/VERSION', 'the release of 389 Directory Server', ['ns-slapd', '-v']),
  ];
}

/** The instance that the journal names comes first, whether it is there or not. */
async function knownInstances(site: Site | undefined): Promise<string[]> {
  return [...new Set([...(site ? [directoryOf(site).name] : []), ...(await instanceNames())])];
}

/** The library that the journal names; without one, what Dogtag itself was given. */
async function tokens(site: Site | undefined): Promise<Evidence> {
  const [registered] = await moduleLibraries(INSTANCE);
  const libraryPath = site?.token.libraryPath ?? registered;
  return tokenEvidence(libraryPath === undefined ? undefined : { libraryPath, user: PKI_USER });
}

async function services(site: Site | undefined): Promise<Evidence[]> {
  const units = [
    ...dogtagUnits(INSTANCE),
    ...(await knownInstances(site)).flatMap(directoryUnits),
    'certmonger.service',
    RENEWAL_SERVICE,
    RENEWAL_TIMER,
  ];
  return [
    ...serviceEvidence([
      ...['pki-tomcatd@*', 'dirsrv@*', 'certmonger.service', 'pki-tomcatd.target'],
      ...[RENEWAL_SERVICE, RENEWAL_TIMER],
    ]),
    unitEvidence(units),
  ];
}
