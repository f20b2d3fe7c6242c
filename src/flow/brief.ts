/** What is on this host, by Capstan's journals alone: known at once, whether or not any daemon runs. */
import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { isUnfinished, type JournalFile, storyOf } from '../plan/journal.ts';
import type { ReplicaSite } from './replica.ts';
import { CA_FILE, type FlowName, type InstalledServer, installedServer, type Site } from './site.ts';
import { fingerprintOf } from './trust.ts';

/** The server on a host as its journals tell of it. */
export interface Brief {
  hostname: string;
  realm: string;
  /** What it has, or has begun to get. */
  roles: ('CA' | 'KRA')[];
  /** Of the cluster's CA certificate; missing while there is none. See {@link fingerprintOf}. */
  fingerprint?: string;
  /** The run that did not come to its end. */
  unfinished?: Unfinished;
}

/** A run of a command that installs, which did not come to its end. */
export interface Unfinished {
  flow: FlowName;
  /** Whether it is being taken back: then it cannot be resumed. */
  removing: boolean;
  /** Whether going on with it takes a join secret that is good. */
  joinSecret: boolean;
  /** How far it came, in sentences. */
  story: string;
}

/**
 * What the journals of this host tell.
 * @throws CapstanError `not-root`, `not-installed`, `journal-unreadable`
 */
export async function briefStatus(): Promise<Brief> {
  const server = await installedServer();
  const { hostname, realm } = server.site;
  const fingerprint = await readFile(CA_FILE).then(
    (pem) => fingerprintOf(new X509Certificate(pem)),
    () => undefined,
  );
  const unfinished = unfinishedOf(server);
  return {
    ...{ hostname, realm },
    roles: [...(server.hasCa ? (['CA'] as const) : []), ...(server.hasKra ? (['KRA'] as const) : [])],
    ...(fingerprint !== undefined && { fingerprint }),
    ...(unfinished && { unfinished }),
  };
}

function unfinishedOf({ journal, site, added }: InstalledServer): Unfinished | undefined {
  const found = [{ journal, site }, ...added].findLast((one) => isUnfinished(one.journal));
  if (!found) return undefined;
  const told = found.journal.journal;
  return {
    flow: told.flow as FlowName,
    removing: told.removing !== undefined,
    joinSecret: stillJoins(found.site, found.journal),
    story: `${storyOf(told)}.`,
  };
}

/** The steps after which the join secret is needed no more. */
const LAST_JOINING_STEP = { withCa: 'certificate-authority', without: 'directory-certificate' };

/** Whether an installation that goes on has still to be let in with a join secret. */
export function stillJoins(site: Site, journal: JournalFile): boolean {
  const { joinsBySecret = false, setupCa = false } = site as Partial<ReplicaSite>;
  const last = setupCa ? LAST_JOINING_STEP.withCa : LAST_JOINING_STEP.without;
  return joinsBySecret && journal.entry(last)?.state !== 'done';
}
