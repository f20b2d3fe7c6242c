import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { withCertmonger } from '../certmonger/bus.ts';
import { isOnToken, MONITORING, type TrackingRequest, trackingRequests } from '../certmonger/tracking.ts';
import { verifyDirectoryCertificate } from '../directory/certificate.ts';
import { withLocalDirectory } from '../directory/client.ts';
import { serversWith } from '../directory/masters.ts';
import { formatHsmRecord, type HsmRecord, readHsmRecord } from '../directory/record.ts';
import { agentCredentials } from '../dogtag/agent.ts';
import { CA_CERTIFICATES, KRA_CERTIFICATES, type SystemCertificate } from '../dogtag/certificates.ts';
import { checkProfiles, checkSignature, checkStatus } from '../dogtag/health.ts';
import { failure, sentenceOf } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { isActive, isEnabled } from '../host/services.ts';
import { endsEarly, externalLifetimes } from '../names/external-chain.ts';
import { isUnfinished, type JournalFile, storyOf } from '../plan/journal.ts';
import { connectorComplaint, connectorProblems } from './connectors.ts';
import { REQUEST_FILE, type RequestFacts, requestOf, waitingSteps } from './external.ts';
import { checkRecovery } from './key-recovery.ts';
import { acceptedChain } from './renewal/accepted.ts';
import { isInPlace, type Placed, placedCertificates } from './renewal/record.ts';
import { isBeingRepaired } from './repair/journal.ts';
import { readRoles } from './roles.ts';
import { CA_FILE, directoryOf, dogtagOf, installedServer, type Site, tellingJournal } from './site.ts';
import { tokenAnswers } from './token-look.ts';
import { serverUnits } from './units.ts';

/** One thing that was looked at. */
export interface Finding {
  /** What kind of thing: `service`, `token`, `ca`, `kra`, `directory`, `certificate`, `record`. */
  area: 'service' | 'token' | 'ca' | 'kra' | 'directory' | 'certificate' | 'record';
  name: string;
  well: boolean;
  /** What was found, or what is wrong. */
  detail: string;
}

/** A system certificate as certmonger sees it. */
export interface CertificateFinding extends Finding {
  token: string;
  serial: string;
  expires: string | undefined;
  /** When it was renewed last; undefined for one that came with the installation. */
  renewed: string | undefined;
}

/** How the server on this host is. */
export interface Status {
  hostname: string;
  realm: string;
  well: boolean;
  findings: (Finding | CertificateFinding)[];
  /** What to do about what is unwell, as instructions to a person. */
  next: string[];
}

/** Days before its expiry from which on a certificate counts as unwell: certmonger renews 28 days before. */
const EXPIRY_DAYS = 21;
/** What the finding of a CA is called that another authority has signed. */
const ABOVE_NAME = 'external CA';
/** What a CA needs that another authority has signed; nothing renews it by itself. */
const RENEW_CA =
  'Make a request for another certificate of the CA with "capstan ca-renew --external-ca", or have the CA sign itself with "capstan ca-renew --self-signed".';

/**
 * Looks at everything that makes the server on this host, and changes nothing.
 * @throws CapstanError `not-installed`
 */
export async function serverStatus(host: Host): Promise<Status> {
  const server = await installedServer();
  const { site, hasCa, hasKra } = server;
  const journal = tellingJournal(server);
  const request = journal.journal.waiting === undefined ? undefined : requestOf(journal);
  if (request) return waitingStatus(host, site, journal, request);
  const found = await Promise.all([
    installation(journal),
    stoppedRepair(),
    services(host, site, hasCa),
    directory(host, site),
    ...(hasCa
      ? [token(host, site), agentCertificate(), authority(host, site), certificates(host, site, hasKra)]
      : [askedCertificate(host, site)]),
    ...(hasKra ? [keyRecovery(host, site)] : []),
    ...(hasCa ? [connector(host, site)] : []),
  ]);
  const findings = found.flat();
  const well = findings.every((finding) => finding.well);
  return { hostname: site.hostname, realm: site.realm, well, findings, next: nextSteps(journal, findings) };
}

