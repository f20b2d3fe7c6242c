/** Public keys, as tokens tell of them. */
import { createPublicKey, type KeyObject } from 'node:crypto';

/** A public RSA key of its numbers. @param modulus lower-case hex @param exponent lower-case hex */
export function rsaKey(modulus: string, exponent: string): KeyObject {
  const base64url = (hex: string) =>
    Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex').toString('base64url');
  const key = { kty: 'RSA', n: base64url(modulus), e: base64url(exponent) };
  return createPublicKey({ key, format: 'jwk' });
}
