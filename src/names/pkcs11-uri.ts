/** PKCS#11 URIs, RFC 7512: the name of a token, or of an object on one, with where its library and its PIN are. */

import { type CapstanError, refusal } from '../errors.ts';
import { quoted } from './quoted.ts';

/** One `name=value`, percent-decoded. The value of `id` stands for bytes and is lower-case hex. */
export interface UriAttribute {
  name: string;
  value: string;
}

/** A PKCS#11 URI: attributes in the order in which they were written, vendors' own among them. */
export interface Pkcs11Uri {
  path: readonly UriAttribute[];
  query: readonly UriAttribute[];
}

/** The attributes of RFC 7512, 2.3, that may stand in the path. */
export const PATH_NAMES = [
  ...(['token', 'manufacturer', 'serial', 'model'] as const),
  ...(['library-manufacturer', 'library-version', 'library-description'] as const),
  ...(['object', 'type', 'id'] as const),
  ...(['slot-description', 'slot-manufacturer', 'slot-id'] as const),
] as const;
/** Those of the query; `pin-value` is refused. */
export const QUERY_NAMES = ['pin-source', 'module-name', 'module-path'] as const;

/** One of {@link PATH_NAMES} or {@link QUERY_NAMES}. */
export type UriName = (typeof PATH_NAMES)[number] | (typeof QUERY_NAMES)[number];

const SCHEME = 'pkcs11:';
/** pk11-res-avail of RFC 7512, 2.3, with the unreserved characters of RFC 3986. */
const PLAIN = "A-Za-z0-9._~:@!$'()*+,=\\[\\]-";
/** One part of a URI, and what may stand in it unescaped. */
const PARTS = {
  path: { separator: ';', plain: new RegExp(`^[&${PLAIN}]$`), names: PATH_NAMES as readonly string[] },
  query: { separator: '&', plain: new RegExp(`^[/?|${PLAIN}]$`), names: QUERY_NAMES as readonly string[] },
} as const;
type Part = keyof typeof PARTS;

const NAME = /^[A-Za-z0-9_-]+$/;
const TYPES = ['public', 'private', 'cert', 'secret-key', 'data'];

/**
 * Reads a PKCS#11 URI. Known attributes are checked; those of vendors are kept as they are.
 * @throws CapstanError `uri-invalid` with the place of the first flaw, `uri-pin-value`
 */
export function parsePkcs11Uri(text: string): Pkcs11Uri {
  if (text.slice(0, SCHEME.length).toLowerCase() !== SCHEME) {
    throw invalid(0, `it does not begin with "${SCHEME}"`);
  }
  const mark = text.indexOf('?');
  const end = mark < 0 ? text.length : mark;
  return {
    path: parsePart('path', text.slice(SCHEME.length, end), SCHEME.length),
    query: mark < 0 ? [] : parsePart('query', text.slice(end + 1), end + 1),
  };
}

/** @param offset where the part begins in the whole URI, for the errors */
function parsePart(part: Part, text: string, offset: number): UriAttribute[] {
  if (text === '') return [];
  const found: UriAttribute[] = [];
  let at = offset;
  for (const piece of text.split(PARTS[part].separator)) {
    const attribute = parseAttribute(part, piece, at);
    const known = PARTS[part].names.includes(attribute.name);
    // RFC 7512, 2.3: none twice in the path; in the query only vendors' own may be.
    if ((known || part === 'path') && found.some(({ name }) => name === attribute.name)) {
      throw invalid(at, `${attribute.name} is there twice`);
    }
    found.push(attribute);
    at += piece.length + 1;
  }
  return found;
}

function parseAttribute(part: Part, piece: string, at: number): UriAttribute {
  const equals = piece.indexOf('=');
  if (piece === '') throw invalid(at, 'an attribute is empty');
  if (equals < 0) throw invalid(at, `${quoted(piece)} has no "="`);
  const name = piece.slice(0, equals);
  if (!NAME.test(name)) throw invalid(at, `${quoted(name)} is no name of an attribute`);
  if (name === 'pin-value') throw pinValue(at);
  const other = part === 'path' ? 'query' : 'path';
  if (PARTS[other].names.includes(name)) throw invalid(at, `${name} belongs into the ${other}`);
  const start = at + equals + 1;
  const bytes = decode(part, piece.slice(equals + 1), start);
  const value = name === 'id' ? bytes.toString('hex') : textOf(bytes, name, start);
  const flaw = flawOfValue(name, value);
  if (flaw) throw invalid(start, flaw);
  return { name, value };
}

