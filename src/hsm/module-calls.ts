/** What is asked of a token in the module process: its facts, its login, the work of its keys. See module-child.ts. */

import pkcs11, { type Handle } from 'pkcs11js';
import type { OaepHash } from '../secret/sealed.ts';
import { CallFailure, call, type LoadedModule, padded, session, slotHandle } from './module-library.ts';
import { search } from './module-objects.ts';
import type {
  MechanismFacts,
  SessionCount,
  SignMechanism,
  SlotFacts,
  TokenFacts,
  UnreadableSlot,
} from './protocol.ts';

/** Longest answer of a key: RSA of 16384 bits. */
const ANSWER_BYTES = 2048;
/** CK_UNAVAILABLE_INFORMATION as the addon gives it: cut to 32 bits. */
const UNAVAILABLE = 0xffff_ffff;

/** Every token that is present; slots that will not tell are listed beside, so that one cannot hide another. */
export function tokens(module: LoadedModule): { tokens: TokenFacts[]; unreadable: UnreadableSlot[] } {
  const found: TokenFacts[] = [];
  const unreadable: UnreadableSlot[] = [];
  for (const handle of call(module, 'C_GetSlotList', () => module.library.C_GetSlotList(true))) {
    const slot = Number(handle.readBigUInt64LE());
    try {
      found.push(tokenFacts(module, slot));
    } catch (error) {
      if (!(error instanceof CallFailure) || error.failure.kind !== 'return-code') throw error;
      unreadable.push({ slot, returnCode: error.failure.returnCode });
    }
  }
  return { tokens: found, unreadable };
}

function tokenFacts(module: LoadedModule, slot: number): TokenFacts {
  const info = call(module, 'C_GetTokenInfo', () => module.library.C_GetTokenInfo(slotHandle(slot)));
  const has = (flag: number) => (info.flags & flag) !== 0;
  return {
    slot,
    label: padded(info.label),
    serial: padded(info.serialNumber),
    manufacturer: padded(info.manufacturerID),
    model: padded(info.model),
    firmware: `${info.firmwareVersion.major}.${info.firmwareVersion.minor}`,
    initialised: has(pkcs11.CKF_TOKEN_INITIALIZED),
    loginRequired: has(pkcs11.CKF_LOGIN_REQUIRED),
    pinPad: has(pkcs11.CKF_PROTECTED_AUTHENTICATION_PATH),
    writeProtected: has(pkcs11.CKF_WRITE_PROTECTED),
    userPinInitialised: has(pkcs11.CKF_USER_PIN_INITIALIZED),
    pinCountLow: has(pkcs11.CKF_USER_PIN_COUNT_LOW),
    pinFinalTry: has(pkcs11.CKF_USER_PIN_FINAL_TRY),
    pinLocked: has(pkcs11.CKF_USER_PIN_LOCKED),
    pinToBeChanged: has(pkcs11.CKF_USER_PIN_TO_BE_CHANGED),
    sessions: {
      max: limit(info.maxSessionCount),
      open: counted(info.sessionCount),
      maxReadWrite: limit(info.maxRwSessionCount),
      openReadWrite: counted(info.rwSessionCount),
    },
  };
}

function limit(value: number): SessionCount {
  return value === 0 ? 'unlimited' : counted(value);
}

function counted(value: number): SessionCount {
  return value === UNAVAILABLE ? 'unknown' : value;
}

/** What a slot says about itself. */
export function slotFacts(module: LoadedModule, slot: number): SlotFacts {
  const info = call(module, 'C_GetSlotInfo', () => module.library.C_GetSlotInfo(slotHandle(slot)));
  return { description: padded(info.slotDescription), manufacturer: padded(info.manufacturerID) };
}

/** Every mechanism of a token. */
export function mechanisms(module: LoadedModule, slot: number): MechanismFacts[] {
  const handle = slotHandle(slot);
  const types = call(module, 'C_GetMechanismList', () => module.library.C_GetMechanismList(handle));
  return types.map((type) => ({
    type,
    ...call(module, 'C_GetMechanismInfo', () => module.library.C_GetMechanismInfo(handle, type)),
  }));
}

