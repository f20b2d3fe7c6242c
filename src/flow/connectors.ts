/** Which KRAs the CAs of the cluster know: the connector of each is in its own configuration, replicated nowhere. */
import { setTimeout as sleep } from 'node:timers/promises';
import { withLocalDirectory } from '../directory/client.ts';
import { recordedServers, type ServerEntry, serversWith } from '../directory/masters.ts';
import { INSTANCE } from '../dogtag/certificates.ts';
import { connectedKras, connectKra, removeKraFrom } from '../dogtag/connector.ts';
import { transportCertificate } from '../dogtag/kra.ts';
import type { CaSession } from '../dogtag/rest.ts';
import { type CapstanError, isInterruption, sentenceOf } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { withAgentSession } from './agent-session.ts';
import { directoryOf, type Site } from './site.ts';

/** Seconds in which a CA must have heard, by replication, that this host may tell it of KRAs. */
const PATIENCE = 30;

async function recorded(host: Host, site: Site): Promise<ServerEntry[]> {
  const { name, suffix } = directoryOf(site);
  return withLocalDirectory(host, { name }, (directory) => recordedServers(directory, suffix));
}

/** What the CA of this host should know of KRAs and does not, and what it should not. */
export interface ConnectorProblems {
  /** KRAs that are recorded, and unknown to it. */
  missing: string[];
  /** KRAs that it knows, and that are not recorded any more: it was away when they left. */
  stale: string[];
}

/** How the KRAs that the CA of this host knows differ from those that are recorded. */
export async function connectorProblems(host: Host, site: Site): Promise<ConnectorProblems> {
  const [kras, known] = [serversWith(await recorded(host, site), 'KRA'), await connectedKras(INSTANCE)];
  return {
    missing: kras.filter((one) => !known.includes(one)),
    stale: known.filter((one) => !kras.includes(one)),
  };
}

/** The problems in words; undefined where there are none. */
export function connectorComplaint({ missing, stale }: ConnectorProblems): string | undefined {
  const parts = [
    ...(missing.length > 0 ? [`sends no keys to ${missing.join(', ')}`] : []),
    ...(stale.length > 0 ? [`sends keys to ${stale.join(', ')}, not recorded with a KRA`] : []),
  ];
  return parts.length > 0 ? parts.join(', and ') : undefined;
}

/**
 * Has the CA of this host know the KRAs that are recorded, and no other.
 * @returns what was done, in words
 * @throws CapstanError `ca-refused`, `ca-unreachable` and their like
 */
export async function mendConnector(host: Host, site: Site): Promise<string[]> {
  const { missing, stale } = await connectorProblems(host, site);
  await connectHere(host, site, missing);
  if (missing.length > 0) await preferOwn(host, site);
  if (stale.length > 0) {
    await withAgentSession(host, 'CA', site.hostname, async (session) => {
      for (const kra of stale) await removeKraFrom(session, kra);
    });
  }
  return [
    ...(missing.length > 0 ? [`told the CA of the KRAs of ${missing.join(', ')}`] : []),
    ...(stale.length > 0 ? [`had the CA forget the KRAs of ${stale.join(', ')}`] : []),
  ];
}

/** Has the CA of this host know these KRAs. @throws CapstanError `ca-refused`, `ca-unreachable` and their like */
async function connectHere(host: Host, site: Site, kras: readonly string[]): Promise<void> {
  const [any] = kras;
  if (any === undefined) return;
  const transport = await transportOf(host, any);
  await withAgentSession(host, 'CA', site.hostname, async (session) => {
    for (const kra of kras) await connectKra(session, kra, transport);
  });
}

/**
 * Has the CA of this host ask the KRA beside it before any other: a request waits for each one before it that is away,
 * half a minute or for good (`HttpConnection`, `JssSSLSocketFactory` of 10.10.2). That one is away with its CA only.
 */
async function preferOwn(host: Host, site: Site): Promise<void> {
  const known = await connectedKras(INSTANCE);
  const others = known.slice(0, known.indexOf(site.hostname));
  if (!known.includes(site.hostname) || others.length === 0) return;
  const transport = await transportOf(host, site.hostname);
  await withAgentSession(host, 'CA', site.hostname, async (session) => {
    for (const kra of others) {
      await removeKraFrom(session, kra);
      // Dogtag adds at the end.
      await connectKra(session, kra, transport);
    }
  });
}

/**
 * Has the CA of this host know every KRA of the cluster, and every other CA the KRA of this host.
 * @returns the CAs that could not be told, each with the reason: they tell of it themselves (`capstan status` there)
 * @throws CapstanError of the CA of this host
 */
export async function connectAll(host: Host, site: Site): Promise<string[]> {
  const servers = await recorded(host, site);
  const kras = new Set([site.hostname, ...serversWith(servers, 'KRA')]);
  await connectHere(host, site, [...kras]);
  await preferOwn(host, site);
  const transport = await transportOf(host, site.hostname);
  return tell(host, othersOf(site, servers), (session) => connectKra(session, site.hostname, transport));
}

/** Has every other CA forget the KRA of this host. @returns as {@link connectAll} */
export async function disconnectAll(host: Host, site: Site): Promise<string[]> {
  return disconnectGone(host, othersOf(site, await recorded(host, site)), site.hostname);
}

/** The same where this host is recorded to have a KRA. */
export async function disconnectRecorded(host: Host, site: Site): Promise<string[]> {
  const kras = serversWith(await recorded(host, site), 'KRA');
  return kras.includes(site.hostname) ? disconnectAll(host, site) : [];
}

/** Has CAs forget the KRA of a server that is gone, told from here. @returns as {@link connectAll} */
export async function disconnectGone(host: Host, cas: readonly string[], gone: string): Promise<string[]> {
  return tell(host, cas, (session) => removeKraFrom(session, gone));
}

function transportOf(host: Host, kra: string): Promise<string> {
  return withAgentSession(host, 'KRA', kra, transportCertificate);
}

/** The CAs of the other servers. */
function othersOf({ hostname }: Site, servers: readonly ServerEntry[]): string[] {
  return serversWith(servers, 'CA').filter((one) => one !== hostname);
}

/** Tells CAs something, all at once. @returns those that could not be told, each with the reason */
async function tell(
  host: Host,
  cas: readonly string[],
  what: (session: CaSession) => Promise<void>,
): Promise<string[]> {
  const silent = await Promise.all(
    cas.map(async (ca) => {
      try {
        await patiently(() => withAgentSession(host, 'CA', ca, what));
        return [];
      } catch (error) {
        if (isInterruption(error)) throw error;
        return [`${ca} (${sentenceOf(error)})`];
      }
    }),
  );
  return silent.flat();
}

/** Tries again where a CA does not let this host in yet: that it may is being replicated. */
async function patiently(work: () => Promise<void>): Promise<void> {
  const until = performance.now() + PATIENCE * 1000;
  for (;;) {
    try {
      return await work();
    } catch (error) {
      const { code } = error as CapstanError;
      if ((code !== 'ca-refused' && code !== 'ca-login-refused') || performance.now() > until) throw error;
    }
    await sleep(1000);
  }
}
