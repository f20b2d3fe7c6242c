import { access, stat } from 'node:fs/promises';
import { withCertmonger } from '../certmonger/bus.ts';
import { trackingRequests } from '../certmonger/tracking.ts';
import { instanceExists, LDAP_PORT, LDAPS_PORT } from '../directory/instance.ts';
import { CA_CERTIFICATES, CA_TOKEN_NICKNAMES, INSTANCE } from '../dogtag/certificates.ts';
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
import { addressesOf, freeBytes, memoryBytes, ownAddresses, portsInUse } from '../host/facts.ts';
import { pathExists } from '../host/files.ts';
import type { Host } from '../host/host.ts';
import { inspectToken } from '../hsm/inspect.ts';
import type { Check } from '../plan/step.ts';
import {
  AGENT_PKCS12,
  directoryOf,
  dogtagOf,
  JOURNAL,
  MODULE_DEADLINE,
  PKI_USER,
  type ServerRequest,
} from './site.ts';
import { caDeployment } from './steps/authority.ts';

const GIB = 1024 ** 3;
/** A Tomcat with a CA holds 0.7 GB, the directory 0.1 GB; measured with Dogtag 10.10.2. */
const NEEDED_MEMORY = 1.5 * GIB;
/** Databases, indexes and logs of a new CA take 0.12 GB; a year of logs and certificates more. */
const NEEDED_DISK = 1 * GIB;
/** LDAP, LDAPS, and Tomcat's shutdown, AJP, HTTP and HTTPS (pkispawn's defaults). */
const PORTS = [LDAP_PORT, LDAPS_PORT, 8005, 8009, 8080, 8443];

/** Everything that can be known before the first change of `server-install`. */
export function serverChecks(host: Host, request: ServerRequest): Check[] {
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
    { id: 'hostname', title: `${request.hostname} is this host`, run: () => checkHostname(request.hostname) },
    { id: 'ports', title: 'The ports of the directory and the CA are free', run: checkPorts },
    { id: 'earlier', title: 'Nothing of an earlier installation is left', run: () => checkEarlier(request) },
    { id: 'resources', title: 'Memory and disk suffice', run: checkResources },
    { id: 'clock', title: 'The clock is set', run: checkClock },
    { id: 'nssdb', title: 'NSS has a system database, or gets one', run: checkSystemDatabase },
    {
      id: 'configuration',
      title: 'The deployment configuration can be written',
      run: () => checkConfiguration(request),
    },
    {
      id: 'token',
      title: `The token ${request.token.label} can take the keys`,
      run: () => checkToken(host, request),
    },
  ];
}

async function checkRoot(): Promise<undefined> {
  if (process.getuid?.() !== 0) {
    throw refusal('not-root', 'Capstan must run as root to install a server.', 'Run the command with sudo.');
  }
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

async function checkDirectoryVersion(host: Host): Promise<string> {
  // ns-slapd -v of 1.4.4 prints its version and ends with 1.
  const { stdout, stderr } = await host.run('ns-slapd', ['-v'], { accept: [0, 1] });
  const version = parseDirectoryVersion(`${stdout}\n${stderr}`);
  requireSupported('directory', version);
  return formatVersion(version);
}

async function checkCertmonger(host: Host): Promise<string> {
  const { stdout, stderr } = await host.run('certmonger', ['-v'], { accept: [0, 1] });
  const version = parseCertmongerVersion(`${stdout}\n${stderr}`);
  requireSupported('certmonger', version);
  const ours = new Set(CA_CERTIFICATES.map(({ id }) => id));
  const requests = await withCertmonger(trackingRequests, 30);
  const strays = requests.filter(({ id, database }) => ours.has(id) || database === nssDatabase(INSTANCE));
  if (strays.length > 0) {
    throw refusal(
      'tracking-exists',
      `certmonger tracks certificates of ${INSTANCE} already: ${strays.map(({ id }) => id).join(', ')}.`,
      'Stop the tracking with "getcert stop-tracking -i ID".',
    );
  }
  return formatVersion(version);
}

async function checkHostname(hostname: string): Promise<string> {
  const addresses = await addressesOf(hostname);
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

async function checkPorts(): Promise<undefined> {
  const used = await portsInUse(PORTS);
  if (used.length > 0) {
    throw refusal(
      'ports-in-use',
      `Something listens already on TCP ${used.join(', ')}.`,
      `See what it is with "ss -ltnp", and stop it.`,
    );
  }
}

async function checkEarlier(request: ServerRequest): Promise<undefined> {
  const instance = directoryOf(request);
  const found = [
    ...((await pathExists(JOURNAL)) ? [JOURNAL] : []),
    ...((await instanceExists(instance)) ? [`the directory instance ${instance.name}`] : []),
    ...(await instanceRemains(INSTANCE)),
    ...((await pathExists(AGENT_PKCS12)) ? [AGENT_PKCS12] : []),
  ];
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
  const disk = await freeBytes('/var');
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
    ...(disk < NEEDED_DISK
      ? [
          refusal(
            'disk-too-small',
            `/var has ${gib(disk)} free; a CA needs ${gib(NEEDED_DISK)}.`,
            'Make room on the file system of /var.',
          ),
        ]
      : []),
  ];
  if (failures.length > 0) throw new PreflightError(failures);
  return `${gib(memory)} of memory, ${gib(disk)} free in /var`;
}

/** A clock before the birth of this very program is wrong, and every certificate would be too. */
async function checkClock(): Promise<string> {
  const { mtime } = await stat(new URL(import.meta.url));
  const now = new Date();
  if (now < mtime && now.getUTCFullYear() < mtime.getUTCFullYear()) {
    throw refusal(
      'clock-not-set',
      `The clock says ${now.toISOString()}, which is before this version of Capstan was made.`,
      'Set the clock, best from a time server.',
    );
  }
  return now.toISOString();
}

async function checkSystemDatabase(): Promise<string> {
  return (await hasSystemDatabase()) ? 'there' : 'will be made';
}

async function checkConfiguration(request: ServerRequest): Promise<undefined> {
  if (request.override) await readOverride(request.override);
  caDeployments(await caDeployment(request, request.secrets, '/run'), await dogtagOf());
}

async function checkToken(host: Host, request: ServerRequest): Promise<string> {
  const { token, freeSessions, warnings } = await inspectToken(host, {
    libraryPath: request.token.libraryPath,
    label: request.token.label,
    pin: request.secrets.token,
    user: PKI_USER,
    deadline: request.token.deadline ?? MODULE_DEADLINE,
    keySizes: [2048, request.keySize],
    nicknames: CA_TOKEN_NICKNAMES,
  });
  const facts = [
    `${token.manufacturer} ${token.model}`.trim(),
    `serial ${token.serial}`,
    `free sessions ${freeSessions.all}`,
  ];
  return [...facts, ...warnings].join(', ');
}

function gib(bytes: number): string {
  return `${(bytes / GIB).toFixed(1)} GiB`;
}
