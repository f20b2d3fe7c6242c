/** How each fact about the server's health is come by. */
import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { withCertmonger } from '../../certmonger/bus.ts';
import { findCa, trackingRequests } from '../../certmonger/tracking.ts';
import { verifyDirectoryCertificate } from '../../directory/certificate.ts';
import { needsFeedKeeper } from '../../directory/feed-keeper.ts';
import { agentCredentials } from '../../dogtag/agent.ts';
import {
  CA_CERTIFICATES,
  INSTANCE,
  KRA_CERTIFICATES,
  type SystemCertificate,
} from '../../dogtag/certificates.ts';
import { dogtagConfiguration } from '../../dogtag/configuration.ts';
import { moduleLibraries } from '../../dogtag/evidence.ts';
import { checkProfiles, checkSelfTests, checkSignature, checkStatus } from '../../dogtag/health.ts';
import { certificatePem, pinNames, trustFlags } from '../../dogtag/nssdb.ts';
import { requireDeployed } from '../../dogtag/subsystem.ts';
import { failure } from '../../errors.ts';
import { identityProblem } from '../../health/checks/directory.ts';
import type { Facts, NssFacts, ServerFacts } from '../../health/facts.ts';
import { readClock } from '../../host/clock.ts';
import { availableMemory } from '../../host/facts.ts';
import type { Host } from '../../host/host.ts';
import { isUnfinished, storyOf } from '../../plan/journal.ts';
import { version } from '../../version.ts';
import { checkHostname } from '../preflight.ts';
import { outdatedPins } from '../renewal/pins.ts';
import { placedCertificates } from '../renewal/record.ts';
import { crlProblem } from '../roles.ts';
import {
  CA_FILE,
  directoryOf,
  directorySubject,
  type InstalledServer,
  installedServer,
  type Site,
  tellingJournal,
} from '../site.ts';
import { CA_NICKNAME } from '../steps/tracking.ts';
import { clusterOf, readTopology } from '../topology.ts';
import { caData, directoryFacts } from './directory-look.ts';
import { blocked, type Readers, reader } from './gather.ts';
import { disks, fileStates, leftBehind, releases, unitStates } from './host-look.ts';
import { loggedIn, tokenFacts, tokenTrust } from './hsm-look.ts';
import { kraReaders } from './kra-look.ts';
import { knownDogtag, requireUp, type SiteOf, withCa } from './parts.ts';

/** The readers of one look at the server. */
export function healthReaders(): Readers {
  let installed: Promise<InstalledServer> | undefined;
  const known = () => {
    installed ??= installedServer();
    return installed;
  };
  const siteOf = async () => (await known()).site;
  return {
    ...hostReaders(known, siteOf),
    ...directoryReaders(siteOf),
    ...caReaders(siteOf),
    ...tokenReaders(),
    ...kraReaders(siteOf),
  };
}

function hostReaders(
  known: () => Promise<InstalledServer>,
  siteOf: SiteOf,
): Omit<
  Readers,
  | keyof ReturnType<typeof directoryReaders>
  | keyof ReturnType<typeof caReaders>
  | keyof ReturnType<typeof tokenReaders>
  | keyof ReturnType<typeof kraReaders>
> {
  return {
    server: reader({ needs: [], read: async () => serverFacts(await known()) }),
    whole: reader({ needs: ['server'], read: async (_, { server }) => requireWhole(server) }),
    room: reader({ needs: [], read: () => disks() }),
    memory: reader({ needs: [], read: () => availableMemory() }),
    clock: reader({ needs: [], read: readClock }),
    names: reader({ needs: ['server'], read: (host, { server }) => checkHostname(host, server.hostname) }),
    releases: reader({ needs: ['server'], read: (host, { server }) => releases(host, server.hasCa) }),
    units: reader({
      needs: ['server', 'whole'],
      read: async (host, { server }) => unitStates(host, await siteOf(), server.hasCa),
    }),
    feedKeeper: reader({ needs: ['whole'], read: needsFeedKeeper }),
    files: reader({
      needs: ['server', 'whole'],
      read: async (host, { server }) => fileStates(host, await siteOf(), server.hasCa),
    }),
    leftovers: reader({ needs: [], read: () => leftBehind() }),
    caFile: reader({ needs: ['whole'], read: readCaFile }),
    lifetimes: reader({
      needs: ['whole'],
      wants: ['configuration', 'agent', 'ldaps', 'caFile'],
      read: async (_, facts) => lifetimesOf(facts),
    }),
  };
}