/** Of a server that waits for the certificate of its CA there is nothing else yet that should run. */
async function waitingStatus(
  host: Host,
  site: Site,
  { journal }: JournalFile,
  request: RequestFacts,
): Promise<Status> {
  const found = await Promise.all([
    [
      {
        area: 'service',
        name: 'installation',
        well: false,
        detail: `waits for the certificate of its CA since ${journal.waiting}`,
      } as const,
      {
        area: 'ca',
        name: 'request',
        well: true,
        detail: `${REQUEST_FILE}, sha256:${request.fingerprint}`,
      } as const,
    ],
    token(host, site),
  ]);
  return {
    ...{ hostname: site.hostname, realm: site.realm, well: false, findings: found.flat() },
    next: waitingSteps(request),
  };
}

/** What brings back what is down. A token that is away comes first: no restart helps while it is. */
function nextSteps(journal: JournalFile, findings: readonly Finding[]): string[] {
  const isUnwell = (...areas: Finding['area'][]) =>
    findings.some(({ area, well }) => !well && areas.includes(area));
  const { flow } = journal.journal;
  if (isUnfinished(journal))
    return [`Go on with "capstan ${flow} --resume", or take everything back with "capstan ${flow} --undo".`];
  if (findings.some(needsRepair))
    return ['"capstan repair" gets the server back, with new certificates for the keys that it has.'];
  const restart = '"capstan restart" brings back what is down; it looks at the HSM first.';
  return [
    ...(isUnwell('token') ? ['Bring the HSM back, or the way to it.'] : []),
    ...(isUnwell('service', 'ca', 'kra', 'directory') ? [restart] : []),
    ...(findings.some((one) => !one.well && one.name === ABOVE_NAME) ? [RENEW_CA] : []),
    ...(findings.some((one) => !one.well && one.area === 'certificate' && one.name !== ABOVE_NAME)
      ? ['"capstan renew" renews what is due, and puts in place what certmonger has renewed.']
      : []),
  ];
}

/** Whether a certificate has expired, or a repair stopped half way. */
function needsRepair(finding: Finding): boolean {
  const { expires } = finding as Partial<CertificateFinding>;
  return finding.name === 'repair' || (expires !== undefined && new Date(expires) < new Date());
}

/**
 * The HSM record of the domain that this host serves.
 * @throws CapstanError `not-installed`, `hsm-record-missing`, `hsm-record-malformed`, `directory-unreachable`
 */
export async function hsmConfiguration(host: Host): Promise<HsmRecord> {
  const { site } = await installedServer();
  const instance = directoryOf(site);
  const record = await withLocalDirectory(host, instance, (directory) =>
    readHsmRecord(directory, instance.suffix),
  );
  if (record) return record;
  throw failure(
    'hsm-record-missing',
    `The directory of ${site.domain} has no HSM record: its CA keeps its keys elsewhere.`,
  );
}

/** Nothing where no repair stopped half way. */
async function stoppedRepair(): Promise<Finding[]> {
  if (!(await isBeingRepaired())) return [];
  const detail = 'stopped half way: Dogtag may have settings for its time only';
  return [{ area: 'service', name: 'repair', well: false, detail }];
}

async function installation(journal: JournalFile): Promise<Finding[]> {
  const { finished, removing } = journal.journal;
  const state = removing ? 'is being removed' : 'did not come to its end';
  const unfinished = isUnfinished(journal);
  const detail = unfinished ? `${state}. ${storyOf(journal.journal)}` : `finished ${finished}`;
  return [{ area: 'service', name: 'installation', well: !unfinished, detail }];
}

/** Whether the token is there. Without a login: the PIN is not for looking around. */
async function token(host: Host, site: Site): Promise<Finding[]> {
  const look = async () => {
    await tokenAnswers(host, site.token);
    return `answers through ${site.token.libraryPath}`;
  };
  return [await finding('token', `token ${site.token.label}`, look)];
}

