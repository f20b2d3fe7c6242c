import { readFile } from 'node:fs/promises';
import { type DirectoryInstance, instanceName } from '../directory/instance.ts';
import { CA_SIGNING_NICKNAME, INSTANCE } from '../dogtag/certificates.ts';
import { certificatePem } from '../dogtag/nssdb.ts';
import { type DogtagProfile, dogtagProfile, parseDogtagVersion } from '../dogtag/version.ts';
import { failure, refusal } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { suffixOf } from '../names/domain.ts';
import { isUnfinished, type JournalFile, readJournal, unreadable } from '../plan/journal.ts';
import type { Secret } from '../secret/secret.ts';

/** The name of the flow that builds the first server, in its journal and on the command line. */
export const SERVER_INSTALL = 'server-install';
/** Where the journal of this host's server lies. */
export const JOURNAL = '/var/lib/capstan/server.json';
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
}

/** What a flow built and what comes next, for a person. */
export interface Report {
  title: string;
  facts: { name: string; value: string }[];
  next: string[];
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
  const { realm, domain, hostname, caSubject, subjectBase, keySize, token, override } = site;
  const names = { realm, domain, hostname, caSubject, subjectBase, keySize, token };
  return override === undefined ? names : { ...names, override };
}

/**
 * The installation on this host that did not come to its end, or whose removal did not; undefined where there is none.
 * @throws CapstanError `journal-unreadable`
 */
export async function unfinishedServer(): Promise<{ journal: JournalFile; site: Site } | undefined> {
  const journal = await readJournal(JOURNAL);
  if (!journal || !isUnfinished(journal)) return undefined;
  return { journal, site: siteOf(journal) };
}

/** Refuses everybody but root. @param why the sentence of the refusal @throws CapstanError `not-root` */
export function requireRoot(why: string): void {
  if (process.getuid?.() !== 0) throw refusal('not-root', why, 'Run the command with sudo.');
}

/**
 * The journal of the server on this host, which only root may read.
 * @throws CapstanError `not-root`, `not-installed`, `journal-unreadable`
 */
export async function installedServer(): Promise<{ journal: JournalFile; site: Site }> {
  requireRoot('Only root can look into the server of this host.');
  const journal = await readJournal(JOURNAL);
  if (!journal) {
    throw failure(
      'not-installed',
      `There is no server of Capstan on this host: ${JOURNAL} does not exist.`,
      'Install one with "capstan server-install".',
    );
  }
  return { journal, site: siteOf(journal) };
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

/** The CA's certificate, PEM, from the instance's own database. @throws CapstanError `command-failed` */
export async function caCertificate(host: Host): Promise<string> {
  return certificatePem(host, INSTANCE, CA_SIGNING_NICKNAME);
}