function decode(part: Part, text: string, start: number): Buffer {
  const bytes: number[] = [];
  for (let at = 0; at < text.length; ) {
    const letter = text.charAt(at);
    if (letter === '%') {
      const digits = text.slice(at + 1, at + 3);
      if (!/^[0-9A-Fa-f]{2}$/.test(digits)) {
        throw invalid(start + at, 'after "%" two hexadecimal digits are needed');
      }
      bytes.push(Number.parseInt(digits, 16));
      at += 3;
      continue;
    }
    if (!PARTS[part].plain.test(letter)) {
      throw invalid(start + at, `${quoted(letter)} must be percent-encoded in the ${part}`);
    }
    bytes.push(letter.charCodeAt(0));
    at += 1;
  }
  return Buffer.from(bytes);
}

function textOf(bytes: Buffer, name: string, start: number): string {
  let value: string;
  try {
    value = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw invalid(start, `the bytes of ${name} are not UTF-8`);
  }
  if (/\p{Cc}/u.test(value)) throw invalid(start, `${name} holds a control character`);
  return value;
}

function flawOfValue(name: string, value: string): string | undefined {
  switch (name) {
    case 'type':
      return TYPES.includes(value) ? undefined : `type is one of ${TYPES.join(', ')}`;
    case 'slot-id':
      return /^[0-9]{1,15}$/.test(value) ? undefined : 'slot-id is a number';
    case 'library-version':
      return /^[0-9]+(?:\.[0-9]+)?$/.test(value)
        ? undefined
        : 'library-version is a number such as 2 or 2.40';
    case 'pin-source':
      return pinFileOf(value) === undefined
        ? 'pin-source must name a file, as in file:/root/pin; programs and other sources are not run'
        : undefined;
    case 'module-path':
      return value.startsWith('/') && !value.endsWith('/')
        ? undefined
        : 'module-path is the absolute path of a library';
    default:
      return undefined;
  }
}

/** The file that a `pin-source` names: `file:/path`, or `file:///path` (RFC 8089). */
function pinFileOf(value: string): string | undefined {
  return /^file:(?:\/\/(?:localhost)?)?(\/[^/].*)$/.exec(value)?.[1];
}

/** The file that holds the PIN, where the URI names one. */
export function pinFile(uri: Pkcs11Uri): string | undefined {
  const source = uriValue(uri, 'pin-source');
  return source === undefined ? undefined : pinFileOf(source);
}

/** The value of an attribute, where the URI has it. */
export function uriValue(uri: Pkcs11Uri, name: UriName): string | undefined {
  return [...uri.path, ...uri.query].find((one) => one.name === name)?.value;
}

/** The URI as text; {@link parsePkcs11Uri} reads it back to the same. The bytes of an id are all percent-encoded. */
export function formatPkcs11Uri({ path, query }: Pkcs11Uri): string {
  const part = (which: Part, attributes: readonly UriAttribute[]) =>
    attributes.map((one) => `${one.name}=${encode(which, one)}`).join(PARTS[which].separator);
  return `${SCHEME}${part('path', path)}${query.length > 0 ? `?${part('query', query)}` : ''}`;
}

function encode(part: Part, { name, value }: UriAttribute): string {
  const bytes = Buffer.from(value, name === 'id' ? 'hex' : 'utf8');
  return [...bytes]
    .map((byte) => {
      const letter = String.fromCharCode(byte);
      const plain = name !== 'id' && byte < 0x80 && PARTS[part].plain.test(letter);
      return plain ? letter : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
    })
    .join('');
}

/** @param at where the flaw is, from 0; the URI itself is not repeated, a mistyped one may hold a PIN */
function invalid(at: number, flaw: string): CapstanError {
  return refusal(
    'uri-invalid',
    `The PKCS#11 URI is wrong at character ${at + 1}: ${flaw}.`,
    'Write it as in pkcs11:token=Root;object=root-key?module-path=/usr/lib/vendor/lib.so',
  );
}

function pinValue(at: number): CapstanError {
  return refusal(
    'uri-pin-value',
    `The PKCS#11 URI has pin-value at character ${at + 1}: a PIN in a URI is seen by everyone who sees the URI, in files, in lists of processes and in logs.`,
    'Take it out, and change the PIN if others may have seen it. Name a file with pin-source=file:/path, or let Capstan ask.',
  );
}
