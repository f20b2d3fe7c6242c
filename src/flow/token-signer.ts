/** Signatures by a key on a token whose certificate, or request for one, is being made. */
import { createHash, type KeyObject } from 'node:crypto';
import { failure } from '../errors.ts';
import type { Module } from '../hsm/module.ts';
import type { Hash } from '../root/config.ts';
import { isSignature, type Signer } from '../root/x509.ts';

/** DER of DigestInfo up to the hash (RFC 8017, 9.2, note 1). */
const DIGEST_INFOS: Readonly<Record<Hash, string>> = {
  'SHA-256': '3031300d060960864801650304020105000420',
  'SHA-384': '3041300d060960864801650304020205000430',
  'SHA-512': '3051300d060960864801650304020305000440',
};

/**
 * Signs as NSS does, by CKM_RSA_PKCS with the hash made here; verified at once.
 * @param key its CKA_ID, in hex, and its public half
 * @returns a signer that throws CapstanError `ca-key-unfit`, and what Module throws
 */
export function tokenSigner(
  module: Module,
  slot: number,
  { id, key, hash }: { id: string; key: KeyObject; hash: Hash },
): Signer {
  return {
    hash,
    async sign(bytes) {
      const digest = createHash(hash.replace('-', '')).update(bytes).digest();
      const info = Buffer.concat([Buffer.from(DIGEST_INFOS[hash], 'hex'), digest]);
      const signature = await module.sign(slot, id, 'RSA_PKCS', info);
      if (isSignature(hash, key, bytes, signature)) return signature;
      throw failure(
        'ca-key-unfit',
        'The token made a signature that the public key of the CA does not verify.',
        'Look at the token with the tool of its vendor.',
      );
    },
  };
}
