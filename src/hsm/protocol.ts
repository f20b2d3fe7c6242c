/** The facts and messages that travel between Capstan and the process that holds a PKCS#11 library. Types only. */

import type { OaepHash } from '../secret/sealed.ts';

/** What the library says about itself (C_GetInfo, PKCS#11 v2.40 section 5.4). */
export interface ModuleFacts {
  manufacturer: string;
  description: string;
  /** `2.6` */
  libraryVersion: string;
  cryptokiVersion: string;
}

/** A number of sessions: 0 in the token's answer means unlimited, CK_UNAVAILABLE_INFORMATION means unknown. */
export type SessionCount = number | 'unlimited' | 'unknown';

/** What a token says about itself (CK_TOKEN_INFO, PKCS#11 v2.40 section 3.2), blanks trimmed. */
export interface TokenFacts {
  slot: number;
  label: string;
  serial: string;
  manufacturer: string;
  model: string;
  /** `2.6`; of the token, not of the library. */
  firmware: string;
  initialised: boolean;
  loginRequired: boolean;
  /** The PIN is typed at the device (CKF_PROTECTED_AUTHENTICATION_PATH). */
  pinPad: boolean;
  writeProtected: boolean;
  userPinInitialised: boolean;
  /** A wrong PIN was given since the last good one. */
  pinCountLow: boolean;
  pinFinalTry: boolean;
  pinLocked: boolean;
  pinToBeChanged: boolean;
  /** Sessions that one process may have, and has, open. The token's own numbers; they count per application. */
  sessions: {
    max: SessionCount;
    open: SessionCount;
    maxReadWrite: SessionCount;
    openReadWrite: SessionCount;
  };
}

/** What a slot says about itself (CK_SLOT_INFO, PKCS#11 v2.40 section 3.2), blanks trimmed. */
export interface SlotFacts {
  description: string;
  manufacturer: string;
}

/** An RSA key pair that is to be made. */
export interface KeyPairWish {
  /** CKA_LABEL of both. */
  label: string;
  /** CKA_ID of both, in lower-case hex; unless told that by which NSS finds the key of a certificate. */
  id?: string;
  bits: number;
  /** The one thing that the private key may do; `sign` unless told. */
  use?: 'sign' | 'decrypt';
}

/** A slot whose token would not tell its facts, and the return code it gave instead. */
export interface UnreadableSlot {
  slot: number;
  returnCode: number;
}

/** One mechanism of a token (CK_MECHANISM_INFO). Key sizes of RSA mechanisms are in bits. */
export interface MechanismFacts {
  type: number;
  minKeySize: number;
  maxKeySize: number;
  flags: number;
}

/** The classes of token objects that matter to a certificate authority. */
export type ObjectClass = 'certificate' | 'private-key' | 'public-key' | 'secret-key' | 'data' | 'other';

/** Names one object on a token. The serial tells a renewed certificate from the one it replaced. */
export interface ObjectRef {
  class: ObjectClass;
  /** CKA_ID in lower-case hex; empty where there is none. */
  id: string;
  /** CKA_LABEL; empty where there is none (a renewal may blank a key's label). */
  label: string;
  /** CKA_SERIAL_NUMBER in lower-case hex, of certificates. */
  serial?: string;
}

/** One object on a token. An attribute that the token does not give is left out. */
export interface TokenObject extends ObjectRef {
  keyType?: 'RSA' | 'EC' | 'AES' | 'other';
  /** Of RSA keys, in bits. */
  modulusBits?: number;
  /** Of RSA keys, lower-case hex without leading zeros. */
  modulus?: string;
  /** Of RSA public keys, likewise. */
  exponent?: string;
  sensitive?: boolean;
  extractable?: boolean;
  alwaysSensitive?: boolean;
  neverExtractable?: boolean;
  local?: boolean;
  /** Of certificates: the DER encoding in base64. */
  value?: string;
}

/** Signing mechanisms that Capstan uses. `RSA_PKCS` signs a DigestInfo as it is; the others hash first. */
export type SignMechanism = 'RSA_PKCS' | 'SHA256_RSA_PKCS' | 'SHA384_RSA_PKCS' | 'SHA512_RSA_PKCS';

/** What can be asked of the process, with the answer's type. */
export interface Calls {
  /** Becomes the user, checks the path as that user, loads and initialises the library. Must be first. */
  open: {
    ask: { libraryPath: string; user?: { name: string; gid: number; uid: number } };
    answer: ModuleFacts;
  };
  tokens: { ask: object; answer: { tokens: TokenFacts[]; unreadable: UnreadableSlot[] } };
  slot: { ask: { slot: number }; answer: SlotFacts };
  mechanisms: { ask: { slot: number }; answer: MechanismFacts[] };
  /** Without a PIN it is asked for at the token's own keypad. */
  login: { ask: { slot: number; pin?: string }; answer: null };
  generate: { ask: { slot: number; wish: KeyPairWish }; answer: null };
  /** Looks up every token object and keeps the handles; answers how many there are. */
  find: { ask: { slot: number }; answer: number };
  /** Facts of objects `from` up to `from + count` of the last `find`. */
  read: { ask: { slot: number; from: number; count: number }; answer: TokenObject[] };
  sign: { ask: { slot: number; id: string; mechanism: SignMechanism; data: string }; answer: string };
  /** Decrypts by RSA-OAEP (RFC 8017, 7.1) with this hash, in MGF1 too, and an empty label. */
  decrypt: { ask: { slot: number; id: string; hash: OaepHash; data: string }; answer: string };
  /** Destroys the object at `index` of the last `find`, if it still is what `expected` says. */
  destroy: { ask: { slot: number; index: number; expected: ObjectRef }; answer: null };
  close: { ask: object; answer: null };
}

/** The name of a question. */
export type CallName = keyof Calls;

/** One question; `number` pairs it with its answer. */
export type Question = { [Name in CallName]: { number: number; call: Name } & Calls[Name]['ask'] }[CallName];

/** Why a call did not succeed, as facts; the sentences are composed by the parent. */
export type ChildFailure =
  | { kind: 'return-code'; function: string; returnCode: number }
  | { kind: 'path'; problem: 'missing' | 'denied' | 'not-a-file'; path: string }
  | { kind: 'load'; detail: string }
  | { kind: 'not-pkcs11'; detail: string }
  | { kind: 'user'; detail: string }
  | { kind: 'key'; id: string; found: number }
  | { kind: 'changed-object' }
  | { kind: 'defect'; detail: string };

/** What the process sends: the function it is about to enter, or the answer to a question. */
export type ChildMessage =
  | { entering: string }
  | { number: number; answer: unknown }
  | { number: number; failure: ChildFailure };
