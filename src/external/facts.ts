/** What of a certificate decides whether it can be that of a CA, or stand above one. Pure. */

import type { X509Certificate } from 'node:crypto';
import { AsnConvert } from '@peculiar/asn1-schema';
import { BasicConstraints, Certificate, ExtendedKeyUsage, type Extension } from '@peculiar/asn1-x509';
import { EXTENSIONS, textOf } from '../root/x509.ts';

/** A certificate and what it says. */
export interface Judged {
  certificate: X509Certificate;
  /** RFC 4514. */
  subject: string;
  issuer: string;
  isCa: boolean;
  /** CA certificates that may stand between it and the last certificate of a chain; undefined without a limit. */
  pathLength: number | undefined;
  /** The bits of the key usage extension, first one first; undefined without the extension. */
  keyUsage: readonly boolean[] | undefined;
  /** Object identifiers; undefined without the extension. */
  extendedKeyUsage: readonly string[] | undefined;
  /** Object identifiers of the critical extensions. */
  critical: readonly string[];
  /** Object identifier of the algorithm that it is signed with. */
  algorithm: string;
}

/** Bits of the key usage extension (RFC 5280, 4.2.1.3). */
export const KEY_CERT_SIGN = 5;
/** As {@link KEY_CERT_SIGN}. */
export const CRL_SIGN = 6;

/** Reads a certificate. @throws Error where the bytes are no certificate, or an extension of it cannot be read */
export function judged(certificate: X509Certificate): Judged {
  const { tbsCertificate, signatureAlgorithm } = AsnConvert.parse(certificate.raw, Certificate);
  const extensions = tbsCertificate.extensions ?? [];
  const found = (name: keyof typeof EXTENSIONS) =>
    [...extensions].find(({ extnID }) => extnID === EXTENSIONS[name]);
  const constraints = read(found('basicConstraints'), BasicConstraints);
  const usage = found('keyUsage');
  const purposes = read(found('extendedKeyUsage'), ExtendedKeyUsage);
  return {
    ...{ certificate, subject: textOf(tbsCertificate.subject), issuer: textOf(tbsCertificate.issuer) },
    isCa: constraints?.cA === true,
    pathLength: constraints?.pathLenConstraint,
    keyUsage: usage && bitsOf(Buffer.from(usage.extnValue.buffer)),
    extendedKeyUsage: purposes && [...purposes],
    critical: [...extensions].filter(({ critical }) => critical).map(({ extnID }) => extnID),
    algorithm: signatureAlgorithm.algorithm,
  };
}

function read<T>(extension: Extension | undefined, type: new () => T): T | undefined {
  return extension && AsnConvert.parse(extension.extnValue.buffer, type);
}

/** The bits of a BIT STRING of one or two octets (X.690, 8.6): tag, length, unused bits, octets. */
function bitsOf(encoding: Buffer): boolean[] {
  return [...encoding.subarray(3)].flatMap((octet) =>
    [7, 6, 5, 4, 3, 2, 1, 0].map((bit) => (octet & (1 << bit)) !== 0),
  );
}

/** Whether a certificate is issued by its own name. */
export function isSelfIssued({ subject, issuer }: Pick<Judged, 'subject' | 'issuer'>): boolean {
  return subject === issuer;
}
