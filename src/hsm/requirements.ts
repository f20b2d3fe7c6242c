/** What a token must be able to do before a certificate authority is put on it. Pure. */

import { type CapstanError, refusal } from '../errors.ts';
import type { MechanismFacts, SessionCount, TokenFacts, TokenObject } from './protocol.ts';

// Numbers of PKCS#11 v2.40 (pkcs11t.h). Written out, so that the installer need not load the addon for them.
const CKM_RSA_PKCS_KEY_PAIR_GEN = 0x00;
const CKM_RSA_PKCS = 0x01;
const CKM_SHA256_RSA_PKCS = 0x40;
const CKM_SHA384_RSA_PKCS = 0x41;
const CKM_SHA512_RSA_PKCS = 0x42;
const CKM_RSA_PKCS_OAEP = 0x09;
const CKM_AES_KEY_GEN = 0x1080;
const CKM_AES_CBC_PAD = 0x1085;
const CKF_ENCRYPT = 0x100;
const CKF_DECRYPT = 0x200;
const CKF_SIGN = 0x800;
const CKF_GENERATE = 0x8000;
const CKF_WRAP = 0x2_0000;
const CKF_UNWRAP = 0x4_0000;
const CKF_GENERATE_KEY_PAIR = 0x1_0000;
/** CK_UNAVAILABLE_INFORMATION, cut to 32 bits as the addon gives it. */
const UNAVAILABLE = 0xffff_ffff;

/**
 * Sessions that one process should be able to open. NSS keeps one for the life of the process, wants a further one for
 * each running signature or key generation, and falls back to the shared one when it gets none (pk11_GetNewSession).
 * Two signatures at a time, a key generation and the shared one make four. Chosen, not measured.
 */
export const NEEDED_SESSIONS = 4;

/** Key sizes are always checked for 2048 bits too: Dogtag makes the subsystem's other keys of that size. */
const ALWAYS_SIZE = 2048;

/**
 * Why the token's state forbids even one try of the PIN; empty when it may be tried.
 * A low counter does not forbid it: one try cannot lock a token that does not say it is the last.
 */
export function pinRefusals(token: TokenFacts): CapstanError[] {
  const name = `The user PIN of the token "${token.label}"`;
  const unlock = 'Have the security officer reset the PIN with the vendor’s tool.';
  return [
    ...(token.userPinInitialised
      ? []
      : [refusal('pin-unset', `${name} was never set.`, 'Set it with the vendor’s tool.')]),
    ...(token.pinLocked ? [refusal('pin-locked', `${name} is locked.`, unlock)] : []),
    ...(token.pinFinalTry && !token.pinLocked
      ? [
          refusal(
            'pin-final-try',
            `${name} has one try left before it locks; it was not tried.`,
            'Log in once with the vendor’s tool and the right PIN, which resets the counter.',
          ),
        ]
      : []),
    ...(token.pinToBeChanged
      ? [refusal('pin-expired', `${name} must be changed before it is used.`, unlock)]
      : []),
    ...(token.pinPad
      ? [
          refusal(
            'token-pin-pad',
            `The token "${token.label}" takes its PIN at the device only; services that start by themselves cannot use it.`,
            'Switch the token to PINs given by programs.',
          ),
        ]
      : []),
  ];
}

/** Refuses a token that cannot be written to, or that will not ask for the PIN. */
export function stateRefusals(token: TokenFacts): CapstanError[] {
  return [
    ...(token.writeProtected
      ? [
          refusal(
            'token-write-protected',
            `The token "${token.label}" is write-protected; no key can be made on it.`,
            'Make the token writable.',
          ),
        ]
      : []),
    ...(token.loginRequired
      ? []
      : [
          refusal(
            'token-unprotected',
            `The token "${token.label}" asks for no login; anyone on the host could use the keys.`,
            'Set up the token so that its keys need the user PIN.',
          ),
        ]),
  ];
}

/** How many sessions are left, in one kind of session. */
export function freeSessions(max: SessionCount, open: SessionCount): SessionCount {
  if (typeof max === 'string') return max;
  return typeof open === 'number' ? Math.max(0, max - open) : 'unknown';
}

