/** Who does what for the whole cluster: who renews the certificates that all share, and who generates the CRLs. */
import { withLocalDirectory } from '../directory/client.ts';
import { type RoleEntry, recordedServers, type ServerEntry } from '../directory/masters.ts';
import { INSTANCE } from '../dogtag/certificates.ts';
import { type CrlGeneration, crlGeneration } from '../dogtag/crl.ts';
import { failure } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { directoryOf, installedServer } from './site.ts';

/** Roles that one server has for all, as the command line names them. */
export const DUTIES = ['renewal-master', 'crl'] as const;

/** One of {@link DUTIES}. */
export type Duty = (typeof DUTIES)[number];

/** The mark of a duty in the record of a server's CA. */
export const MARKS = { 'renewal-master': 'renewalMaster', crl: 'crlGenerator' } as const;

/** What is recorded of the roles, and what this host really does. */
export interface Roles {
  hostname: string;
  servers: ServerEntry[];
  /** What the CA of this host does about CRLs; undefined where it has none. */
  crlHere: CrlGeneration | undefined;
  /** What is not as it should be, and what to do about it. */
  problems: { message: string; next: string }[];
}

/**
 * The roles of all servers, from the directory of this host.
 * @throws CapstanError `not-root`, `not-installed`, `roles-unknown`, `directory-unreachable`
 */
export async function readRoles(host: Host): Promise<Roles> {
  const { site, hasCa } = await installedServer();
  const { name, suffix } = directoryOf(site);
  const servers = await withLocalDirectory(host, { name }, (directory) => recordedServers(directory, suffix));
  if (servers.length === 0) {
    throw failure(
      'roles-unknown',
      `The directory of ${site.hostname} has no record of servers and roles.`,
      'It was installed by an older version of Capstan, for a server that stays alone.',
    );
  }
  const crlHere = hasCa ? await crlGeneration(INSTANCE).catch(() => undefined) : undefined;
  const { hostname } = site;
  return { hostname, servers, crlHere, problems: problemsOf(hostname, servers, crlHere) };
}

/** The CA of a server; undefined where it is not recorded. */
export function caOf(server: ServerEntry | undefined): RoleEntry | undefined {
  return server?.roles.find(({ name }) => name === 'CA');
}

/** The servers that have a duty: one, when all is well. */
export function holders(servers: readonly ServerEntry[], duty: Duty): string[] {
  return servers.filter((server) => caOf(server)?.[MARKS[duty]]).map(({ hostname }) => hostname);
}

/** What is wrong with the roles, from what is recorded and what the CA of this host does. */
export function problemsOf(
  hostname: string,
  servers: readonly ServerEntry[],
  crlHere: CrlGeneration | undefined,
): Roles['problems'] {
  return [
    ...DUTIES.flatMap((duty) => recordProblem(servers, duty)),
    ...crlProblem(hostname, servers, crlHere),
  ];
}

const WHAT = {
  'renewal-master': 'renews the certificates that all share',
  crl: 'generates the CRLs',
} as const;

function recordProblem(servers: readonly ServerEntry[], duty: Duty): Roles['problems'] {
  const found = holders(servers, duty);
  if (found.length === 1 || !servers.some(caOf)) return [];
  const who = found.length === 0 ? 'No server' : `More than one server (${found.join(', ')})`;
  return [
    {
      message: `${who} ${WHAT[duty]}, as it is recorded.`,
      next: `Give that to one server: capstan role move ${duty} SERVER`,
    },
  ];
}

/** Where the CA of this host does other than what is recorded: in the middle of a move, or back after one. */
export function crlProblem(
  hostname: string,
  servers: readonly ServerEntry[],
  crlHere: CrlGeneration | undefined,
): Roles['problems'] {
  if (crlHere === undefined) return [];
  const [holder] = holders(servers, 'crl');
  if (holder === undefined) return [];
  const message = crlMismatch(hostname, holder, crlHere, servers.filter(caOf).length);
  return message === undefined
    ? []
    : [{ message, next: `Run on ${hostname}: capstan role move crl ${holder}` }];
}

/** What is wrong about CRLs here, as a sentence; undefined where nothing is. @param cas how many CAs there are */
function crlMismatch(
  hostname: string,
  holder: string,
  crlHere: CrlGeneration,
  cas: number,
): string | undefined {
  if (holder.toLowerCase() !== hostname.toLowerCase()) {
    if (crlHere === 'off') return undefined;
    return `The CA of ${hostname} is set to generate CRLs, which is the task of ${holder}.`;
  }
  if (crlHere === 'on' || (crlHere === 'deaf' && cas < 2)) return undefined;
  return crlHere === 'deaf'
    ? `The CRLs of ${hostname} lack what other servers revoke, of which its CA is not set to hear.`
    : `${hostname} is to generate the CRLs, but its CA is not set to.`;
}
