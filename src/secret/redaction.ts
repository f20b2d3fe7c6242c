/** Keeps secret values out of everything that is logged or shown. */
import { withoutPrivateKeys } from './fields.ts';

const HIDDEN = '[secret]';

const hidden = new Map<string, number>();
/** The forms that are hidden, longest first so that no part of one is left; made anew when they change. */
let ordered: string[] | undefined;

/** The forms in which a value may turn up in the output of a program. */
function formsOf(value: string): string[] {
  const forms = new Set([
    value,
    ...percentEncodings(value),
    ...xmlForms(value),
    JSON.stringify(value).slice(1, -1),
    value.replaceAll('%', '%%'),
    // Python's repr, in the traces of Dogtag's and 389-ds's own tools.
    value.replaceAll('\\', '\\\\').replaceAll("'", "\\'"),
    value.replaceAll('\\', '\\\\'),
    Buffer.from(value).toString('base64'),
  ]);
  return [...forms].filter((form) => form.length > 0);
}

/**
 * Percent-encodings as ECMAScript writes them, RFC 3986, section 2.3 (curl and
 * others), Python's urllib.parse.quote and quote_plus, and Java's URLEncoder. They differ in what they leave as it is.
 */
function percentEncodings(value: string): string[] {
  // Half of a surrogate pair cannot be encoded; no program can print it either.
  const common = encodeURIComponent(value.toWellFormed());
  const strict = common.replace(/[!'()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`);
  const plus = strict.replaceAll('%20', '+');
  return [
    common,
    strict,
    strict.replaceAll('%2F', '/'),
    plus,
    plus.replaceAll('%2A', '*').replaceAll('~', '%7E'),
  ].flatMap((text) => [text, text.replace(/%[0-9A-F]{2}/g, (code) => code.toLowerCase())]);
}

/** The value as text and as an attribute of XML. */
function xmlForms(value: string): string[] {
  const text = value.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
  const attribute = text.replaceAll('"', '&quot;');
  return [text, attribute, attribute.replaceAll("'", '&apos;')];
}

/** Hides a value from now on. Each call is matched by one of {@link forgetSecret}, or lasts for the process. */
export function hideSecret(value: string): void {
  for (const form of formsOf(value)) hidden.set(form, (hidden.get(form) ?? 0) + 1);
  ordered = undefined;
}

/** Takes back one {@link hideSecret}. */
export function forgetSecret(value: string): void {
  for (const form of formsOf(value)) {
    const left = (hidden.get(form) ?? 0) - 1;
    if (left > 0) hidden.set(form, left);
    else hidden.delete(form);
  }
  ordered = undefined;
}

const BEGIN_KEY = /-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY-----/;
const END_KEY = /-----END (?:[A-Z0-9]+ )*PRIVATE KEY-----/;
/** A line inside a private key: base64, nothing, or a header as old OpenSSL writes them (RFC 1421). */
const KEY_LINE = /^(?:[A-Za-z0-9+/=]*|[A-Za-z-]+: .*)$/;

/** The text with every known secret, and every private key in PEM, replaced by `[secret]`. */
export function redact(text: string): string {
  let clean = text.includes('PRIVATE KEY') ? withoutPrivateKeys(text) : text;
  ordered ??= [...hidden.keys()].sort((a, b) => b.length - a.length);
  for (const form of ordered) {
    if (clean.includes(form)) clean = clean.replaceAll(form, HIDDEN);
  }
  return clean;
}

/** A {@link redact} for the lines of one stream, which knows a private key that goes over several of them. */
export function lineRedactor(): (line: string) => string {
  let inKey = false;
  return (line) => {
    const ends = END_KEY.test(line);
    if (inKey && (ends || KEY_LINE.test(line.trim()))) {
      inKey = !ends;
      return HIDDEN;
    }
    inKey = BEGIN_KEY.test(line) && !ends;
    return redact(line);
  };
}
