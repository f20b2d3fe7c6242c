import { access } from 'node:fs/promises';
import { dirname } from 'node:path';
import { withCertmonger } from '../certmonger/bus.ts';
import { findCa, trackingRequests } from '../certmonger/tracking.ts';
import { instanceExists, LDAP_PORT, LDAPS_PORT } from '../directory/instance.ts';
import { AGENT_CERTIFICATE, AGENT_KEY } from '../dogtag/agent.ts';
import { INSTANCE, SYSTEM_CERTIFICATES, tokenNicknames } from '../dogtag/certificates.ts';
import { caDeployments } from '../dogtag/deployment.ts';
import { instanceRemains } from '../dogtag/destroy.ts';
import { hasSystemDatabase, nssDatabase } from '../dogtag/nssdb.ts';
import { readOverride } from '../dogtag/override.ts';
import {
  formatVersion,
  parseCertmongerVersion,
  parseDirectoryVersion,
  requireSupported,
} from '../dogtag/version.ts';
import { PreflightError, refusal } from '../errors.ts';
import { readClock } from '../host/clock.ts';
import { addressesOf, freeBytes, memoryBytes, ownAddresses, portsInUse } from '../host/facts.ts';
import { absentPaths, pathExists, presentPaths } from '../host/files.ts';
import type { Host } from '../host/host.ts';
import { type Inspection, inspectToken } from '../hsm/inspect.ts';
import type { Check } from '../plan/step.ts';
import { REQUEST_FILE } from './external.ts';
import { kraPackageCheck, wrapsByOaep } from './key-recovery.ts';
import { SEALED_FILE } from './sealed.ts';
import {
  AGENT_PKCS12,
  CA_FILE,
  directoryOf,
  dogtagOf,
  JOURNALS,
  PKI_USER,
  requireRoot,
  type ServerRequest,
  type Site,
} from './site.ts';
import { caDeployment } from './steps/authority.ts';
import { CA_NICKNAME } from './steps/tracking.ts';

const GIB = 1024 ** 3;
/** A Tomcat with a CA holds 0.7 GB, the directory 0.1 GB; measured with Dogtag 10.10.2. */
const NEEDED_MEMORY = 1.5 * GIB;
/** Databases, indexes and logs of a new CA take 0.12 GB; a year of logs and certificates more. */
const NEEDED_DISK = 1 * GIB;
/** Where the databases and logs of the directory and of Dogtag grow. */
export const GROWING = ['/var/lib/dirsrv', '/var/lib/pki', '/var/log/dirsrv', '/var/log/pki'];
/** Tomcat's shutdown, AJP, HTTP and HTTPS (pkispawn's defaults). */
const CA_PORTS = [8005, 8009, 8080, 8443];
/** What a CA of Capstan's has beside its instance. */
const CA_FILES = [REQUEST_FILE, SEALED_FILE, AGENT_PKCS12, AGENT_CERTIFICATE, AGENT_KEY];

/** Everything that can be known before the first change of `server-install`. */
export function serverChecks(host: Host, request: ServerRequest): Check[] {
  return [
    ...hostChecks(host, request, () => checkConfiguration(request)),
    ...blankHostChecks(host, request),
    {
      id: 'token',
      title: `The token ${request.token.label} can take the keys`,
      run: async () => {
        const sealing = request.external?.keepSecrets ? request.keySize : undefined;
        return sentenceOfToken(await inspected(host, request, tokenNicknames(request.setupKra), sealing));
      },
    },
    ...(request.setupKra ? [kraPackageCheck(request)] : []),
  ];
}

/** That nothing is in the way of a server of any kind, its directory and its CA. */
export function blankHostChecks(host: Host, site: Pick<Site, 'realm' | 'domain' | 'hostname'>): Check[] {
  return [
    {
      id: 'ports',
      title: 'The ports of the directory and the CA are free',
      run: () => checkPorts([LDAP_PORT, LDAPS_PORT, ...CA_PORTS]),
    },
    { id: 'earlier', title: 'Nothing of an earlier installation is left', run: () => checkEarlier(site) },
    { id: 'tracking', title: 'certmonger tracks nothing of a CA yet', run: () => checkTracking(host) },
    { id: 'nssdb', title: 'NSS has a system database, or gets one', run: checkSystemDatabase },
  ];
}

