import { readFile } from 'node:fs/promises';
import { agentCredentials } from '../dogtag/agent.ts';
import type { SubsystemName } from '../dogtag/certificates.ts';
import { type CaSession, caSession, kraPath } from '../dogtag/rest.ts';
import type { Host } from '../host/host.ts';
import { CA_FILE, dogtagOf } from './site.ts';

/**
 * Works with the CA or the KRA of a server of the cluster, as the agent of this host.
 * @throws CapstanError (from the calls of the session) as those of {@link caSession}, and whatever `use` throws
 */
export async function withAgentSession<T>(
  host: Host,
  subsystem: SubsystemName,
  hostname: string,
  use: (session: CaSession) => Promise<T>,
): Promise<T> {
  const [{ restPath }, caCertificate, agent] = await Promise.all([
    dogtagOf(),
    readFile(CA_FILE, 'utf8'),
    agentCredentials(),
  ]);
  const path = subsystem === 'KRA' ? kraPath(restPath) : restPath;
  const session = caSession(host, { hostname, caCertificate, agent, restPath: path });
  try {
    return await use(session);
  } finally {
    session.close();
  }
}
