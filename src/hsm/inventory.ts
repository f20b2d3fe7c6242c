/** Compares what is on a token: before and after an installation, and with what ought to be there. Pure. */

import type { ObjectRef, TokenObject } from './protocol.ts';

/** What names one object on a token, without its other facts: what the journal keeps for an undo. */
export function objectRef(object: ObjectRef): ObjectRef {
  const { class: objectClass, id, label, serial } = object;
  return { class: objectClass, id, label, ...(serial !== undefined && { serial }) };
}

/** Whether a reference names this object. A reference without a serial names certificates of any. */
export function sameObject(object: ObjectRef, ref: ObjectRef): boolean {
  return (
    object.class === ref.class &&
    object.id === ref.id &&
    object.label === ref.label &&
    (ref.serial === undefined || object.serial === ref.serial)
  );
}

function keyOf({ class: objectClass, id, label, serial }: ObjectRef): string {
  return JSON.stringify([objectClass, id, label, serial ?? null]);
}

/** The objects of `after` that were not there `before`; equal ones are counted, not merged. */
export function appeared<Item extends ObjectRef>(
  before: readonly ObjectRef[],
  after: readonly Item[],
): Item[] {
  const left = new Map<string, number>();
  for (const object of before) left.set(keyOf(object), (left.get(keyOf(object)) ?? 0) + 1);
  return after.filter((object) => {
    const count = left.get(keyOf(object)) ?? 0;
    left.set(keyOf(object), count - 1);
    return count <= 0;
  });
}

/**
 * The objects that belong to the private keys among `created`: keys and certificates of the same CKA_ID, which NSS
 * derives from the public key. A renewal changes a key's label and a certificate's serial, but never the id.
 */
export function belongingTo<Item extends ObjectRef>(
  objects: readonly Item[],
  created: readonly ObjectRef[],
): Item[] {
  const ids = new Set(
    created.filter(({ class: kind, id }) => kind === 'private-key' && id !== '').map(({ id }) => id),
  );
  const mine = (object: ObjectRef) => ids.has(object.id) || created.some((ref) => sameObject(object, ref));
  return objects.filter(mine);
}

/** What belongs to one system certificate. */
export interface KeyEntry {
  nickname: string;
  /** Several after a renewal that left the old one in place. */
  certificates: TokenObject[];
  privateKeys: TokenObject[];
}

/**
 * The private keys that belong to the certificates of these nicknames. A certificate carries its nickname as label; its
 * key is the one with the same CKA_ID, because a renewal may blank the key's label (seen with certmonger 0.79 and NSS).
 * Where there is no certificate, a key that bears the nickname itself is taken.
 */
export function keysFor(objects: readonly TokenObject[], nicknames: readonly string[]): KeyEntry[] {
  return nicknames.map((nickname) => {
    const certificates = objects.filter((item) => item.class === 'certificate' && item.label === nickname);
    const ids = new Set(certificates.map((item) => item.id).filter((id) => id !== ''));
    const privateKeys = objects.filter(
      (item) => item.class === 'private-key' && (ids.size > 0 ? ids.has(item.id) : item.label === nickname),
    );
    return { nickname, certificates, privateKeys };
  });
}
