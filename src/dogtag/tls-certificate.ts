/** The certificate of an instance's TLS server, whose key is in the internal token. */
import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Host } from '../host/host.ts';
import { withPrivateFolder } from '../secret/private-file.ts';
import { certificatePem, instancePins, nssDatabase } from './nssdb.ts';
import { writtenByDogtag } from './own-agent.ts';

/** Its nickname. */
export const TLS_NICKNAME = 'Server-Cert cert-pki-ca';

/** The certificate that the TLS server of an instance shows. @throws CapstanError `command-failed` */
export async function tlsCertificate(host: Host, instance: string): Promise<X509Certificate> {
  return new X509Certificate(await certificatePem(host, instance, TLS_NICKNAME));
}

/**
 * A request for another certificate of the same key and name.
 * @returns PKCS#10, PEM
 * @throws CapstanError `command-failed`
 */
export async function requestTlsCertificate(
  host: Host,
  instance: string,
  current: X509Certificate,
): Promise<string> {
  const pins = await instancePins(instance);
  return withPrivateFolder(async (folder) => {
    const out = `${folder.path}/request.pem`;
    await host.run('certutil', [
      ...['-R', '-d', nssDatabase(instance), '-f', folder.write('pin', pins.pin(undefined))],
      ...['-k', TLS_NICKNAME, '-s', writtenByDogtag(current.subject), '-a', '-o', out],
    ]);
    // certutil writes a summary for people above the request, which Dogtag does not take.
    const text = await readFile(out, 'utf8');
    return text.slice(text.indexOf('-----BEGIN'));
  });
}