async function services(host: Host, site: Site, hasCa: boolean): Promise<Finding[]> {
  const units = await serverUnits(site, hasCa);
  return Promise.all(
    units.map(async ({ unit, bootUnit }) => {
      const [active, enabled] = await Promise.all([isActive(host, unit), isEnabled(host, bootUnit)]);
      const detail = `${active ? 'active' : 'not active'}, ${enabled ? 'starts at boot' : 'does not start at boot'}`;
      return { area: 'service', name: unit, well: active && enabled, detail } as const;
    }),
  );
}

async function directory(host: Host, site: Site): Promise<Finding[]> {
  const instance = directoryOf(site);
  return Promise.all([
    finding('record', 'HSM record', async () => {
      const record = await hsmConfiguration(host);
      const { label, libraryPath } = site.token;
      const used = formatHsmRecord({ tokenName: label, libraryPath });
      const recorded = formatHsmRecord(record);
      if (recorded === used) return recorded;
      // Another path is a replica's right: it may reach the same token by another library.
      if (record.tokenName === label && site.supplier !== undefined)
        return `${recorded}, on this host ${libraryPath}`;
      throw new Error(`the directory says ${recorded}, this server was installed with ${used}`);
    }),
    finding('directory', 'LDAPS', async () => {
      const expires = await verifyDirectoryCertificate(host, instance, await readFile(CA_FILE, 'utf8'));
      return `serves ${instance.suffix}, its certificate verifies and ${lasting(expires)}`;
    }),
  ]);
}

/** Whether a server without a CA waits for another certificate of its directory; nothing where it does not. */
async function askedCertificate(host: Host, site: Site): Promise<Finding[]> {
  // What makes and reads requests takes time to load, and only such a server needs it.
  const { requestStanding } = await import('./renewal/without-ca.ts');
  const told = await finding(
    'certificate',
    'directory certificate',
    async () => (await requestStanding(host, site)) ?? '',
  );
  return told.detail === '' ? [] : [told];
}

async function agentCertificate(): Promise<Finding[]> {
  return [
    await finding('certificate', 'agent certificate', async () =>
      lasting(new Date(new X509Certificate((await agentCredentials()).certificate).validTo)),
    ),
  ];
}

async function authority(host: Host, site: Site): Promise<Finding[]> {
  const { hostname } = site;
  return Promise.all([
    finding('ca', 'CA status', async () => checkStatus(host, hostname, await dogtagOf())),
    finding('ca', 'CA profiles', async () => checkProfiles(host, hostname, (await dogtagOf()).restPath)),
    finding('ca', 'CA signature', async () =>
      checkSignature(host, hostname, await readFile(CA_FILE, 'utf8')),
    ),
    finding('record', 'CRL generation', () => crlGenerationFound(host)),
  ]);
}

async function keyRecovery(host: Host, site: Site): Promise<Finding[]> {
  return Promise.all([
    finding('kra', 'KRA status', async () => checkStatus(host, site.hostname, await dogtagOf(), 'KRA')),
    finding('kra', 'KRA recovery', () => checkRecovery(host, site)),
  ]);
}

/** Whether the CA knows every KRA of the cluster, and no other; nothing where there is none, or where nobody can be asked. */
async function connector(host: Host, site: Site): Promise<Finding[]> {
  const problems = await connectorProblems(host, site).catch(() => undefined);
  const { servers } = await readRoles(host).catch(() => ({ servers: [] }));
  const kras = serversWith(servers, 'KRA');
  const complaint = problems && connectorComplaint(problems);
  if (!problems || (kras.length === 0 && complaint === undefined)) return [];
  const detail = `the CA of ${site.hostname} ${complaint ?? `sends keys to ${kras.join(', ')}`}`;
  return [{ area: 'kra', name: 'KRA connector', well: complaint === undefined, detail }];
}

