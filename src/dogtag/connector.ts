/** The KRA connector of a CA: the KRAs to which it sends the private keys that are to be archived. */
import { readFile } from 'node:fs/promises';
import { editFile } from '../host/files.ts';
import { caConfiguration } from './crl.ts';
import type { CaSession } from './rest.ts';
import { SECURE_PORT } from './security-domain.ts';

/** The port of all KRAs, and where they take what a CA sends. */
const PORT = String(SECURE_PORT);
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

/** The KRAs that the CA of an instance sends keys to, by host name; none where it knows of none. */
export async function connectedKras(instance: string): Promise<string[]> {
  return krasIn(await readFile(caConfiguration(instance), 'utf8'));
}

/**
 * The KRAs in a CA's configuration. Dogtag writes the first as a name beside its port, and several as a list of names
 * with ports (`KRAConnectorProcessor` of 10.10.2).
 */
export function krasIn(text: string): string[] {
  const host = /^ca\.connector\.KRA\.host=(.*)$/m.exec(text)?.[1] ?? '';
  return host
    .split(' ')
    .filter(Boolean)
    .map((one) => one.replace(/:\d+$/, ''));
}

/** What a CA's configuration says of the KRAs. */
export interface KraConnector {
  /** Their host names, in small letters. */
  kras: string[];
  /** The transport certificate that the CA hands out to clients, DER in base64; undefined where it knows of no KRA. */
  transport: string | undefined;
}

/** The KRA connector in the text of a CA's CS.cfg. */
export function kraConnectorIn(text: string): KraConnector {
  const transport = /^ca\.connector\.KRA\.transportCert=(.*)$/m.exec(text)?.[1]?.trim();
  return { kras: krasIn(text).map((kra) => kra.toLowerCase()), transport };
}

/** Has the CA of an instance that is stopped forget a KRA; that it does not know it is no error. */
export async function disconnectKra(instance: string, hostname: string): Promise<void> {
  const file = caConfiguration(instance);
  const known = krasIn(await readFile(file, 'utf8'));
  if (!known.includes(hostname)) return;
  await editFile(file, (text) =>
    withKras(
      text,
      known.filter((one) => one !== hostname),
    ),
  );
}

/** A CA's configuration with these KRAs in the place of those that it has; without a connector where there are none. */
export function withKras(text: string, kras: readonly string[]): string {
  const [first] = kras;
  if (first === undefined) {
    const lines = text.split('\n').filter((line) => !line.startsWith('ca.connector.KRA.'));
    return lines.join('\n');
  }
  const host = kras.length === 1 ? first : kras.map((one) => `${one}:${SECURE_PORT}`).join(' ');
  return text.replace(/^(ca\.connector\.KRA\.host=).*$/m, (_, key: string) => key + host);
}
