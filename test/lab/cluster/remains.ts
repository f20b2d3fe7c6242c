/** What lies on a host of a cluster: everything, and where secrets are. */
import { type HostState, hostState } from '../inventory.ts';
import { holdersOf, SECRETS, sh, VALUES } from '../support.ts';

/** All that lies on a host. */
export function look(host: string): Promise<HostState> {
  return hostState((script) => sh(host, script, { deadline: 120 }));
}

/** Where a server with a CA keeps secrets. */
export const PLACES_OF_SECRETS = {
  'token-password': ['/etc/pki/pki-tomcat/password.conf', '/var/lib/certmonger/requests'],
  'so-pin': [],
  'ds-password': ['/etc/pki/pki-tomcat/password.conf'],
  'admin-password': [],
};

/** In which files and logs of a host each of the secrets is. */
export async function secretsOf(host: string): Promise<Record<string, string[]>> {
  const found = await Promise.all(
    SECRETS.map(async (one) => [one, await holdersOf(host, `${VALUES}/${one}`)] as const),
  );
  return Object.fromEntries(found);
}
