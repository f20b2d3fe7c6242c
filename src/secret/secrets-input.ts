/** Several secrets at once, as a program hands them over: one JSON object on standard input, no file and no argument. */
import { refusal } from '../errors.ts';
import { Secret } from './secret.ts';
import { flawOfSecret, LONGEST_SECRET_FILE } from './secret-file.ts';

/** The secrets that may be in the object, named as their options and as systemd's credentials are. */
export const SECRET_NAMES = ['ds-password', 'admin-password', 'token-password', 'join-secret'] as const;

/** The most bytes that the object may have: each secret at its longest, every byte of it escaped. */
export const LONGEST_SECRETS_INPUT: number = SECRET_NAMES.length * LONGEST_SECRET_FILE * 6;

const NEXT = `Write one JSON object of texts: {"token-password": "...", ...}; the names are ${SECRET_NAMES.join(', ')}.`;

/**
 * The secrets in a JSON object, by their names. What is wrong is told without repeating any of it.
 * @throws CapstanError `secrets-input-malformed`
 */
export function parseSecrets(bytes: Uint8Array): ReadonlyMap<string, Secret> {
  return new Map(Object.entries(objectIn(bytes)).map(([name, value]) => [name, secretOf(name, value)]));
}

function objectIn(bytes: Uint8Array): object {
  if (bytes.length > LONGEST_SECRETS_INPUT) throw malformed(`more than ${LONGEST_SECRETS_INPUT} bytes`);
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    // The parser's own words repeat what it has read.
    throw malformed('no JSON in UTF-8');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw malformed('no JSON object');
  return value;
}

function secretOf(name: string, value: unknown): Secret {
  const known = SECRET_NAMES.find((one) => one === name);
  // A name that is not known may be a secret in the wrong place.
  if (!known) throw malformed('an object with a name that is none of a secret');
  if (typeof value !== 'string') throw malformed(`an object whose "${known}" is no text`);
  const flaw = value === '' ? 'is empty' : flawOfSecret(value);
  if (flaw) throw malformed(`an object whose "${known}" ${flaw}`);
  return new Secret(value, known);
}

function malformed(found: string) {
  return refusal('secrets-input-malformed', `What standard input holds (--secrets-stdin) is ${found}.`, NEXT);
}