/** That nothing is in the way of a CA on a host whose directory is there already. */
export function caHostChecks(host: Host): Check[] {
  return [
    { id: 'ports', title: 'The ports of the CA are free', run: () => checkPorts(CA_PORTS) },
    { id: 'earlier', title: 'Nothing of an earlier CA is left', run: () => checkRemains(CA_FILES) },
    { id: 'tracking', title: 'certmonger tracks nothing of a CA yet', run: () => checkTracking(host) },
  ];
}

/**
 * What must hold before the first change, and still before an installation goes on that stopped half way.
 * @param configuration refuses what pkispawn could not be given
 */
export function hostChecks(
  host: Host,
  site: Pick<Site, 'hostname'>,
  configuration: () => Promise<undefined>,
): Check[] {
  return [
    { id: 'root', title: 'Capstan runs as root', run: checkRoot },
    {
      id: 'system',
      title: 'The host has systemd and the programs that Capstan drives',
      run: () => checkPrograms(host),
    },
    {
      id: 'dogtag',
      title: 'Dogtag PKI is a supported release',
      run: async () => formatVersion((await dogtagOf()).version),
    },
    {
      id: 'directory',
      title: '389 Directory Server is a supported release',
      run: () => checkDirectoryVersion(host),
    },
    {
      id: 'certmonger',
      title: 'certmonger is a supported release and answers',
      run: () => checkCertmonger(host),
    },
    {
      id: 'hostname',
      title: `${site.hostname} is this host`,
      run: () => checkHostname(host, site.hostname),
    },
    { id: 'resources', title: 'Memory and disk suffice', run: checkResources },
    { id: 'clock', title: 'The clock is set', run: () => checkClock(host) },
    {
      id: 'configuration',
      title: 'The deployment configuration can be written',
      run: configuration,
    },
  ];
}

async function checkRoot(): Promise<undefined> {
  requireRoot('Capstan must run as root to install a server.');
}

async function checkPrograms(host: Host): Promise<undefined> {
  const missing: string[] = [];
  const programs = [
    'pkispawn',
    'pkidestroy',
    'pki',
    'dscreate',
    'dsconf',
    'dsctl',
    'ns-slapd',
    'certmonger',
    'certutil',
    'openssl',
  ];
  for (const program of programs) {
    const { exitCode } = await host.run('sh', ['-c', 'command -v "$1"', 'sh', program], {
      accept: [0, 1, 127],
    });
    if (exitCode !== 0) missing.push(program);
  }
  missing.push(...(await absentPaths(['/usr/share/pki/ca'])));
  if (missing.length > 0) {
    throw refusal(
      'programs-missing',
      `Not installed: ${missing.join(', ')}.`,
      'Install the packages of Dogtag (pki-ca), 389-ds (389-ds-base), certmonger and the NSS tools.',
    );
  }
  await access('/run/systemd/system').catch((error: unknown) => {
    throw refusal(
      'systemd-missing',
      'This host was not started by systemd.',
      'Dogtag and 389-ds need it.',
      error,
    );
  });
}

/**
 * The release of 389 Directory Server on this host.
 * @throws CapstanError `directory-unsupported`, `directory-version-unknown`, `command-missing`
 */
export async function checkDirectoryVersion(host: Host): Promise<string> {
  // ns-slapd -v of 1.4.4 prints its version and ends with 1.
  const { stdout, stderr } = await host.run('ns-slapd', ['-v'], { accept: [0, 1] });
  const version = parseDirectoryVersion(`${stdout}\n${stderr}`);
  requireSupported('directory', version);
  return formatVersion(version);
}

/**
 * The release of certmonger on this host.
 * @throws CapstanError `certmonger-unsupported`, `certmonger-version-unknown`, `command-missing`
 */
