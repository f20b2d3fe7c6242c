/** Which KRAs the CAs of the cluster know: the connector of each is in its own configuration, replicated nowhere. */
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { withLocalDirectory } from '../directory/client.ts';
import { recordedServers, type ServerEntry } from '../directory/masters.ts';
import { agentCredentials } from '../dogtag/agent.ts';
import { INSTANCE } from '../dogtag/certificates.ts';
import { connectKra, removeKraFrom } from '../dogtag/connector.ts';
import { transportCertificate } from '../dogtag/kra.ts';
import { connectedKras } from '../dogtag/kra-config.ts';
import { type CaSession, caSession } from '../dogtag/rest.ts';
import { type CapstanError, isInterruption, sentenceOf } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { withKra } from './key-recovery.ts';
import { CA_FILE, directoryOf, dogtagOf, type Site } from './site.ts';

/** Seconds in which a CA must have heard, by replication, that this host may tell it of KRAs. */
const PATIENCE = 30;

/** The recorded servers with a subsystem in use, by name. */
export function serversWith(servers: readonly ServerEntry[], role: 'CA' | 'KRA'): string[] {
  return servers
    .filter(({ roles }) => roles.some(({ name, enabled }) => name === role && enabled))
    .map(({ hostname }) => hostname);
}

async function recorded(host: Host, site: Site): Promise<ServerEntry[]> {
  const { name, suffix } = directoryOf(site);
  return withLocalDirectory(host, { name }, (directory) => recordedServers(directory, suffix));
}

/** The KRAs that the CA of this host should know and does not. */
export async function missingKras(host: Host, site: Site): Promise<string[]> {
  const [kras, known] = [serversWith(await recorded(host, site), 'KRA'), await connectedKras(INSTANCE)];
  return kras.filter((one) => !known.includes(one));
}

/** Has the CA of this host know these KRAs. @throws CapstanError `ca-refused`, `ca-unreachable` and their like */
export async function connectHere(host: Host, site: Site, kras: readonly string[]): Promise<void> {
  const [any] = kras;
  if (any === undefined) return;
  const transport = await withKra(host, site, any, ({ session }) => transportCertificate(session));
  await atCa(host, site.hostname, async (session) => {
    for (const kra of kras) await connectKra(session, kra, transport);
  });
}

/**
 * Has the CA of this host know every KRA of the cluster, and every other CA the KRA of this host.
 * @returns the CAs that could not be told, each with the reason: they tell of it themselves (`capstan status` there)
 * @throws CapstanError of the CA of this host
 */
export async function connectAll(host: Host, site: Site): Promise<string[]> {
  const servers = await recorded(host, site);
  await connectHere(host, site, [site.hostname, ...serversWith(servers, 'KRA')]);
  const transport = await withKra(host, site, site.hostname, ({ session }) => transportCertificate(session));
  return tellOthers(host, site, servers, (session) => connectKra(session, site.hostname, transport));
}

/** Has every other CA forget the KRA of this host. @returns as {@link connectAll} */
export async function disconnectAll(host: Host, site: Site): Promise<string[]> {
  const servers = await recorded(host, site);
  return tellOthers(host, site, servers, (session) => removeKraFrom(session, site.hostname));
}

/** The same where this host is recorded to have a KRA. */
export async function disconnectRecorded(host: Host, site: Site): Promise<string[]> {
  const kras = serversWith(await recorded(host, site), 'KRA');
  return kras.includes(site.hostname) ? disconnectAll(host, site) : [];
}

/** Has CAs forget the KRA of a server that is gone, told from here. @returns as {@link connectAll} */
export async function disconnectGone(host: Host, cas: readonly string[], gone: string): Promise<string[]> {
  return telling(host, cas, (session) => removeKraFrom(session, gone));
}

async function tellOthers(
  host: Host,
  { hostname }: Site,
  servers: readonly ServerEntry[],
  what: (session: CaSession) => Promise<void>,
): Promise<string[]> {
  const others = serversWith(servers, 'CA').filter((one) => one !== hostname);
  return telling(host, others, what);
}

async function telling(
  host: Host,
  cas: readonly string[],
  what: (session: CaSession) => Promise<void>,
): Promise<string[]> {
  const silent = await Promise.all(
    cas.map(async (ca) => {
      try {
        await patiently(() => atCa(host, ca, what));
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

async function atCa(host: Host, hostname: string, use: (session: CaSession) => Promise<void>): Promise<void> {
  const [{ restPath }, caCertificate, agent] = await Promise.all([
    dogtagOf(),
    readFile(CA_FILE, 'utf8'),
    agentCredentials(),
  ]);
  const session = caSession(host, { hostname, caCertificate, agent, restPath });
  try {
    await use(session);
  } finally {
    session.close();
  }
}
