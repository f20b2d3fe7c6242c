/** How long the certificates of a CA last that another authority has signed. Pure. */

import { X509Certificate } from 'node:crypto';
import { pemCertificates } from './pem.ts';

/** Days before its end from which on such a certificate is told of: an authority that is offline takes weeks. */
export const EARLY_DAYS = 90;
const DAY = 86_400_000;

/** When a certificate ends. */
export interface ExternalLifetime {
  /** In one line, the least specific part first. */
  subject: string;
  issuer: string;
  to: Date;
}

/**
 * The lifetimes of the certificate of a CA and of those above it; none where the CA signs itself.
 * @param chain PEM, the certificate of the CA first
 */
export function externalLifetimes(chain: string): ExternalLifetime[] {
  const certificates = pemCertificates(chain).map((one) => new X509Certificate(one));
  const [own] = certificates;
  if (!own || own.subject === own.issuer) return [];
  return certificates.map(({ subject, issuer, validToDate: to }) => ({
    subject: subject.replaceAll('\n', ','),
    ...{ issuer: issuer.replaceAll('\n', ','), to },
  }));
}

/** Whether it is time to have another one made. */
export function endsEarly({ to }: Pick<ExternalLifetime, 'to'>, now = new Date()): boolean {
  return to.getTime() - now.getTime() < EARLY_DAYS * DAY;
}
