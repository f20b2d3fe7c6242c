/** What can follow the certificate that a CA has: what the CA has issued must verify with it as well. Pure; a signer signs. */

import { X509Certificate } from 'node:crypto';
import { AsnConvert } from '@peculiar/asn1-schema';
import { Certificate, SubjectKeyIdentifier, Validity } from '@peculiar/asn1-x509';
import { type CapstanError, refusal } from '../errors.ts';
import { newSerial, signCertificate } from '../root/certificate.ts';
import { derOf, EXTENSIONS, type Signer, signatureAlgorithm } from '../root/x509.ts';

/** The key identifier in a certificate; undefined where it has none. @throws Error where it is no certificate */
export function keyIdentifierIn({ raw }: Pick<X509Certificate, 'raw'>): Buffer | undefined {
  const { extensions } = AsnConvert.parse(raw, Certificate).tbsCertificate;
  const found = [...(extensions ?? [])].find(({ extnID }) => extnID === EXTENSIONS.subjectKeyIdentifier);
  return found && Buffer.from(AsnConvert.parse(found.extnValue.buffer, SubjectKeyIdentifier).buffer);
}

/** The subject of a certificate as it is encoded there. @throws Error where it is no certificate */
export function subjectIn({ raw }: Pick<X509Certificate, 'raw'>) {
  return AsnConvert.parse(raw, Certificate).tbsCertificate.subject;
}

/**
 * What keeps a certificate for the same key from the place of the one that the CA has.
 * @returns `external-unchanged`, `external-subject-encoding`, `external-key-identifier`
 */
export function flawsOfSuccessor(certificate: X509Certificate, current: X509Certificate): CapstanError[] {
  const { serialNumber } = certificate;
  if (certificate.raw.equals(current.raw))
    return [
      refusal(
        'external-unchanged',
        `The certificate with the serial number ${serialNumber} is the one that the CA has.`,
        'Give the new one.',
      ),
    ];
  const flaws: CapstanError[] = [];
  // The issuer of what the CA has issued is this encoding, and NSS compares no other way.
  const [wanted, found] = [current, certificate].map((one) => derOf(subjectIn(one))) as [Buffer, Buffer];
  if (certificate.subject === current.subject && !found.equals(wanted))
    flaws.push(
      refusal(
        'external-subject-encoding',
        'The certificate of the CA has the right name with its texts in another encoding than the request: what the CA has issued would not verify with it everywhere.',
        'Have the authority take the subject of the request over as it is.',
      ),
    );
  const [kept, given] = [keyIdentifierIn(current), keyIdentifierIn(certificate)];
  // RFC 5280, 4.2.1.1: what was issued names the key by this identifier. One that is not there is not compared.
  if (kept && given && !given.equals(kept))
    flaws.push(
      refusal(
        'external-key-identifier',
        `The certificate of the CA has the key identifier ${given.toString('hex')}; what the CA has issued names ${kept.toString('hex')}.`,
        'Have the authority take the subject key identifier of the request over.',
      ),
    );
  return flaws;
}

/**
 * The certificate of a CA that signs itself once more: the same name, key and extensions, byte by byte, another serial number,
 * and as long a life from now on. For a CA that cannot be asked: an expired one issues nothing that anybody accepts.
 * @throws what the signer throws
 */
export async function selfSignedAnew(
  current: X509Certificate,
  signer: Signer,
  now = new Date(),
): Promise<X509Certificate> {
  const { tbsCertificate } = AsnConvert.parse(current.raw, Certificate);
  const life = current.validToDate.getTime() - current.validFromDate.getTime();
  tbsCertificate.serialNumber = Uint8Array.from(newSerial()).buffer;
  tbsCertificate.signature = signatureAlgorithm(signer.hash);
  tbsCertificate.validity = new Validity({
    notBefore: now,
    notAfter: new Date(now.getTime() + life),
  });
  return new X509Certificate(await signCertificate(tbsCertificate, signer));
}