function directoryReaders(siteOf: SiteOf): Pick<Readers, 'directory' | 'ldaps' | 'cluster' | 'caData'> {
  return {
    directory: reader({
      needs: ['server', 'units'],
      async read(host, { server, units }) {
        requireUp(units, 'directory');
        return directoryFacts(host, await siteOf(), server.hasCa);
      },
    }),
    ldaps: reader({
      needs: ['directory', 'caFile'],
      read: async (host, { caFile }) => verifyDirectoryCertificate(host, directoryOf(await siteOf()), caFile),
    }),
    cluster: reader({
      needs: ['server', 'directory', 'caFile'],
      async read(host, { server, directory }) {
        const isAlone = directory.servers.length <= 1 && directory.agreements.length === 0;
        if (isAlone)
          return { servers: [{ hostname: server.hostname, problem: undefined }], feeds: [], parts: [] };
        if (identityProblem(server, directory) !== undefined) throw blocked('identity-unknown');
        const hurried = inHaste(host);
        return readTopology(hurried, await clusterOf(hurried));
      },
    }),
    caData: reader({
      needs: ['server', 'directory', 'configuration', 'caFile'],
      async read(host, { configuration }) {
        const serials = configuration.certificates.flatMap(({ certificate }) => serialIn(certificate));
        return caData(host, await siteOf(), serials);
      },
    }),
  };
}

function caReaders(
  siteOf: SiteOf,
): Pick<
  Readers,
  | 'agent'
  | 'configuration'
  | 'crlProblem'
  | 'deployed'
  | 'selfTests'
  | 'caStatus'
  | 'caProfiles'
  | 'caSignature'
  | 'certmonger'
> {
  return {
    agent: withCa({ needs: [], read: async () => (await agentCredentials()).certificate }),
    configuration: withCa({ needs: [], read: () => dogtagConfiguration(INSTANCE) }),
    crlProblem: withCa({
      needs: ['directory', 'configuration'],
      async read(_, { server, directory, configuration }) {
        return crlProblem(server.hostname, directory.servers, configuration.crl)[0];
      },
    }),
    deployed: withCa({ needs: [], read: () => requireDeployed('CA') }),
    selfTests: withCa({ needs: [], read: () => checkSelfTests(INSTANCE) }),
    caStatus: withCa({
      needs: ['units', 'deployed'],
      async read(host, { server, units }) {
        requireUp(units, 'ca');
        return checkStatus(host, server.hostname, await knownDogtag());
      },
    }),
    caProfiles: withCa({
      needs: ['directory', 'caStatus'],
      read: async (host, { server }) => checkProfiles(host, server.hostname, (await knownDogtag()).restPath),
    }),
    caSignature: withCa({
      needs: ['directory', 'caStatus', 'caFile', 'hsm'],
      read: async (host, { caFile }) => checkSignature(host, (await siteOf()).hostname, caFile),
    }),
    certmonger: withCa({
      needs: ['units'],
      async read(host, { units }) {
        requireUp(units, 'certmonger');
        return withCertmonger(host, async (certmonger) => ({
          requests: await trackingRequests(certmonger),
          knowsCa: (await findCa(certmonger, CA_NICKNAME)) !== undefined,
          ...(await renewalFacts(await siteOf())),
        }));
      },
    }),
  };
}

function tokenReaders(): Pick<Readers, 'pins' | 'database' | 'hsm' | 'hsmLogin' | 'tokenTrust'> {
  return {
    pins: withCa({ needs: [], read: () => pinNames(INSTANCE) }),
    database: withCa({ needs: [], read: (host, { server }) => nssFacts(host, server) }),
    hsm: withCa({ needs: [], read: (host, { server }) => tokenFacts(host, server.token) }),
    hsmLogin: withCa({
      needs: ['hsm', 'pins', 'configuration', 'caFile'],
      read: (host, { server, hsm, pins, configuration, caFile }) => {
        if (!pins.includes(`hardware-${server.token.label}`)) throw blocked('hsm-pin-missing');
        if (mayNotTry(hsm.token)) throw blocked('hsm-pin-tries');
        return loggedIn(host, server, configuration, caFile);
      },
    }),
    tokenTrust: withCa({
      needs: ['hsmLogin', 'database'],
      async read(host, { server: { token }, database }) {
        if (!database.libraries.includes(token.libraryPath)) throw blocked('module-missing');
        return tokenTrust(host, token.label);
      },
    }),
  };
}

