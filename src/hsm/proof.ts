/** Proves that a key is on the token: by its attributes, and by a signature that its certificate verifies. */

import { createHash, randomBytes, verify, X509Certificate } from 'node:crypto';
import { failure } from '../errors.ts';
import { keysFor } from './inventory.ts';
import type { Module } from './module.ts';
import type { TokenObject } from './protocol.ts';

/** A system certificate whose private key must be on the token. */
export interface CertificateToProve {
  nickname: string;
  /** DER; the certificates on the token with this nickname as label unless told. */
  certificate?: Buffer;
}

/** A private key that was proven. */
export interface KeyProof {
  nickname: string;
  /** CKA_ID in hex. */
  id: string;
  modulusBits: number | undefined;
  /** Serial number of the certificate that verified the signature, as node:crypto gives it. */
  serialNumber: string;
}

/** DER of DigestInfo up to the hash, for SHA-256 (RFC 8017 section 9.2, note 1). */
const SHA256_DIGEST_INFO = Buffer.from('3031300d060960864801650304020105000420', 'hex');

/** Whether an RSA PKCS#1 v1.5 SHA-256 signature over the data was made with the certificate's key. */
export function verifiesWith(certificate: X509Certificate, data: Buffer, signature: Buffer): boolean {
  return verify('sha256', data, certificate.publicKey, signature);
}

/**
 * Has the token sign a random challenge with the key of this id, the way NSS does (hash in software, CKM_RSA_PKCS), and
 * verifies it here: the key is really on the token and belongs to the certificate.
 * @throws CapstanError `key-not-found`, `key-ambiguous`, and what Module throws
 */
export async function possesses(
  module: Module,
  slot: number,
  id: string,
  certificate: X509Certificate,
): Promise<boolean> {
  const challenge = randomBytes(64);
  const digest = createHash('sha256').update(challenge).digest();
  const signature = await module.sign(slot, id, 'RSA_PKCS', Buffer.concat([SHA256_DIGEST_INFO, digest]));
  return verifiesWith(certificate, challenge, signature);
}

/** The RSA modulus of a certificate, in hex without leading zeros; undefined for other keys. */
export function modulusOf(certificate: X509Certificate): string | undefined {
  const { n } = certificate.publicKey.export({ format: 'jwk' });
  return n && Buffer.from(n, 'base64url').toString('hex').replace(/^0+/, '');
}

/** What is wrong with how a private key is protected; empty when it can never leave the token in the clear. */
export function protectionProblems(key: TokenObject): string[] {
  return [
    ...(key.sensitive === true ? [] : ['is not sensitive']),
    ...(key.extractable === false ? [] : ['can be extracted']),
    ...(key.alwaysSensitive === true ? [] : ['was not always sensitive']),
    ...(key.neverExtractable === true ? [] : ['could once be extracted']),
    ...(key.local === true ? [] : ['was not generated on the token']),
  ];
}

/**
 * Proves for each named system certificate that its private key is on the token, was generated there, is sensitive and
 * never extractable, and matches the certificate. The module must be logged in to the slot.
 * @throws CapstanError `keys-not-proven` with everything that is wrong, and what Module throws
 */
export async function proveKeys(
  module: Module,
  slot: number,
  wanted: readonly CertificateToProve[],
): Promise<KeyProof[]> {
  const objects = await module.objects(slot);
  const problems: string[] = [];
  const proofs: KeyProof[] = [];
  for (const one of wanted) {
    const outcome = await proveKey(module, slot, objects, one);
    if (typeof outcome === 'string') problems.push(`${one.nickname}: ${outcome}`);
    else proofs.push(outcome);
  }
  if (problems.length === 0) return proofs;
  throw failure(
    'keys-not-proven',
    `Not every key is on the token as it should be: ${problems.join('; ')}.`,
    'Do not use this certificate authority; look at the token with the vendor’s tool.',
  );
}

/** The proof of one key, or what is wrong. */
async function proveKey(
  module: Module,
  slot: number,
  objects: readonly TokenObject[],
  { nickname, certificate }: CertificateToProve,
): Promise<KeyProof | string> {
  const [entry] = keysFor(objects, [nickname]);
  const encodings = certificate
    ? [certificate]
    : (entry?.certificates ?? []).flatMap(({ value }) => (value ? [Buffer.from(value, 'base64')] : []));
  if (encodings.length === 0) return 'there is no such certificate on the token';
  const certificates = encodings.map((der) => new X509Certificate(der));
  for (const x509 of certificates) {
    const modulus = modulusOf(x509);
    const key = objects.find((item) => item.class === 'private-key' && modulus && item.modulus === modulus);
    if (!key) continue;
    const weak = protectionProblems(key);
    if (weak.length > 0) return `its private key ${weak.join(', ')}`;
    if (!(await possesses(module, slot, key.id, x509)))
      return 'its private key does not match the certificate';
    return { nickname, id: key.id, modulusBits: key.modulusBits, serialNumber: x509.serialNumber };
  }
  return 'its private key is not on the token';
}
