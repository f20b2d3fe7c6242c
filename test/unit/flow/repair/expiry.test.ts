import type { X509Certificate } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { type Named, requireExpired } from '../../../../src/flow/repair/expiry.ts';
import { newKey, selfSigned } from '../../certificates.ts';

const key = newKey();

function named(name: string, years: readonly [number, number], subject = `/CN=${name}`): Named {
  return { name: `"${name}"`, certificate: selfSigned({ key, subject, serial: '02', years }) };
}

const authority = named('caSigningCert cert-pki-ca', [2020, 2040]);
const audit = named('auditSigningCert cert-pki-ca', [2020, 2023]);
const ocsp = named('ocspSigningCert cert-pki-ca', [2020, 2022]);
const renewed = named('subsystemCert cert-pki-ca', [2024, 2026]);
const now = new Date('2025-06-01T00:00:00Z');

function codeOf(certificates: readonly Named[], at = now): string | undefined {
  try {
    requireExpired(certificates, at);
  } catch (error) {
    return (error as { code?: string }).code;
  }
  return undefined;
}

describe('what has expired', () => {
  test('is told with the first one first', () => {
    expect(requireExpired([authority, audit, ocsp, renewed], now)).toEqual([ocsp, audit]);
  });

  test('is nothing where all are good', () => {
    expect(codeOf([authority, renewed])).toBe('nothing-expired');
  });

  test('is not believed to a clock that is before a certificate began', () => {
    expect(codeOf([authority, audit, renewed], new Date('2023-06-01T00:00:00Z'))).toBe('clock-behind');
  });

  test('may be the certificate of a CA that signs itself', () => {
    const expired = named('caSigningCert cert-pki-ca', [2000, 2020]);
    expect(requireExpired([ocsp, expired], now)).toEqual([expired, ocsp]);
  });

  test('must not be the certificate of a CA that another authority signed', () => {
    const { certificate } = named('caSigningCert cert-pki-ca', [2000, 2020]);
    const { subject, validFromDate, validToDate } = certificate;
    const below = { ca: true, subject, issuer: 'CN=Corp Root', validFromDate, validToDate };
    const authority = { name: '"caSigningCert cert-pki-ca"', certificate: below as X509Certificate };
    expect(codeOf([authority, ocsp])).toBe('ca-expired');
  });
});