/** The host with half of the time for servers that are silent: the others are asked a second time after them. */
function inHaste(host: Host): Host {
  const { cluster, health } = host.deadlines;
  return { ...host, deadlines: { ...host.deadlines, cluster: Math.min(cluster, health / 2) } };
}

function serverFacts(installed: InstalledServer): ServerFacts {
  const { site, hasCa, hasKra, journal } = installed;
  const telling = tellingJournal(installed);
  const { name, suffix } = directoryOf(site);
  return {
    ...{
      hostname: site.hostname,
      realm: site.realm,
      suffix,
      instance: name,
      hasCa,
      hasKra,
      token: site.token,
    },
    subject: directorySubject(site),
    joined: site.supplier !== undefined,
    certificates: [...(hasCa ? CA_CERTIFICATES : []), ...(hasKra ? KRA_CERTIFICATES : [])],
    unfinished: isUnfinished(telling) ? storyOf(telling.journal) : undefined,
    flow: telling.journal.flow,
    capstan: { journal: journal.journal.capstan, now: version() },
  };
}

function requireWhole({ unfinished, flow }: ServerFacts): true {
  if (unfinished === undefined) return true;
  throw failure(
    'unfinished-run',
    `A run of "capstan ${flow}" did not come to its end. ${unfinished}.`,
    `Go on with "capstan ${flow} --resume", or take everything back with "capstan ${flow} --undo".`,
  );
}

async function readCaFile(): Promise<string> {
  const text = await readFile(CA_FILE, 'utf8');
  return new X509Certificate(text).toString();
}

function mayNotTry(token: Facts['hsm']['token']): boolean {
  const { pinCountLow, pinFinalTry, pinLocked, pinToBeChanged, userPinInitialised } = token;
  return pinCountLow || pinFinalTry || pinLocked || pinToBeChanged || !userPinInitialised;
}

/** Whether the internal token holds a certificate: for its key, or for its trust. */
function isInDatabase({ token, trust }: SystemCertificate): boolean {
  return token === 'internal' || trust !== undefined;
}

async function nssFacts(host: Host, { certificates: all }: ServerFacts): Promise<NssFacts> {
  const [trust, libraries, certificates] = await Promise.all([
    trustFlags(host, INSTANCE),
    moduleLibraries(INSTANCE),
    Promise.all(
      all.filter(isInDatabase).map(async ({ nickname }) => {
        const pem = await certificatePem(host, INSTANCE, nickname).catch(() => '');
        return [nickname, pem === '' ? '' : new X509Certificate(pem).raw.toString('base64')] as const;
      }),
    ),
  ]);
  return { trust, libraries, certificates: Object.fromEntries(certificates.filter(([, der]) => der !== '')) };
}

/** What this host keeps beside certmonger about its renewals. */
async function renewalFacts(site: Site): Promise<Pick<Facts['certmonger'], 'otherPins' | 'placed'>> {
  const [outdated, placed] = await Promise.all([outdatedPins(site), placedCertificates()]);
  return {
    otherPins: outdated.map(({ id }) => id),
    placed: Object.fromEntries(Object.entries(placed).map(([id, { serial }]) => [id, serial])),
  };
}

function serialIn(der: string): string[] {
  try {
    return [BigInt(`0x${new X509Certificate(Buffer.from(der, 'base64')).serialNumber}`).toString()];
  } catch {
    return [];
  }
}

function lifetimesOf({
  configuration,
  agent,
  ldaps,
  caFile,
}: Partial<Pick<Facts, 'configuration' | 'agent' | 'ldaps' | 'caFile'>>): Facts['lifetimes'] {
  const ending = (name: string, certificate: string | Buffer) => {
    try {
      return [{ name, expires: new X509Certificate(certificate).validToDate }];
    } catch {
      return [];
    }
  };
  const configured = configuration?.certificates ?? [];
  return [
    ...configured.flatMap(({ nickname, certificate }) =>
      ending(nickname, Buffer.from(certificate, 'base64')),
    ),
    ...(configured.length === 0 && caFile ? ending('CA certificate', caFile) : []),
    ...(agent ? ending('agent certificate', agent) : []),
    ...(ldaps ? [{ name: 'directory certificate', expires: ldaps }] : []),
  ];
}