/** Refuses a token with too few sessions left; unknown and unlimited ones pass. */
export function sessionRefusals(token: TokenFacts, needed: number): CapstanError[] {
  const { max, open, maxReadWrite, openReadWrite } = token.sessions;
  const kinds: [string, SessionCount, number][] = [
    ['sessions', freeSessions(max, open), needed],
    // Keys are made in a session that writes; it may be one of the needed ones.
    ['read-write sessions', freeSessions(maxReadWrite, openReadWrite), 1],
  ];
  return kinds.flatMap(([kind, free, least]) =>
    typeof free === 'number' && free < least
      ? [
          refusal(
            'sessions-exhausted',
            `The token "${token.label}" has ${free} free ${kind}; at least ${least} are needed.`,
            'End other programs that use the token, or raise its limit of sessions.',
          ),
        ]
      : [],
  );
}

/**
 * Refuses a token that cannot make RSA keys of these sizes or sign with them as Dogtag does.
 *
 * Dogtag signs through JSS and NSS. NSS (lib/cryptohi/secsign.c) hashes in software and signs the DigestInfo with
 * CKM_RSA_PKCS; TLS client authentication does so too. So this mechanism alone serves SHA-256, 384 and 512.
 * Recent NSS prefers the token's own CKM_SHA…_RSA_PKCS where it is offered for signing: it need not be there, but
 * if it is, it must take the key size.
 */
export function mechanismRefusals(
  label: string,
  mechanisms: readonly MechanismFacts[],
  keySizes: readonly number[],
): CapstanError[] {
  const sizes = [...new Set([ALWAYS_SIZE, ...keySizes])].sort((a, b) => a - b);
  const needs: [string, number, number, 'needed' | 'if offered'][] = [
    ['CKM_RSA_PKCS_KEY_PAIR_GEN', CKM_RSA_PKCS_KEY_PAIR_GEN, CKF_GENERATE_KEY_PAIR, 'needed'],
    ['CKM_RSA_PKCS', CKM_RSA_PKCS, CKF_SIGN, 'needed'],
    ['CKM_SHA256_RSA_PKCS', CKM_SHA256_RSA_PKCS, CKF_SIGN, 'if offered'],
    ['CKM_SHA384_RSA_PKCS', CKM_SHA384_RSA_PKCS, CKF_SIGN, 'if offered'],
    ['CKM_SHA512_RSA_PKCS', CKM_SHA512_RSA_PKCS, CKF_SIGN, 'if offered'],
  ];
  return needs.flatMap(([name, type, flag, rule]) => {
    const offered = mechanisms.find((mechanism) => mechanism.type === type && (mechanism.flags & flag) !== 0);
    if (!offered) return rule === 'needed' ? [lacking(label, name)] : [];
    const outside = sizes.filter((size) => !inRange(offered, size));
    return outside.length > 0 ? [tooNarrow(label, name, offered, outside)] : [];
  });
}

/** What a KRA asks of a token besides signatures. */
export interface WrappingNeeds {
  /** Whether keys are wrapped with RSA-OAEP instead of PKCS#1 v1.5. */
  oaep: boolean;
}

/**
 * Refuses a token on which a KRA could not archive and recover: keys for one secret are made on it and wrapped with the
 * storage key, those that clients wrapped with the transport key are unwrapped, and what they encrypt is AES-CBC with
 * padding (SecurityDataProcessor and StorageKeyUnit of Dogtag 10.10.2; a network HSM that lets no AES through has a KRA
 * that archives nothing and says nothing, seen).
 */
