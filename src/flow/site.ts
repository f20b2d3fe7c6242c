import { readFile } from 'node:fs/promises';
import { type DirectoryInstance, instanceName } from '../directory/instance.ts';
import { INSTANCE } from '../dogtag/certificates.ts';
import { caChain } from '../dogtag/external-chain.ts';
import { type DogtagProfile, dogtagProfile, parseDogtagVersion } from '../dogtag/version.ts';
import { failure, refusal } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { suffixOf } from '../names/domain.ts';
import type { ExternalType } from '../names/template.ts';
import {
  isUnfinished,
  type JournalEntry,
  type JournalFile,
  readJournal,
  unreadable,
} from '../plan/journal.ts';
import type { Secret } from '../secret/secret.ts';

/** A flow that installs, as its journal and the command line name it. */
export type FlowName = 'server-install' | 'replica-install' | 'ca-add' | 'kra-add';

/** Where the journal of this host's server lies, the first of a cluster or a replica. */
export const SERVER_JOURNAL = '/var/lib/capstan/server.json';
/** Where the journals of what was added to a server lie, the first that can be added first. */
const ADDED_JOURNALS = {
  'ca-add': '/var/lib/capstan/ca.json',
  'kra-add': '/var/lib/capstan/kra.json',
} as const;

/** All journals, in the order in which they can come to be. */
export const JOURNALS: readonly string[] = [SERVER_JOURNAL, ...Object.values(ADDED_JOURNALS)];

/** Where a flow keeps its journal. */
export function journalOf(flow: FlowName): string {
  return flow in ADDED_JOURNALS ? ADDED_JOURNALS[flow as keyof typeof ADDED_JOURNALS] : SERVER_JOURNAL;
}

/** Where the CA certificate lies for everything on this host. */
export const CA_FILE = '/etc/capstan/ca.crt';
/** The agent's key and certificate for the administrator's browser, under the administrator's password. */
export const AGENT_PKCS12 = '/root/ca-agent.p12';
/** The account that Dogtag's Tomcat runs as. */
export const PKI_USER = 'pkiuser';

/** Which token, and the library that reaches it. */
export interface TokenChoice {
  label: string;
  libraryPath: string;
  /** The library of the HSM record, where this host reaches the token by another one. */
  recordedLibraryPath?: string;
}

/** Which authority signs the CA. */
export interface ExternalCa {
  type: ExternalType;
  /** Microsoft's template: its name, or its object identifier and version. */
  profile?: string;
  /** Whether the token seals the passwords, so that the second stage needs none but its PIN. */
  keepSecrets?: true;
}

/** The names of a server; what its journal keeps. */
export interface Site {
  realm: string;
  domain: string;
  hostname: string;
  caSubject: string;
  subjectBase: string;
  keySize: 2048 | 3072 | 4096;
  token: TokenChoice;
  /** The administrator's override of pkispawn parameters, an absolute path. */
  override?: string;
  /** The authority that signs the CA; undefined for a CA that signs itself. */
  external?: ExternalCa;
  /** The server that this one joined; undefined for the first of a cluster. */
  supplier?: string;
  /** Whether it gets a KRA in the same run. */
  setupKra?: boolean;
  /** The server whose KRA is cloned; undefined for the first KRA of a cluster. */
  kraMaster?: string;
}

/** A server that joined another one. */
export interface JoinedSite extends Site {
  supplier: string;
}

/** The secrets of a server: Directory Manager, administrator of the CA, user PIN of the token. */
export interface ServerSecrets {
  ds: Secret;
  admin: Secret;
  token: Secret;
}

/** What `server-install` was asked for. */
export interface ServerRequest extends Site {
  secrets: ServerSecrets;
  /** Files with the certificate of an externally signed CA and those above it, absolute paths: the second stage. */
  certificateFiles?: readonly string[];
}

/** What a flow built and what comes next, for a person. */
export interface Report {
  title: string;
  facts: { name: string; value: string }[];
  next: string[];
}

/** What is told where only the checks were made, and the steps shown. */
export const DRY_RUN: Report = {
  title: 'All checks passed; nothing was changed.',
  facts: [],
  next: ['Run the same command without --dry-run: it takes the steps shown above.'],
};

/** A token of which the HSM record may name another library than this host has for it. */
export function recordedToken(
  { label, libraryPath }: TokenChoice,
  record: { libraryPath: string },
): TokenChoice {
  const differs = record.libraryPath !== libraryPath;
  return { label, libraryPath, ...(differs && { recordedLibraryPath: record.libraryPath }) };
}

/** The directory instance of a site. */
export function directoryOf(site: Pick<Site, 'realm' | 'domain' | 'hostname'>): DirectoryInstance {
  return { name: instanceName(site.realm), hostname: site.hostname, suffix: suffixOf(site.domain) };
}

/** The subject of the TLS certificate of a server's directory, by which its peers know it. */
export function directorySubject(site: Pick<Site, 'hostname' | 'subjectBase'>): string {
  return `CN=${site.hostname},${site.subjectBase}`;
}

