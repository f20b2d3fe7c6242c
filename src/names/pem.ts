/** Certificates in PEM (RFC 7468). */

import { X509Certificate } from 'node:crypto';

const BLOCK = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;

/** The certificates of a text, each a text of its own that ends its line. */
export function pemCertificates(text: string): string[] {
  return (text.match(BLOCK) ?? []).map((block) => `${block}\n`);
}

/**
 * The first of the certificates of a text: that of a CA, where those of the authorities above follow it. Whoever
 * trusts it trusts nothing else that these have signed.
 */
export function firstCertificate(text: string): string {
  return pemCertificates(text)[0] ?? text;
}

/** What a TLS connection trusts, as node:tls takes it. */
export interface TrustAnchor {
  ca: string;
  allowPartialTrustChain: boolean;
}

/**
 * The CA of a text, {@link firstCertificate}, as all that a TLS connection trusts, also where another authority has
 * signed it. Without that authority OpenSSL would not let it end a chain; nor would it a certificate that is no CA's,
 * and that stays so.
 */
export function trustAnchor(text: string): TrustAnchor {
  const ca = firstCertificate(text);
  try {
    const { ca: isCa, subject, issuer } = new X509Certificate(ca);
    return { ca, allowPartialTrustChain: isCa && subject !== issuer };
  } catch {
    return { ca, allowPartialTrustChain: false };
  }
}
