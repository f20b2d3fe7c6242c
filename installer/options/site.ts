import type { Command } from 'commander';
import { domainOf, parseDomain, parseHostname, parseRealm, realmOf } from '../../src/names/domain.ts';
import type { SecretRequest } from '../../src/secret/sources.ts';
import type { Asker } from '../prompt.ts';
import { readField } from './field.ts';
import { together } from './together.ts';

/** The fewest characters of a password that is chosen now (389-ds' and Dogtag's own minimum). */
export const SHORTEST_PASSWORD = 8;

/** What the directory and administrator options leave behind. */
export interface SiteValues {
  realm?: string;
  domain?: string;
  hostname?: string;
  dsPassword?: string;
  dsPasswordFile?: string;
  adminPassword?: string;
  adminPasswordFile?: string;
}

/** The names of a server and of what it belongs to. */
export interface Site {
  hostname: string;
  domain: string;
  realm: string;
}

/** Adds the options that name the server, its domain and its realm, and take the Directory Manager's password. */
export function directoryOptions(command: Command): Command {
  return command
    .optionsGroup('Server and directory:')
    .option('--hostname <name>', "fully qualified name of this host (default: the system's)")
    .option('-n, --domain <domain>', "domain, which gives the directory's suffix (default: the host's)")
    .option('-r, --realm <realm>', 'realm, for names in certificates (default: the domain in capitals)')
    .option('-p, --ds-password <password>', 'password of the Directory Manager (better: the next option)')
    .option('--ds-password-file <file>', 'file that holds it; - reads standard input');
}

/** Adds the options for the password of the administrator of the CA. */
export function adminOptions(command: Command): Command {
  return command
    .optionsGroup('Administrator:')
    .option('-a, --admin-password <password>', "password of the CA's administrator (better: the next option)")
    .option('--admin-password-file <file>', 'file that holds it; - reads standard input')
    .option('--allow-exposed-password-files', 'accept password files that other users can read');
}

/**
 * The names of the server. What is not given follows from the system's host name; a person may change it.
 * @param system the fully qualified name that the system knows itself by, if any
 * @throws CapstanError `hostname-invalid`, `domain-invalid`, `realm-invalid`, `option-unprintable`,
 *   `option-too-long`, `option-missing`
 */
export async function readSite(
  values: SiteValues,
  asker: Asker | undefined,
  system: string | undefined,
): Promise<Site> {
  const { hostname, domain, realm } = values;
  // A later name follows from an earlier one. Where that is refused, nothing follows, and nothing more is said of it.
  let host: string | undefined;
  let zone: string | undefined;
  const read = (
    option: string,
    what: string,
    given: string | undefined,
    fallback: string | undefined,
    parse: Parse,
  ) => readField({ option, what, given, fallback, parse }, asker);
  return together<Site>(
    {
      hostname: async () => {
        host = await read('--hostname', 'host name', hostname, system, parseHostname);
        return host;
      },
      domain: async () => {
        if (domain === undefined && host === undefined) return '';
        zone = await read('--domain', 'domain', domain, host && domainOf(host), parseDomain);
        return zone;
      },
      realm: async () => {
        if (realm === undefined && zone === undefined) return '';
        return read('--realm', 'realm', realm, zone && realmOf(zone), parseRealm);
      },
    },
    asker !== undefined,
  );
}

type Parse = (text: string) => string;

/** The request for the Directory Manager's password, which is chosen with a first server. */
export function dsSecret({ dsPassword, dsPasswordFile }: SiteValues): SecretRequest {
  return {
    what: 'Directory Manager password',
    option: '--ds-password',
    shortest: SHORTEST_PASSWORD,
    chosen: true,
    ofDirectory: true,
    value: dsPassword,
    file: dsPasswordFile,
  };
}

/** The request for the password of the CA's administrator, which is chosen with a first server. */
export function adminSecret({ adminPassword, adminPasswordFile }: SiteValues): SecretRequest {
  return {
    what: 'admin password',
    option: '--admin-password',
    shortest: SHORTEST_PASSWORD,
    chosen: true,
    ofDirectory: true,
    value: adminPassword,
    file: adminPasswordFile,
  };
}