/** @throws Error where the CA does other than what is recorded: two servers would generate CRLs, or none */
async function crlGenerationFound(host: Host): Promise<string> {
  const { crlHere, problems } = await readRoles(host);
  const [problem] = problems.filter(({ next }) => next.includes('role move crl'));
  if (problem) throw new Error(`${problem.message} ${problem.next}`);
  return `${crlHere === 'off' ? 'off' : 'on'}, as recorded`;
}

async function certificates(host: Host, site: Site, hasKra: boolean): Promise<Finding[]> {
  let requests: TrackingRequest[];
  try {
    requests = await withCertmonger(host, trackingRequests);
  } catch (error) {
    return [{ area: 'certificate', name: 'certmonger', well: false, detail: sentenceOf(error) }];
  }
  const placed = await placedCertificates();
  const [accepted] = await acceptedChain();
  const told = [...CA_CERTIFICATES, ...(hasKra ? KRA_CERTIFICATES : [])].map((certificate) =>
    certificateFinding(
      site,
      certificate,
      requests.find(({ id }) => id === certificate.id),
      placed[certificate.id],
    ),
  );
  return [...told, ...(await externalAuthority(accepted !== undefined))];
}

/** How long the certificates last that another authority makes; nothing where the CA signs itself. */
async function externalAuthority(isOnItsWay: boolean): Promise<Finding[]> {
  if (isOnItsWay) {
    const detail = 'a new certificate of the CA was accepted, and is not in place';
    return [{ area: 'certificate', name: 'new CA certificate', well: false, detail }];
  }
  const base = { area: 'certificate', name: ABOVE_NAME } as const;
  const chain = await readFile(CA_FILE, 'utf8').catch(() => '');
  const lasting = externalLifetimes(chain);
  const ending = lasting.find((one) => endsEarly(one));
  if (lasting.length === 0) return [];
  if (!ending) return [{ ...base, well: true, detail: `signed by ${lasting[0]?.issuer}` }];
  return [
    {
      ...base,
      well: false,
      detail: `the certificate of ${ending.subject} ends on ${ending.to.toISOString().slice(0, 10)}, and only ${ending.issuer} can renew it`,
    },
  ];
}

function certificateFinding(
  site: Site,
  { nickname, token: where }: SystemCertificate,
  request: TrackingRequest | undefined,
  placed: Placed | undefined,
): Finding | CertificateFinding {
  const token = where === 'hsm' ? site.token.label : undefined;
  const base = { area: 'certificate', name: nickname } as const;
  if (!request) return { ...base, well: false, detail: 'not tracked by certmonger' };
  const problems = [
    ...(request.status === MONITORING ? [] : [`tracking is ${request.status}`]),
    ...(request.caError ? [`last renewal failed: ${request.caError}`] : []),
    ...(isOnToken(request.keyToken, token) && isOnToken(request.certToken, token)
      ? []
      : [`tracked on the token ${request.keyToken ?? 'internal'}`]),
    ...(daysLeft(request.expires) < EXPIRY_DAYS ? [`expires in ${daysLeft(request.expires)} days`] : []),
    ...(placed && !isInPlace(placed, request) ? ['renewed, but not in place everywhere'] : []),
  ];
  return {
    ...base,
    well: problems.length === 0,
    detail: problems.length === 0 ? 'tracked' : problems.join('; '),
    token: token ?? 'internal',
    serial: request.serial,
    expires: request.expires?.toISOString(),
    renewed: placed?.renewed,
  };
}

/** When a certificate that certmonger does not watch expires. @throws Error when that is soon */
function lasting(expires: Date): string {
  const days = daysLeft(expires);
  if (days < EXPIRY_DAYS) throw new Error(`the certificate expires in ${days} days and was not renewed`);
  return `expires ${expires.toISOString().slice(0, 10)}`;
}

function daysLeft(expires: Date | undefined): number {
  return expires ? Math.floor((expires.getTime() - Date.now()) / 86_400_000) : 0;
}

async function finding(area: Finding['area'], name: string, look: () => Promise<string>): Promise<Finding> {
  try {
    return { area, name, well: true, detail: await look() };
  } catch (error) {
    return { area, name, well: false, detail: sentenceOf(error) };
  }
}