export async function checkCertmongerVersion(host: Host): Promise<string> {
  const { stdout, stderr } = await host.run('certmonger', ['-v'], { accept: [0, 1] });
  const version = parseCertmongerVersion(`${stdout}\n${stderr}`);
  requireSupported('certmonger', version);
  return formatVersion(version);
}

async function checkCertmonger(host: Host): Promise<string> {
  const version = await checkCertmongerVersion(host);
  await withCertmonger(host, trackingRequests);
  return version;
}

async function checkTracking(host: Host): Promise<undefined> {
  const ours = new Set(SYSTEM_CERTIFICATES.map(({ id }) => id));
  const { requests, ca } = await withCertmonger(host, async (certmonger) => ({
    requests: await trackingRequests(certmonger),
    ca: await findCa(certmonger, CA_NICKNAME),
  }));
  if (ca) {
    throw refusal(
      'tracking-exists',
      `certmonger has a CA named ${CA_NICKNAME} already.`,
      `Remove it with "getcert remove-ca -c ${CA_NICKNAME}".`,
    );
  }
  const strays = requests.filter(({ id, database }) => ours.has(id) || database === nssDatabase(INSTANCE));
  if (strays.length > 0) {
    throw refusal(
      'tracking-exists',
      `certmonger tracks certificates of ${INSTANCE} already: ${strays.map(({ id }) => id).join(', ')}.`,
      'Stop the tracking with "getcert stop-tracking -i ID".',
    );
  }
}

/** @throws CapstanError `hostname-unresolvable`, `hostname-elsewhere`, `hostname-loopback`, `resolver-failed` */
export async function checkHostname(host: Host, hostname: string): Promise<string> {
  const addresses = await addressesOf(host, hostname);
  if (addresses.length === 0) {
    throw refusal(
      'hostname-unresolvable',
      `The name ${hostname} does not resolve.`,
      'Add it to the DNS or to /etc/hosts, with the address of this host.',
    );
  }
  const own = ownAddresses();
  const foreign = addresses.filter((address) => !own.includes(address) && !isLoopback(address));
  if (foreign.length > 0) {
    throw refusal(
      'hostname-elsewhere',
      `The name ${hostname} resolves to ${foreign.join(', ')}, which is no address of this host.`,
      'Correct the DNS or /etc/hosts, or name this host with --hostname.',
    );
  }
  if (addresses.every(isLoopback)) {
    throw refusal(
      'hostname-loopback',
      `The name ${hostname} resolves only to ${addresses.join(', ')}; no other host could reach the CA.`,
      'Give it the address of a network interface in the DNS or in /etc/hosts.',
    );
  }
  return addresses.join(', ');
}

/** Debian's installer gives the host's own name the address 127.0.1.1, which no interface lists. */
function isLoopback(address: string): boolean {
  return address.startsWith('127.') || address === '::1';
}

async function checkPorts(ports: readonly number[]): Promise<undefined> {
  const used = await portsInUse(ports);
  if (used.length > 0) {
    throw refusal(
      'ports-in-use',
      `Something listens already on TCP ${used.join(', ')}.`,
      `See what it is with "ss -ltnp", and stop it.`,
    );
  }
}

async function checkEarlier(site: Pick<Site, 'realm' | 'domain' | 'hostname'>): Promise<undefined> {
  const instance = directoryOf(site);
  const directory = (await instanceExists(instance)) ? [`the directory instance ${instance.name}`] : [];
  await checkRemains([...JOURNALS, CA_FILE, ...CA_FILES], directory);
}

async function checkRemains(files: readonly string[], more: readonly string[] = []): Promise<undefined> {
  const found = [...more, ...(await instanceRemains(INSTANCE)), ...(await presentPaths(files))];
  if (found.length > 0) {
    throw refusal(
      'already-installed',
      `This host has a server or the remains of one: ${found.join(', ')}.`,
      'Remove it with "capstan uninstall"; what Capstan did not install, with "pkidestroy" and "dsctl INSTANCE remove".',
    );
  }
}