/** The site without its secrets, for the journal. */
export function siteFacts(site: Site): Site {
  const { realm, domain, hostname, caSubject, subjectBase, keySize, token } = site;
  const { override, supplier, setupKra, kraMaster, external } = site;
  return {
    ...{ realm, domain, hostname, caSubject, subjectBase, keySize, token },
    ...(override !== undefined && { override }),
    ...(external !== undefined && { external }),
    ...(supplier !== undefined && { supplier }),
    ...(setupKra && { setupKra }),
    ...(kraMaster !== undefined && { kraMaster }),
  };
}

/** An installation as its journal tells of it. */
export interface Installed {
  journal: JournalFile;
  site: Site;
}

/**
 * The installation on this host that did not come to its end, or whose removal did not, the latest first; undefined
 * where there is none.
 * @throws CapstanError `journal-unreadable`
 */
export async function unfinishedFlow(): Promise<Installed | undefined> {
  for (const path of JOURNALS.toReversed()) {
    const journal = await readJournal(path);
    if (journal && isUnfinished(journal)) return { journal, site: siteOf(journal) };
  }
  return undefined;
}

/** Refuses everybody but root. @param why the sentence of the refusal @throws CapstanError `not-root` */
export function requireRoot(why: string): void {
  if (process.getuid?.() !== 0) throw refusal('not-root', why, 'Run the command with sudo.');
}

/** The server on this host: how it was installed, and what was added to it since. */
export interface InstalledServer extends Installed {
  added: Installed[];
  /** Whether it has a CA, or has begun to get one. */
  hasCa: boolean;
  /** The same of a KRA. */
  hasKra: boolean;
}

/**
 * The server on this host, whose journals only root may read.
 * @throws CapstanError `not-root`, `not-installed`, `journal-unreadable`
 */
export async function installedServer(): Promise<InstalledServer> {
  requireRoot('Only root can look into the server of this host.');
  const journal = await readJournal(SERVER_JOURNAL);
  if (!journal) {
    throw failure(
      'not-installed',
      `There is no server of Capstan on this host: ${SERVER_JOURNAL} does not exist.`,
      'Install one with "capstan server-install", or one that joins others with "capstan replica-install".',
    );
  }
  const added: Installed[] = [];
  for (const path of Object.values(ADDED_JOURNALS)) {
    const one = await readJournal(path);
    if (one) added.push({ journal: one, site: siteOf(one) });
  }
  const journals = [journal, ...added.map((one) => one.journal)];
  const has = (step: string) => journals.some((one) => isBegun(one.entry(step)));
  return { journal, site: siteOf(journal), added, hasCa: has(CA_STEP), hasKra: has(KRA_STEP) };
}

/** The id of the step that makes the key of an externally signed CA, before there is a CA. */
export const REQUEST_STEP = 'ca-request';
/** The id of the step that makes the CA, in whichever flow. */
export const CA_STEP = 'certificate-authority';
/** The id of the step that makes the KRA, in whichever flow. */
export const KRA_STEP = 'key-recovery';

function isBegun(entry: JournalEntry | undefined): boolean {
  return entry !== undefined && entry.state !== 'undone';
}

/** The latest of the journals of a server that is unfinished, or the one of its installation. */
export function tellingJournal({ journal, added }: InstalledServer): JournalFile {
  return added.map((one) => one.journal).findLast(isUnfinished) ?? journal;
}

/** The site in a journal. @throws CapstanError `journal-unreadable` */
function siteOf({ path, journal }: JournalFile): Site {
  const { token, keySize, ...names } = journal.site as Partial<Site>;
  const { realm, domain, hostname, caSubject, subjectBase } = names;
  const words = [realm, domain, hostname, caSubject, subjectBase, token?.label, token?.libraryPath];
  if (words.every((word) => typeof word === 'string' && word !== '') && typeof keySize === 'number') {
    return journal.site as unknown as Site;
  }
  throw unreadable(path, 'it does not name the server that was installed');
}

/** Dogtag's own statement of its release: quicker than `pki --version`, which starts Java and resolves the host name. */
const DOGTAG_VERSION_FILE = '/usr/share/pki/VERSION';

/**
 * How the Dogtag on this host behaves.
 * @throws CapstanError `dogtag-missing`, `dogtag-version-unknown`, `dogtag-unsupported`
 */
export async function dogtagOf(): Promise<DogtagProfile> {
  const text = await readFile(DOGTAG_VERSION_FILE, 'utf8').catch((error: unknown) => {
    throw refusal(
      'dogtag-missing',
      `Dogtag PKI is not installed: there is no ${DOGTAG_VERSION_FILE}.`,
      'Install the package pki-ca.',
      error,
    );
  });
  return dogtagProfile(parseDogtagVersion(text));
}

/**
 * The CA's certificate, PEM, from the instance's own database; where another authority signed it, those above it follow,
 * its issuer first.
 * @throws CapstanError `command-failed`
 */
export async function caCertificate(host: Host): Promise<string> {
  return caChain(host, INSTANCE);
}
