import { randomBytes } from 'node:crypto';
import { Secret } from './secret.ts';

/** A password that is drawn for one use, and kept by nobody who only passes it on. @param what for people */
export function passingSecret(what: string): Secret {
  return new Secret(randomBytes(24).toString('base64url'), what);
}
