/**
 * The file of secrets that only a key on a token can open: each secret in AES-256-GCM (NIST SP 800-38D) under one content
 * key, which is in the file encrypted to the public half of the token's key by RSA-OAEP (RFC 8017, 7.1). Each is bound to
 * the run that sealed it, to the host and to its name, which are authenticated with it and come from elsewhere, so that a
 * secret opens nowhere but where it was sealed. Pure.
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { Secret } from './secret.ts';

/** The hashes of RSA-OAEP, in MGF1 too, that a content key is wrapped with, the better first. */
export const OAEP_HASHES = ['SHA-256', 'SHA-1'] as const;

/** A hash of RSA-OAEP. */
export type OaepHash = (typeof OAEP_HASHES)[number];

/** A content key, encrypted to a key on a token. */
export interface WrappedKey {
  hash: OaepHash;
  /** The ciphertext. */
  key: Buffer;
}

/** What the secrets are bound to. */
export interface SealContext {
  /** The id of the run that sealed them. */
  run: string;
  /** The host's name. */
  host: string;
}

/** A file of sealed secrets whose content key is not known yet. */
export interface SealedSecrets {
  wrapped: WrappedKey;
  /** The secrets of these names. @throws Error where the key, the context or the content is another one */
  open(contentKey: Buffer, context: SealContext): Map<string, Secret>;
}

/** One secret in the file; all but the name in base64. */
interface SealedSecret {
  name: string;
  nonce: string;
  text: string;
  tag: string;
}

const VERSION = 1;
const CIPHER = 'aes-256-gcm';
const MECHANISM = 'RSA-OAEP';
/** Bytes. */
export const CONTENT_KEY = 32;
const NONCE = 12;
const TAG = 16;
/** The longest file, in bytes: a few secrets, and a wrapped key of 16384 bits. */
export const LONGEST_SEALED_FILE: number = 64 * 1024;

/** The text of a file with these secrets. @param contentKey of {@link CONTENT_KEY} bytes, for nothing else */
export function sealedFile(
  contentKey: Buffer,
  { hash, key }: WrappedKey,
  context: SealContext,
  secrets: Readonly<Record<string, Secret>>,
): string {
  const sealed = Object.entries(secrets).map(([name, secret]) => seal(contentKey, context, name, secret));
  const file = {
    version: VERSION,
    wrapping: { mechanism: MECHANISM, hash, mgf: `MGF1-${hash}`, key: key.toString('base64') },
    cipher: CIPHER,
    secrets: sealed,
  };
  return `${JSON.stringify(file, undefined, 2)}\n`;
}

function seal(key: Buffer, context: SealContext, name: string, secret: Secret): SealedSecret {
  const nonce = randomBytes(NONCE);
  const cipher = createCipheriv(CIPHER, key, nonce, { authTagLength: TAG }).setAAD(boundTo(context, name));
  const text = Buffer.concat([cipher.update(secret.reveal(), 'utf8'), cipher.final()]);
  const coded = { nonce, text, tag: cipher.getAuthTag() };
  return { name, ...mapped(coded, (bytes) => bytes.toString('base64')) };
}

function boundTo({ run, host }: SealContext, name: string): Buffer {
  return Buffer.from(JSON.stringify(['capstan-sealed-secret', VERSION, run, host, name]));
}

/** Reads a file of sealed secrets. @throws Error where it is none, or none that this version knows */
export function parseSealed(text: string): SealedSecrets {
  const file = JSON.parse(text) as ReturnType<typeof fileOf>;
  const { wrapping, secrets } = fileOf(file);
  return {
    wrapped: { hash: wrapping.hash, key: Buffer.from(wrapping.key, 'base64') },
    open: (contentKey, context) =>
      new Map(secrets.map((one) => [one.name, open(contentKey, context, one)] as const)),
  };
}

/** The file, if it has its form. */
function fileOf(file: unknown) {
  const { version, wrapping, cipher, secrets } = (file ?? {}) as Partial<{
    version: number;
    wrapping: { mechanism: string; hash: OaepHash; mgf: string; key: string };
    cipher: string;
    secrets: SealedSecret[];
  }>;
  const isKnown =
    version === VERSION &&
    cipher === CIPHER &&
    wrapping?.mechanism === MECHANISM &&
    OAEP_HASHES.includes(wrapping.hash) &&
    wrapping.mgf === `MGF1-${wrapping.hash}` &&
    typeof wrapping.key === 'string' &&
    Array.isArray(secrets) &&
    secrets.every((one) => [one?.name, one?.nonce, one?.text, one?.tag].every(isText));
  if (!isKnown) throw new Error('it is not in a form that this version of Capstan knows');
  return { version, wrapping, cipher, secrets };
}

function isText(value: unknown): boolean {
  return typeof value === 'string';
}

function open(key: Buffer, context: SealContext, { name, ...coded }: SealedSecret): Secret {
  const { nonce, text, tag } = mapped(coded, (word) => Buffer.from(word, 'base64'));
  try {
    const cipher = createDecipheriv(CIPHER, key, nonce, { authTagLength: TAG })
      .setAAD(boundTo(context, name))
      .setAuthTag(tag);
    const value = Buffer.concat([cipher.update(text), cipher.final()]).toString('utf8');
    return new Secret(value, name.replaceAll('-', ' '));
  } catch (error) {
    throw new Error(`the ${name} in it was not sealed by this installation, or changed since`, {
      cause: error,
    });
  }
}

/** The same fields with each value coded in another way. */
function mapped<From, To, Name extends string>(
  fields: Record<Name, From>,
  code: (value: From) => To,
): Record<Name, To> {
  const pairs = (Object.entries(fields) as [Name, From][]).map(([name, value]) => [name, code(value)]);
  return Object.fromEntries(pairs) as Record<Name, To>;
}