async function checkResources(): Promise<string> {
  const memory = memoryBytes();
  const full: string[] = [];
  for (const folder of GROWING) {
    const free = await freeBytes(await nearestFolder(folder));
    if (free < NEEDED_DISK) full.push(`${folder} (${gib(free)})`);
  }
  const failures = [
    ...(memory < NEEDED_MEMORY
      ? [
          refusal(
            'memory-too-small',
            `The host has ${gib(memory)} of memory; a CA needs ${gib(NEEDED_MEMORY)}.`,
            'Give it more memory.',
          ),
        ]
      : []),
    ...(full.length > 0
      ? [
          refusal(
            'disk-too-small',
            `Less than ${gib(NEEDED_DISK)} is free for ${full.join(', ')}.`,
            'Make room on these file systems.',
          ),
        ]
      : []),
  ];
  if (failures.length > 0) throw new PreflightError(failures);
  return `${gib(memory)} of memory, ${gib(NEEDED_DISK)} or more free for data and logs`;
}

/** The folder, or the nearest above it that exists. */
export async function nearestFolder(folder: string): Promise<string> {
  return (await pathExists(folder)) ? folder : nearestFolder(dirname(folder));
}

/** @throws CapstanError `clock-not-set` */
async function checkClock(host: Host): Promise<string> {
  const { now, beforeProgram, synchronised } = await readClock(host);
  if (beforeProgram) {
    throw refusal(
      'clock-not-set',
      `The clock says ${now.toISOString()}, which is before this version of Capstan was made.`,
      'Set the clock, best from a time server.',
    );
  }
  return `${now.toISOString()}, ${synchronised ? 'synchronised' : 'not synchronised with a time server'}`;
}

async function checkSystemDatabase(): Promise<string> {
  return (await hasSystemDatabase()) ? 'there' : 'will be made';
}

/** Refuses what pkispawn could not be given for a first server. */
export async function checkConfiguration(request: ServerRequest): Promise<undefined> {
  if (request.override) await readOverride(request.override);
  caDeployments(await caDeployment(request, request.secrets, '/run'), await dogtagOf());
}

/** Sizes of the keys that an override asks for; a faulty one is told by the check of the configuration. */
async function overriddenKeySizes({ override }: ServerRequest): Promise<number[]> {
  const entries = override ? await readOverride(override).catch(() => []) : [];
  return entries.filter(({ key }) => key.endsWith('_key_size')).map(({ value }) => Number(value));
}

/**
 * The token, found fit; see {@link inspectToken}.
 * @param nicknames what nothing on it may bear yet
 * @param sealing the size of the key that passwords are to be sealed with; none where they are not
 */
export async function inspected(
  host: Host,
  request: ServerRequest,
  nicknames: readonly string[],
  sealing?: number,
): Promise<Inspection> {
  return inspectToken(host, {
    libraryPath: request.token.libraryPath,
    label: request.token.label,
    pin: request.secrets.token,
    user: PKI_USER,
    keySizes: [2048, request.keySize, ...(await overriddenKeySizes(request))],
    nicknames,
    sealing,
    ...(request.setupKra && { wrapping: { oaep: await wrapsByOaep(request.token) } }),
  });
}

/** What is worth knowing of a token that was found fit. */
export async function sentenceOfToken({ token, freeSessions, warnings }: Inspection): Promise<string> {
  const rootWrites =
    /SoftHSM/i.test(token.manufacturer) && !(await dogtagOf()).toolsAsPkiuser
      ? ['this Dogtag writes to SoftHSM as root: its files must be readable for pkiuser all the same']
      : [];
  const facts = [
    `${token.manufacturer} ${token.model}`.trim(),
    `serial ${token.serial}`,
    `free sessions ${freeSessions.all}`,
  ];
  return [...facts, ...warnings, ...rootWrites].join(', ');
}

function gib(bytes: number): string {
  return `${(bytes / GIB).toFixed(1)} GiB`;
}
