/** What a token, its label, its PIN and its library may be called. Pure. */

import { refusal } from '../errors.ts';
import type { Secret } from '../secret/secret.ts';
import type { TokenFacts } from './protocol.ts';

/** Bytes of CK_TOKEN_INFO.label (PKCS#11 v2.40 section 3.2). */
const LABEL_BYTES = 32;

/** Names that NSS and Dogtag give to the internal token (JSS CryptoUtil; NSS default slot names). */
const INTERNAL_NAMES = ['internal', 'internal key storage token', 'nss certificate db'];

const CONTROLS = /[\p{Cc}\u2028\u2029]/u;

/** Characters that a label may not hold, and who would stumble over them. */
const RESERVED: readonly [string, string][] = [
  [':', 'Dogtag splits nicknames at it'],
  [';', 'it separates the fields of the HSM record'],
  ['=', 'it ends the key in Dogtag’s password.conf'],
];

/** Every reason why a text cannot be the label of Capstan's token; empty when it can. */
function labelProblems(label: string): string[] {
  const bytes = Buffer.byteLength(label);
  return [
    ...(bytes === 0 ? ['it is empty'] : []),
    ...(bytes > LABEL_BYTES ? [`it has ${bytes} bytes, and a PKCS#11 label at most ${LABEL_BYTES}`] : []),
    ...RESERVED.filter(([character]) => label.includes(character)).map(
      ([character, reason]) => `it holds "${character}" (${reason})`,
    ),
    ...(CONTROLS.test(label) ? ['it holds a control character'] : []),
    ...(label.isWellFormed() ? [] : ['it is no valid Unicode']),
    ...(label.trim() === label ? [] : ['it begins or ends with a blank']),
    ...(INTERNAL_NAMES.includes(label.toLowerCase()) ? ['it is a name of the internal token'] : []),
  ];
}

/**
 * The text as a token label, if Dogtag, password.conf and the HSM record can all carry it.
 * @throws CapstanError `token-label-invalid` with every reason
 */
export function tokenLabel(value: string): string {
  const problems = labelProblems(value);
  if (problems.length === 0) return value;
  throw refusal(
    'token-label-invalid',
    `The token name ${JSON.stringify(value)} cannot be used: ${problems.join('; ')}.`,
    'Give the token another label with the vendor’s tool.',
  );
}

function pinProblems(pin: string): string[] {
  return [
    ...(pin === '' ? ['it is empty'] : []),
    // pki.util splits the file as str.splitlines does: at every control of this kind, U+0085 and U+2028 among them.
    ...(CONTROLS.test(pin) ? ['it holds a control character or a line break'] : []),
    // Java reads the file in the default charset of its process, which is not the same on every host.
    ...(/[^\p{Cc}\u2028\u2029\x20-\x7e]/u.test(pin) ? ['it holds characters other than ASCII'] : []),
    ...(pin.trim() === pin ? [] : ['it begins or ends with a blank']),
    ...(pin.endsWith('\\') ? ['it ends with a backslash, which swallows the next line'] : []),
  ];
}

/**
 * The PIN, if Dogtag's password.conf can carry it there and back (read by Python's pki.util and by Java's
 * PlainPasswordFile, Dogtag 10.10 to 11).
 * @throws CapstanError `token-password-invalid` with every reason, never with the value
 */
export function tokenPin(pin: Secret): Secret {
  const problems = pinProblems(pin.reveal());
  if (problems.length === 0) return pin;
  throw refusal(
    'token-password-invalid',
    `The token password cannot be carried by Dogtag’s password.conf: ${problems.join('; ')}.`,
    'Set another user PIN with the vendor’s tool.',
  );
}

/**
 * The text as the path of a PKCS#11 library, if the HSM record can carry it.
 * @throws CapstanError `library-path-invalid`
 */
export function libraryPath(value: string): string {
  const problems = [
    ...(value.startsWith('/') && !value.endsWith('/') ? [] : ['it is no absolute path of a file']),
    ...(value.includes(';') ? ['it holds ";" (which separates the fields of the HSM record)'] : []),
    ...(CONTROLS.test(value) ? ['it holds a control character'] : []),
  ];
  if (problems.length === 0) return value;
  throw refusal(
    'library-path-invalid',
    `The library path ${JSON.stringify(value)} cannot be used: ${problems.join('; ')}.`,
    'Give the absolute path of the PKCS#11 library.',
  );
}

/**
 * The name under which the library is registered in NSS: its base name up to `.so`; where there is none, up to the
 * first dot, as FreeIPA does.
 */
export function moduleName(libraryPath: string): string {
  const base = libraryPath.slice(libraryPath.lastIndexOf('/') + 1);
  const [, beforeSuffix] = /^(.+?)\.so(?:\.|$)/.exec(base) ?? /^([^.]+)\./.exec(base) ?? [];
  return beforeSuffix ?? base;
}

/** What tells two tokens of one label apart. */
function identity(token: TokenFacts): string {
  return `serial ${token.serial || 'unknown'} in slot ${token.slot}`;
}

/**
 * The one token with exactly this label. Part of a label is not enough: `hsm` does not name `hsm-backup`.
 * @throws CapstanError `token-not-found`, `token-ambiguous`
 */
export function selectToken(tokens: readonly TokenFacts[], label: string): TokenFacts {
  const initialised = tokens.filter((token) => token.initialised);
  const [first, ...others] = initialised.filter((token) => token.label === label);
  if (first && others.length === 0) return first;
  if (first) {
    throw refusal(
      'token-ambiguous',
      `${others.length + 1} tokens have the label "${label}": ${[first, ...others].map(identity).join(', ')}.`,
      'Give each token a label of its own, or hide all but one from this host.',
    );
  }
  // Slots come in any order; a sorted list reads the same every time.
  const labels = [...new Set(initialised.map((token) => `"${token.label}"`))].sort();
  const seen = labels.join(', ');
  throw refusal(
    'token-not-found',
    `No token has the label "${label}". ${seen ? `The library shows ${seen}.` : 'The library shows no token.'}`,
    'Check the token name, and that the HSM’s client is set up for this host and user.',
  );
}
