/** Keeps secret values out of everything that is logged or shown. */

const HIDDEN = '[secret]';

const hidden = new Map<string, number>();
/** The forms that are hidden, longest first so that no part of one is left; made anew when they change. */
let ordered: string[] | undefined;

/** The forms in which a value may turn up in the output of a program. */
function formsOf(value: string): string[] {
  const forms = new Set([
    value,
    // Half of a surrogate pair cannot be encoded; no program can print it either.
    encodeURIComponent(value.toWellFormed()),
    JSON.stringify(value).slice(1, -1),
    value.replaceAll('%', '%%'),
    // Python's repr, in the traces of Dogtag's and 389-ds's own tools.
    value.replaceAll('\\', '\\\\').replaceAll("'", "\\'"),
    value.replaceAll('\\', '\\\\'),
    Buffer.from(value).toString('base64'),
  ]);
  return [...forms].filter((form) => form.length > 0);
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
/** A private key in PEM (RFC 7468), to its end; or, where that was cut off, as far as its lines of base64 go. */
const PRIVATE_KEYS = new RegExp(
  `${BEGIN_KEY.source}(?:[^]*?${END_KEY.source}|(?:\\s*[A-Za-z0-9+/=]{16,})*)`,
  'g',
);
/** A line inside a private key: base64, nothing, or a header as old OpenSSL writes them (RFC 1421). */
const KEY_LINE = /^(?:[A-Za-z0-9+/=]*|[A-Za-z-]+: .*)$/;

/** The text with every known secret, and every private key in PEM, replaced by `[secret]`. */
export function redact(text: string): string {
  let clean = text.includes('PRIVATE KEY') ? text.replace(PRIVATE_KEYS, HIDDEN) : text;
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
