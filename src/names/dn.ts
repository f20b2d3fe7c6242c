/** Distinguished names in their string form, RFC 4514. */

import { refusal } from '../errors.ts';
import { quoted } from './quoted.ts';

/** One `type=value` of a name. The value is plain text, without escapes. */
export interface Attribute {
  type: string;
  value: string;
}

/** A relative distinguished name: one attribute, rarely several joined by `+`. */
export type Rdn = readonly Attribute[];

/** A distinguished name, most specific part first, as it is written. */
export type Dn = readonly Rdn[];

/** An attribute type: a name or an object identifier (RFC 4512, 1.4). */
const TYPE = /^(?:[A-Za-z][A-Za-z0-9-]*|[0-2](?:\.(?:0|[1-9][0-9]*))+)$/;

/** What must not stand unescaped inside a value (RFC 4514, section 3). `=` may. */
const FORBIDDEN = '";<>';

/**
 * Reads a name such as `CN=Certificate Authority,O=EXAMPLE.TEST`. Blanks around `,`, `+` and `=` are
 * accepted as RFC 2253 parsers do; hexadecimal values (`#0403...`) are not.
 * @throws CapstanError `dn-invalid`
 */
export function parseDn(text: string): Dn {
  return splitUnescaped(text, ',', text).map((rdn) =>
    splitUnescaped(rdn, '+', text).map((pair) => parseAttribute(pair, text)),
  );
}

/** Cuts at a separator that no backslash protects. */
function splitUnescaped(text: string, separator: string, whole: string): string[] {
  const parts: string[] = [''];
  for (let at = 0; at < text.length; at++) {
    const letter = text.charAt(at);
    const last = parts.length - 1;
    if (letter === '\\') {
      if (at + 1 === text.length) throw invalid(whole, 'it ends in a backslash');
      parts[last] += letter + text.charAt(++at);
    } else if (letter === separator) parts.push('');
    else parts[last] += letter;
  }
  return parts;
}

function parseAttribute(pair: string, whole: string): Attribute {
  const equals = pair.indexOf('=');
  if (equals < 0)
    throw invalid(whole, pair.trim() ? `${quoted(pair.trim())} has no "="` : 'a part of it is empty');
  const type = pair.slice(0, equals).trim();
  if (!TYPE.test(type)) throw invalid(whole, `${quoted(type)} is no attribute type`);
  const raw = trimBlanks(pair.slice(equals + 1));
  if (raw === '') throw invalid(whole, `${type} has no value`);
  if (raw.startsWith('#'))
    throw invalid(whole, `the value of ${type} is hexadecimal, which is not supported`);
  return { type, value: unescapeValue(raw, whole) };
}

/** Removes blanks (U+0020 only, RFC 4514) at both ends, but not the one that a backslash protects at the end. */
function trimBlanks(text: string): string {
  const start = text.replace(/^ +/, '');
  const end = start.replace(/ +$/, '');
  const backslashes = /\\*$/.exec(end)?.[0].length ?? 0;
  return backslashes % 2 === 1 && end.length < start.length ? `${end} ` : end;
}

function unescapeValue(raw: string, whole: string): string {
  const bytes: number[] = [];
  for (let at = 0; at < raw.length; ) {
    const hex = /^\\([0-9A-Fa-f]{2})/.exec(raw.slice(at, at + 3));
    if (hex?.[1]) {
      bytes.push(Number.parseInt(hex[1], 16));
      at += 3;
      continue;
    }
    if (raw[at] === '\\') at++;
    else if (FORBIDDEN.includes(raw.charAt(at))) {
      throw invalid(whole, `the character ${raw[at]} must be written with a backslash before it`);
    }
    const letter = String.fromCodePoint(raw.codePointAt(at) ?? 0);
    bytes.push(...Buffer.from(letter));
    at += letter.length;
  }
  return decoded(Uint8Array.from(bytes), whole);
}

function decoded(bytes: Uint8Array, whole: string): string {
  let value: string;
  try {
    value = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    throw invalid(whole, 'its escaped bytes are not UTF-8', error);
  }
  if (/\p{Cc}/u.test(value)) throw invalid(whole, 'it holds a control character');
  return value;
}

function invalid(text: string, reason: string, cause?: unknown) {
  return refusal(
    'dn-invalid',
    `${quoted(text)} is not a distinguished name: ${reason}.`,
    'Write it as in CN=Certificate Authority,O=EXAMPLE.TEST, the most specific part first.',
    cause,
  );
}

/** The string form of a name. {@link parseDn} reads it back to the same parts. */
export function formatDn(dn: Dn): string {
  return dn.map((rdn) => rdn.map(({ type, value }) => `${type}=${escapeValue(value)}`).join('+')).join(',');
}

/** A value as it is written inside a name (RFC 4514, section 2.4). */
export function escapeValue(value: string): string {
  return value
    .replace(/[\\",+;<>]/g, '\\$&')
    .replaceAll('\u0000', '\\00')
    .replace(/^[ #]/, '\\$&')
    .replace(/(?<!^)(?<!^\\) $/, '\\ ');
}

/**
 * Whether two names mean the same: types and values without regard to case, blanks inside a value
 * counted once (RFC 4518), parts of a multi-valued RDN in any order.
 */
export function sameDn(one: Dn, other: Dn): boolean {
  return normalForm(one) === normalForm(other);
}

function normalForm(dn: Dn): string {
  const parts = dn.map((rdn) =>
    rdn
      .map(({ type, value }) => [type.toLowerCase(), value.toLowerCase().trim().replace(/ +/g, ' ')])
      .map((pair) => JSON.stringify(pair))
      .sort(),
  );
  return JSON.stringify(parts);
}

/** The values of an attribute type, in the order of the name. */
export function valuesOf(dn: Dn, type: string): string[] {
  return dn.flatMap((rdn) =>
    rdn.filter((one) => one.type.toLowerCase() === type.toLowerCase()).map((one) => one.value),
  );
}
