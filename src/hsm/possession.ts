/** Proof that a token is the one that a CA's keys are on: it signs with each of them. */
import { X509Certificate } from 'node:crypto';
import { keysFor } from './inventory.ts';
import type { Module } from './module.ts';
import { modulusOf, possesses } from './proof.ts';
import type { TokenObject } from './protocol.ts';

/** A key that a token should hold. */
export interface KeySought {
  /** The nickname of its certificate. */
  nickname: string;
  /** DER, where it is known beforehand; else the certificate is looked for on the token. */
  certificate?: Buffer;
}

/** What was found of a key that was looked for. */
export type KeyFinding = { nickname: string } & (
  | { state: 'possessed'; id: string; serialNumber: string }
  /** No certificate of this nickname is on the token. */
  | { state: 'no-certificate' }
  /** The certificates of this nickname on the token are not the CA's. */
  | { state: 'foreign-certificate'; issuer: string }
  | { state: 'no-key' }
  /** The token signs with it, and the certificate does not verify that. */
  | { state: 'other-key' }
);

/**
 * Has the token sign a random challenge with each key, and verifies it with the certificate: the one that is given, or
 * one on the token that the CA issued. How a key is protected is not judged: on another appliance of the same
 * vendor a key may count as imported. The module must be logged in to the slot.
 * @param ca the CA certificate, which the certificates that are found on the token must be issued by
 * @throws CapstanError what Module throws
 */
export async function lookForKeys(
  module: Module,
  slot: number,
  sought: readonly KeySought[],
  ca: X509Certificate,
): Promise<KeyFinding[]> {
  const objects = await module.objects(slot);
  const findings: KeyFinding[] = [];
  for (const one of sought) findings.push(await lookForKey(module, slot, objects, one, ca));
  return findings;
}

async function lookForKey(
  module: Module,
  slot: number,
  objects: readonly TokenObject[],
  { nickname, certificate }: KeySought,
  ca: X509Certificate,
): Promise<KeyFinding> {
  const onToken = keysFor(objects, [nickname])[0]?.certificates ?? [];
  const encoded = onToken.flatMap(({ value }) => (value ? [Buffer.from(value, 'base64')] : []));
  const found = (certificate ? [certificate] : encoded).map((der) => new X509Certificate(der));
  const [first] = found;
  if (!first) return { nickname, state: 'no-certificate' };
  const issued = certificate ? found : found.filter((one) => one.checkIssued(ca) && one.verify(ca.publicKey));
  if (issued.length === 0) return { nickname, state: 'foreign-certificate', issuer: first.issuer };
  let state: 'no-key' | 'other-key' = 'no-key';
  for (const x509 of issued) {
    const key = privateKeyOf(objects, nickname, x509);
    if (!key) continue;
    if (await possesses(module, slot, key.id, x509))
      return { nickname, state: 'possessed', id: key.id, serialNumber: x509.serialNumber };
    state = 'other-key';
  }
  return { nickname, state };
}

/** The private key of a certificate: of the same modulus; where the token tells none, that of the certificate's id. */
function privateKeyOf(objects: readonly TokenObject[], nickname: string, certificate: X509Certificate) {
  const modulus = modulusOf(certificate);
  const same = objects.find((item) => item.class === 'private-key' && modulus && item.modulus === modulus);
  return same ?? keysFor(objects, [nickname])[0]?.privateKeys.find((item) => item.modulus === undefined);
}
