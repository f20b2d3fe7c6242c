/** Makes key pairs in the module process. See module-child.ts. */

import { createHash, randomBytes } from 'node:crypto';
import pkcs11, { type Handle, type Template } from 'pkcs11js';
import { call, failedWith, type LoadedModule, session } from './module-library.ts';
import type { KeyPairWish } from './protocol.ts';

/** 65537, the exponent that FIPS 186-5 (5.4) and every library can work with. */
const PUBLIC_EXPONENT = Buffer.from([1, 0, 1]);

/**
 * Makes an RSA key pair that lives on the token: the private key is sensitive, cannot be extracted, and does one thing only.
 * Where the token knows the attribute, it cannot be copied either.
 */
export function generate(module: LoadedModule, slot: number, wish: KeyPairWish): null {
  try {
    make(module, slot, wish, [{ type: pkcs11.CKA_COPYABLE, value: false }]);
  } catch (error) {
    // Of PKCS#11 2.40, and older tokens refuse what they do not know. One that was refused made nothing.
    const unknown = [pkcs11.CKR_ATTRIBUTE_TYPE_INVALID, pkcs11.CKR_ATTRIBUTE_VALUE_INVALID];
    if (!failedWith(error, ...unknown, pkcs11.CKR_TEMPLATE_INCONSISTENT)) throw error;
    make(module, slot, wish, []);
  }
  return null;
}

function make(module: LoadedModule, slot: number, wish: KeyPairWish, more: Template): void {
  const { label, id, bits, use = 'sign' } = wish;
  const names = [
    { type: pkcs11.CKA_TOKEN, value: true },
    { type: pkcs11.CKA_LABEL, value: label },
    { type: pkcs11.CKA_ID, value: id === undefined ? randomBytes(20) : Buffer.from(id, 'hex') },
  ];
  const publicKey = [
    ...names,
    { type: pkcs11.CKA_MODULUS_BITS, value: bits },
    { type: pkcs11.CKA_PUBLIC_EXPONENT, value: PUBLIC_EXPONENT },
    { type: use === 'sign' ? pkcs11.CKA_VERIFY : pkcs11.CKA_ENCRYPT, value: true },
  ];
  const privateKey = [
    ...names,
    { type: pkcs11.CKA_PRIVATE, value: true },
    { type: pkcs11.CKA_SENSITIVE, value: true },
    { type: pkcs11.CKA_EXTRACTABLE, value: false },
    { type: pkcs11.CKA_SIGN, value: use === 'sign' },
    { type: pkcs11.CKA_DECRYPT, value: use === 'decrypt' },
    { type: pkcs11.CKA_UNWRAP, value: false },
    ...more,
  ];
  const handle = session(module, slot, 'write');
  const mechanism = { mechanism: pkcs11.CKM_RSA_PKCS_KEY_PAIR_GEN };
  const made = call(module, 'C_GenerateKeyPair', () =>
    module.library.C_GenerateKeyPair(handle, mechanism, publicKey, privateKey),
  );
  if (id === undefined) nameAsNss(module, handle, made);
}

/**
 * Gives a key pair the id by which NSS finds the key of a certificate: SHA-1 of the modulus without leading zeros
 * (PK11_MakeIDFromPubKey of NSS 3.61), which NSS itself sets in this way after it has made a key.
 */
function nameAsNss(
  module: LoadedModule,
  handle: Handle,
  made: { publicKey: Handle; privateKey: Handle },
): void {
  const [modulus] = call(module, 'C_GetAttributeValue', () =>
    module.library.C_GetAttributeValue(handle, made.publicKey, [{ type: pkcs11.CKA_MODULUS }]),
  );
  const octets = Buffer.isBuffer(modulus?.value) ? modulus.value : Buffer.alloc(0);
  const value = createHash('sha1')
    .update(octets.subarray(octets.findIndex((octet) => octet !== 0)))
    .digest();
  for (const object of [made.publicKey, made.privateKey]) {
    call(module, 'C_SetAttributeValue', () =>
      module.library.C_SetAttributeValue(handle, object, [{ type: pkcs11.CKA_ID, value }]),
    );
  }
}
