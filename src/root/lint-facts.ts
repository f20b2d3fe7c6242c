/** What the rules look at, read from the bytes of a certificate. Pure. */

import { AsnConvert } from '@peculiar/asn1-schema';
import { Certificate, TBSCertificate } from '@peculiar/asn1-x509';
import type { Hash } from './config.ts';
import { derOf, keyOf } from './x509.ts';

/** The facts of one certificate. */
export interface LintFacts {
  tbs: TBSCertificate;
  /** The bytes that are signed. */
  bytes: Buffer;
  /** The whole, where it is signed already. */
  signed: Certificate | undefined;
  serial: Buffer;
  notBefore: Date;
  notAfter: Date;
  /** Object identifiers of the subject's attributes. */
  subjectTypes: string[];
  bits: number;
  /** Of RSA keys. */
  modulus: bigint | undefined;
  exponent: bigint | undefined;
}

/** What a certificate is to be. */
export interface Subject {
  /** DER of the issuer's certificate; undefined for one that signs itself. */
  issuer?: Buffer | undefined;
  hash: Hash;
}

/** The same, read. */
export interface Context {
  issuer: LintFacts | undefined;
  hash: Hash;
}

/** One rule. */
export interface Rule {
  code: string;
  /** `error` unless told. */
  severity?: 'error' | 'warning';
  /** Where it stands. */
  source: string;
  /** What is wrong, as the end of a sentence that begins with the certificate; undefined where nothing is. */
  look(facts: LintFacts, context: Context): string | undefined;
}

/** Reads a certificate, or the part of one that is signed; undefined where the bytes are neither, or not DER. */
export function readFacts(der: Buffer): LintFacts | undefined {
  const signed = attempt(der, Certificate);
  const tbs = signed ? signed.tbsCertificate : attempt(der, TBSCertificate);
  if (!tbs) return undefined;
  const bytes = signed ? Buffer.from(signed.tbsCertificateRaw ?? new ArrayBuffer(0)) : der;
  try {
    return { tbs, bytes, signed, ...factsOf(tbs) };
  } catch {
    return undefined;
  }
}

function attempt<T>(der: Buffer, type: new () => T): T | undefined {
  try {
    const value = AsnConvert.parse(der, type);
    // What is written again must be the same: BER that is no DER would be signed otherwise.
    return derOf(value).equals(der) ? value : undefined;
  } catch {
    return undefined;
  }
}

function factsOf(tbs: TBSCertificate) {
  const key = keyOf(tbs.subjectPublicKeyInfo);
  const { n } = key.asymmetricKeyType === 'rsa' ? key.export({ format: 'jwk' }) : {};
  return {
    serial: Buffer.from(tbs.serialNumber),
    notBefore: tbs.validity.notBefore.getTime(),
    notAfter: tbs.validity.notAfter.getTime(),
    subjectTypes: [...tbs.subject].flatMap((rdn) => [...rdn].map(({ type }) => type)),
    bits: key.asymmetricKeyDetails?.modulusLength ?? 0,
    modulus: n === undefined ? undefined : BigInt(`0x${Buffer.from(n, 'base64url').toString('hex')}`),
    exponent: key.asymmetricKeyDetails?.publicExponent,
  };
}
