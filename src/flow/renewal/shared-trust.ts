/** Trust for certificates that another server of the same token renewed. */
import { X509Certificate } from 'node:crypto';
import { CA_CERTIFICATES, INSTANCE, KRA_CERTIFICATES } from '../../dogtag/certificates.ts';
import { tokenCertificate } from '../../dogtag/nssdb.ts';
import { type InternalCopy, refreshInternalToken } from '../../dogtag/renewed.ts';
import { isInterruption, sentenceOf } from '../../errors.ts';
import type { Host } from '../../host/host.ts';
import type { Site } from '../site.ts';

/**
 * Has the internal token trust the certificates that are on the HSM now. From the moment in which another server's
 * certmonger writes a renewed one there until it is taken over here, Dogtag does not start otherwise: its self test finds
 * an audit certificate that nobody trusts (10.10.2, -8101), and it disables the subsystem. What cannot be read is left as it is.
 * @throws CapstanError `interrupted`
 */
export async function trustTokenCertificates(
  host: Host,
  { token: { label } }: Pick<Site, 'token'>,
  withKra: boolean,
): Promise<void> {
  const certificates = [...CA_CERTIFICATES, ...(withKra ? KRA_CERTIFICATES : [])];
  try {
    const copies: InternalCopy[] = [];
    for (const { nickname, token, trust } of certificates) {
      if (token !== 'hsm' || trust === undefined) continue;
      const pem = await tokenCertificate(host, INSTANCE, label, nickname);
      copies.push({ nickname, certificate: new X509Certificate(pem), trust });
    }
    await refreshInternalToken(host, INSTANCE, copies);
  } catch (error) {
    if (isInterruption(error)) throw error;
    host.log.write(`The trust of the certificates on the token was not looked at: ${sentenceOf(error)}`);
  }
}
