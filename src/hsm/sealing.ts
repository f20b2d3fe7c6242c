/** A key pair on a token that secrets are sealed with: what is encrypted to its public half the token alone can open. */
import { constants, type KeyObject, publicEncrypt, randomBytes } from 'node:crypto';
import { CapstanError, failure, isInterruption } from '../errors.ts';
import { CONTENT_KEY, OAEP_HASHES, type OaepHash, type WrappedKey } from '../secret/sealed.ts';
import type { Module } from './module.ts';
import { protectionProblems } from './proof.ts';
import type { ObjectRef } from './protocol.ts';
import { rsaKey } from './public-key.ts';

/** What names the pair on the token, and how large it is. */
export interface SealingKey {
  label: string;
  /** CKA_ID, in lower-case hex. */
  id: string;
  bits: number;
}

/** The two objects of the pair, for their deletion; the private half first: without it nothing opens any more. */
export function sealingObjects({ label, id }: Pick<SealingKey, 'label' | 'id'>): ObjectRef[] {
  return [
    { class: 'private-key', id, label },
    { class: 'public-key', id, label },
  ];
}

/** A content key, and the same encrypted to a key on a token. */
export interface ContentKey {
  plain: Buffer;
  wrapped: WrappedKey;
}

/**
 * Makes the pair, and a content key that it opens: the token has opened it when this returns, by the best hash that it
 * knows (SoftHSM 2.6.1 and 2.7.0 know SHA-1 alone; OAEP asks no collision resistance of it). The module must be logged in.
 * @throws CapstanError `sealing-key-unfit`, and what Module throws
 */
export async function makeSealingKey(module: Module, slot: number, key: SealingKey): Promise<ContentKey> {
  await module.generateKeyPair(slot, { ...key, use: 'decrypt' });
  const publicKey = await publicHalf(module, slot, key);
  const plain = randomBytes(CONTENT_KEY);
  let refused: unknown;
  for (const hash of OAEP_HASHES) {
    const wrapped = wrap(publicKey, hash, plain);
    try {
      if (plain.equals(await openContentKey(module, slot, key.id, wrapped))) return { plain, wrapped };
    } catch (error) {
      if (!(error instanceof CapstanError) || !error.code.startsWith('pkcs11-') || isInterruption(error))
        throw error;
      refused = error;
    }
  }
  throw unfit('it does not open what was encrypted to it by RSA-OAEP', refused);
}

/** The public half of the pair, if the private one cannot leave the token. */
async function publicHalf(module: Module, slot: number, { id, label }: SealingKey) {
  const pair = (await module.objects(slot)).filter((one) => one.id === id && one.label === label);
  const [key, ...others] = pair.filter((one) => one.class === 'private-key');
  const open = pair.find((one) => one.class === 'public-key');
  const problems = key ? protectionProblems(key) : ['is not there'];
  if (problems.length > 0) throw unfit(`it ${problems.join(', ')}`);
  if (others.length > 0 || !open?.modulus || !open.exponent)
    throw unfit('it is not alone, or its public half is not told');
  return rsaKey(open.modulus, open.exponent);
}

function wrap(key: KeyObject, hash: OaepHash, plain: Buffer): WrappedKey {
  const oaepHash = hash.replace('-', '').toLowerCase();
  return { hash, key: publicEncrypt({ key, oaepHash, padding: constants.RSA_PKCS1_OAEP_PADDING }, plain) };
}

/**
 * Has the token open a content key. The module must be logged in.
 * @throws CapstanError `key-not-found`, `key-ambiguous`, and what Module throws
 */
export async function openContentKey(
  module: Module,
  slot: number,
  id: string,
  { hash, key }: WrappedKey,
): Promise<Buffer> {
  return module.decrypt(slot, id, hash, key);
}

function unfit(why: string, cause?: unknown) {
  return failure(
    'sealing-key-unfit',
    `The token made a key for the passwords that cannot be used: ${why}.`,
    'See the settings and the policy of the HSM; or leave --keep-secrets out.',
    cause,
  );
}
