import type { X509Certificate } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import {
  type Named,
  requireExpired,
  requireSuccessor,
  successorIn,
} from '../../../../src/flow/repair/expiry.ts';
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
});

describe('the certificate of the CA after its end', () => {
  const own = (years: readonly [number, number], serial = '02') =>
    selfSigned({ key, subject: '/CN=CA', serial, years, ca: true });
  const expired = own([2000, 2020]);
  const next = own([2024, 2030], '03');
  const root = selfSigned({
    key: newKey(),
    subject: '/CN=Root',
    serial: '01',
    years: [2020, 2040],
    ca: true,
  });
  const { ca, subject, publicKey, raw, validFromDate, validToDate } = expired;
  const elsewhere = {
    ...{ ca, subject, publicKey, raw, validFromDate, validToDate },
    issuer: 'CN=Corp Root',
  } as X509Certificate;

  function refusal(accepted: readonly X509Certificate[]): unknown {
    try {
      return requireSuccessor(elsewhere, accepted, now);
    } catch (error) {
      return (error as { code?: string }).code;
    }
  }

  test('is followed by what the CA signs itself, unless another authority has to', () => {
    expect(requireSuccessor(expired, [], now)).toBe('signs itself once more');
    expect(refusal([])).toBe('ca-expired');
  });

  test('is followed by what was accepted', () => {
    expect(successorIn([next, root], elsewhere, now)).toEqual([next, root]);
    expect(refusal([next, root])).toMatch(/accepted.*2030-01-01/);
  });

  test('is not followed by what is for another key, nor by what has ended meanwhile or is below what has', () => {
    const other = selfSigned({
      key: newKey(),
      subject: '/CN=CA',
      serial: '03',
      years: [2024, 2030],
      ca: true,
    });
    for (const accepted of [
      [other, root],
      [own([2000, 2021], '03'), root],
      [next, own([2000, 2022], '04')],
    ])
      expect(refusal(accepted)).toBe('ca-expired');
  });

  test('is no matter while it lasts, but what is in its place already is still on its way elsewhere', () => {
    expect(requireSuccessor(next, [], now)).toBe('is good until 2030-01-01');
    expect(successorIn([next, root], next, now)).toEqual([next, root]);
  });
});