export function wrappingRefusals(
  label: string,
  mechanisms: readonly MechanismFacts[],
  { oaep }: WrappingNeeds,
): CapstanError[] {
  const needs: [name: string, type: number, flags: number][] = [
    oaep
      ? ['CKM_RSA_PKCS_OAEP', CKM_RSA_PKCS_OAEP, CKF_WRAP | CKF_UNWRAP]
      : ['CKM_RSA_PKCS', CKM_RSA_PKCS, CKF_WRAP | CKF_UNWRAP],
    ['CKM_AES_KEY_GEN', CKM_AES_KEY_GEN, CKF_GENERATE],
    ['CKM_AES_CBC_PAD', CKM_AES_CBC_PAD, CKF_ENCRYPT | CKF_DECRYPT],
  ];
  const missing = needs.filter(
    ([, type, flags]) => !mechanisms.some((one) => one.type === type && (one.flags & flags) === flags),
  );
  if (missing.length === 0) return [];
  const names = missing.map(([name, , flags]) => `${name} to ${purposeOf(flags)}`);
  return [
    refusal(
      'mechanism-missing',
      `The token "${label}" cannot archive and recover keys: it lacks ${names.join(', ')}.`,
      'Allow these in the HSM’s settings or policy.',
    ),
  ];
}

/**
 * Refuses a token on which secrets could not be sealed: what was encrypted by RSA-OAEP must be opened by the token.
 * Which hashes it knows no token says.
 */
export function sealingRefusals(
  label: string,
  mechanisms: readonly MechanismFacts[],
  bits: number,
): CapstanError[] {
  const offered = mechanisms.find(
    ({ type, flags }) => type === CKM_RSA_PKCS_OAEP && (flags & CKF_DECRYPT) !== 0,
  );
  if (offered && inRange(offered, bits)) return [];
  if (offered) return [tooNarrow(label, 'CKM_RSA_PKCS_OAEP', offered, [bits])];
  return [
    refusal(
      'mechanism-missing',
      `The token "${label}" cannot keep passwords for the second stage: it lacks CKM_RSA_PKCS_OAEP to decrypt.`,
      'Leave --keep-secrets out, and give the passwords again then; or allow it in the HSM’s settings or policy.',
    ),
  ];
}

function purposeOf(flags: number): string {
  if (flags & CKF_GENERATE) return 'make keys';
  return flags & CKF_WRAP ? 'wrap and unwrap' : 'encrypt and decrypt';
}

/** A maximum of 0 or CK_UNAVAILABLE_INFORMATION says nothing; the size is taken to fit. */
function inRange({ minKeySize, maxKeySize }: MechanismFacts, size: number): boolean {
  const isTooLarge = maxKeySize !== 0 && maxKeySize !== UNAVAILABLE && size > maxKeySize;
  const isTooSmall = minKeySize !== UNAVAILABLE && size < minKeySize;
  return !isTooLarge && !isTooSmall;
}

function lacking(label: string, mechanism: string): CapstanError {
  const purpose = mechanism.endsWith('GEN') ? 'generate RSA keys' : 'sign with RSA keys the way Dogtag does';
  return refusal(
    'mechanism-missing',
    `The token "${label}" cannot ${purpose}: it lacks ${mechanism}.`,
    'Allow the mechanism in the HSM’s settings or policy.',
  );
}

function tooNarrow(label: string, name: string, range: MechanismFacts, sizes: number[]): CapstanError {
  return refusal(
    'key-size-unsupported',
    `The token "${label}" has ${name} for ${range.minKeySize} to ${range.maxKeySize} bits, not for ${sizes.join(' and ')}.`,
    'Choose another key size, or allow it in the HSM’s settings or policy.',
  );
}

/** Refuses a token on which something bears the nickname of a system certificate already; names each object. */
export function occupiedRefusals(
  label: string,
  objects: readonly TokenObject[],
  nicknames: readonly string[],
): CapstanError[] {
  const found = objects.filter((object) => nicknames.includes(object.label));
  if (found.length === 0) return [];
  const list = found.map((object) => `${object.class} "${object.label}" (id ${object.id || 'none'})`);
  return [
    refusal(
      'token-occupied',
      `The token "${label}" holds objects of a certificate authority already: ${list.join(', ')}.`,
      'Use an empty token. If the objects are left over from an installation that is gone, delete them with the vendor’s tool.',
    ),
  ];
}