/**
 * Logs in as the token's user: one C_Login for a slot in the life of the process, whatever is asked later.
 * @param pin nothing where it is typed at the token itself
 */
export function login(module: LoadedModule, slot: number, pin: string | undefined): null {
  const handle = session(module, slot, 'read');
  const before = module.logins.get(slot);
  if (before === undefined) {
    try {
      call(module, 'C_Login', () => module.library.C_Login(handle, pkcs11.CKU_USER, pin ?? ''));
      module.logins.set(slot, pkcs11.CKR_OK);
    } catch (error) {
      if (error instanceof CallFailure && error.failure.kind === 'return-code') {
        module.logins.set(slot, error.failure.returnCode);
      }
      throw error;
    }
  } else if (before !== pkcs11.CKR_OK) {
    throw new CallFailure({ kind: 'return-code', function: 'C_Login', returnCode: before });
  }
  return null;
}

const MECHANISMS: Record<SignMechanism, number> = {
  RSA_PKCS: pkcs11.CKM_RSA_PKCS,
  SHA256_RSA_PKCS: pkcs11.CKM_SHA256_RSA_PKCS,
  SHA384_RSA_PKCS: pkcs11.CKM_SHA384_RSA_PKCS,
  SHA512_RSA_PKCS: pkcs11.CKM_SHA512_RSA_PKCS,
};

/** Signs with the one private key of that id; answers the signature. */
export function sign(
  module: LoadedModule,
  slot: number,
  id: string,
  name: SignMechanism,
  data: Buffer,
): Buffer {
  const handle = session(module, slot, 'read');
  const key = privateKey(module, handle, id);
  const mechanism = { mechanism: MECHANISMS[name] };
  call(module, 'C_SignInit', () => module.library.C_SignInit(handle, mechanism, key));
  return call(module, 'C_Sign', () => module.library.C_Sign(handle, data, Buffer.alloc(ANSWER_BYTES)));
}

/** The one private key of this id. */
function privateKey(module: LoadedModule, handle: Handle, id: string): Handle {
  const keys = search(module, handle, [
    { type: pkcs11.CKA_TOKEN, value: true },
    { type: pkcs11.CKA_CLASS, value: pkcs11.CKO_PRIVATE_KEY },
    { type: pkcs11.CKA_ID, value: Buffer.from(id, 'hex') },
  ]);
  const [key] = keys;
  if (!key || keys.length > 1) throw new CallFailure({ kind: 'key', id, found: keys.length });
  return key;
}

/** CKZ_DATA_SPECIFIED: the label is given, here none (PKCS#11 v2.40 mechanisms, 2.1.7). */
const DATA_SPECIFIED = 1;

const OAEP: Record<OaepHash, { hashAlg: number; mgf: number }> = {
  'SHA-256': { hashAlg: pkcs11.CKM_SHA256, mgf: pkcs11.CKG_MGF1_SHA256 },
  'SHA-1': { hashAlg: pkcs11.CKM_SHA_1, mgf: pkcs11.CKG_MGF1_SHA1 },
};

/** Decrypts by RSA-OAEP with the one private key of that id; answers the plain text. */
export function decrypt(
  module: LoadedModule,
  slot: number,
  id: string,
  hash: OaepHash,
  data: Buffer,
): Buffer {
  const handle = session(module, slot, 'read');
  const key = privateKey(module, handle, id);
  const parameter = { type: pkcs11.CK_PARAMS_RSA_OAEP, ...OAEP[hash], source: DATA_SPECIFIED };
  const mechanism = { mechanism: pkcs11.CKM_RSA_PKCS_OAEP, parameter };
  call(module, 'C_DecryptInit', () => module.library.C_DecryptInit(handle, mechanism, key));
  return call(module, 'C_Decrypt', () => module.library.C_Decrypt(handle, data, Buffer.alloc(ANSWER_BYTES)));
}
