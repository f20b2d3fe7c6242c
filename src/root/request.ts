/** Certificate requests (PKCS#10, RFC 2986) as an offline root takes them. Pure. */

import type { KeyObject } from 'node:crypto';
import { CertificationRequest } from '@peculiar/asn1-csr';
import { AsnConvert } from '@peculiar/asn1-schema';
import { Extensions, type Name } from '@peculiar/asn1-x509';
import { type CapstanError, refusal } from '../errors.ts';
import { derIn, EXTENSIONS, hashOf, isSignature, keyOf, sha256, textOf } from './x509.ts';

/** A request whose signature was verified. */
export interface VerifiedRequest {
  subject: Name;
  /** RFC 4514. */
  subjectText: string;
  key: KeyObject;
  bits: number;
  /** SHA-256 of the DER encoding, in hex. */
  fingerprint: string;
  /** The extensions that it asks for: names, or object identifiers where there is none. */
  asked: string[];
}

/** The longest request that is read, in bytes. */
export const LONGEST_REQUEST = 100_000;
/** extensionRequest (RFC 2985, 5.4.2). */
const EXTENSION_REQUEST = '1.2.840.113549.1.9.14';

/**
 * Reads a request and verifies the signature that it bears.
 * @param file its path, for the errors
 * @throws CapstanError `csr-unreadable`, `csr-not-rsa`, `csr-algorithm`, `csr-signature`, `csr-subject-empty`,
 *   `csr-subject-strange`
 */
export function readRequest(bytes: Buffer, file: string): VerifiedRequest {
  const der = derIn(bytes, ['CERTIFICATE REQUEST', 'NEW CERTIFICATE REQUEST']);
  if (!der) throw unreadable(file, 'it holds no PEM block of a request, or more than one');
  const { request, key, asked } = parse(der, file);
  const details = key.asymmetricKeyDetails;
  if (key.asymmetricKeyType !== 'rsa' || !details?.modulusLength) {
    throw refusal('csr-not-rsa', `The key of the request ${file} is not an RSA key.`, 'Make an RSA key.');
  }
  const hash = hashOf(request.signatureAlgorithm.algorithm);
  if (!hash) {
    throw refusal(
      'csr-algorithm',
      `The request ${file} is signed in a way that is not taken (${request.signatureAlgorithm.algorithm}).`,
      'Sign it with RSA (PKCS#1 v1.5) and SHA-256, SHA-384 or SHA-512.',
    );
  }
  const signed = new Uint8Array(request.certificationRequestInfoRaw ?? new ArrayBuffer(0));
  if (!isSignature(hash, key, signed, new Uint8Array(request.signature))) {
    throw refusal(
      'csr-signature',
      `The signature of the request ${file} is wrong: it was changed, or made with another key.`,
      'Have it made again where the key is.',
    );
  }
  const { subject } = request.certificationRequestInfo;
  if (subject.length === 0) {
    const message = `The request ${file} names no subject.`;
    throw refusal('csr-subject-empty', message, 'Have it made again with the name of the CA.');
  }
  const subjectText = textOf(subject);
  // It is shown to people, and written into transcripts, which it could forge.
  if (/[\p{Cc}\u2028\u2029]/u.test(subjectText) || /\p{Bidi_Control}/u.test(subjectText)) {
    const message = `The subject of the request ${file} holds control characters.`;
    throw refusal('csr-subject-strange', message, 'Have it made again with a name of printable characters.');
  }
  return {
    ...{ subject, subjectText, key, bits: details.modulusLength },
    ...{ fingerprint: sha256(der), asked },
  };
}

function parse(der: Buffer, file: string) {
  try {
    const request = AsnConvert.parse(der, CertificationRequest);
    const { subjectPKInfo, attributes } = request.certificationRequestInfo;
    return { request, key: keyOf(subjectPKInfo), asked: askedExtensions(attributes) };
  } catch (error) {
    throw unreadable(file, `it is no PKCS#10 request (${(error as Error).message})`, error);
  }
}

function askedExtensions(
  attributes: CertificationRequest['certificationRequestInfo']['attributes'] | undefined,
): string[] {
  const names = new Map<string, string>(Object.entries(EXTENSIONS).map(([name, oid]) => [oid, name]));
  return [...(attributes ?? [])]
    .filter(({ type }) => type === EXTENSION_REQUEST)
    .flatMap(({ values }) => values.flatMap((value) => [...AsnConvert.parse(value, Extensions)]))
    .map(({ extnID }) => names.get(extnID) ?? extnID);
}

function unreadable(file: string, flaw: string, cause?: unknown): CapstanError {
  return refusal(
    'csr-unreadable',
    `The request ${file} cannot be read: ${flaw}.`,
    'Give the file that the CA wrote, as PEM or DER.',
    cause,
  );
}
