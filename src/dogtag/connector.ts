/** The KRA connector of a CA: the KRAs to which it sends the private keys that are to be archived. */
import type { CaSession } from './rest.ts';

/** The port of all KRAs, and where they take what a CA sends. */
const PORT = '8443';
const URI = '/kra/agent/kra/connector';
/** Seconds that a CA waits for a KRA (Dogtag's own default). */
const TIMEOUT = '30';

/**
 * Tells a CA of a KRA; one that it knows already is no error.
 * @param session with the CA, as a member of `Enterprise KRA Administrators`
 * @param transportCertificate of the KRAs of the cluster, PEM; all have the same
 * @throws CapstanError `ca-refused`, `ca-login-refused`, `ca-unreachable`, `interrupted`
 */
export async function connectKra(
  session: CaSession,
  hostname: string,
  transportCertificate: string,
): Promise<void> {
  await session.get('/account/login');
  await session.post('/admin/kraconnector/add', {
    host: hostname,
    port: PORT,
    transportCert: base64Of(transportCertificate),
    uri: URI,
    timeout: TIMEOUT,
    local: 'false',
    enable: 'true',
  });
}

/**
 * Has a CA forget a KRA; one that it does not know is no error.
 * @throws CapstanError as {@link connectKra}
 */
export async function removeKraFrom(session: CaSession, hostname: string): Promise<void> {
  await session.get('/account/login');
  await session.post(`/admin/kraconnector/remove?${new URLSearchParams({ host: hostname, port: PORT })}`);
}

/** What stands between the lines of a PEM certificate, as Dogtag keeps it. */
export function base64Of(pem: string): string {
  return pem.replaceAll(/-----[^-]+-----|\s/g, '');
}
