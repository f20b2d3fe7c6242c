/** Keeps secret values out of everything that is logged or shown. */

const hidden = new Map<string, number>();

/** The forms in which a value may turn up in the output of a program. */
function formsOf(value: string): string[] {
  const forms = new Set([
    value,
    encodeURIComponent(value),
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
}

/** Takes back one {@link hideSecret}. */
export function forgetSecret(value: string): void {
  for (const form of formsOf(value)) {
    const left = (hidden.get(form) ?? 0) - 1;
    if (left > 0) hidden.set(form, left);
    else hidden.delete(form);
  }
}

/** The text with every known secret replaced by `[secret]`, longest first so that no part of one is left. */
export function redact(text: string): string {
  let clean = text;
  for (const form of [...hidden.keys()].sort((a, b) => b.length - a.length)) {
    if (clean.includes(form)) clean = clean.replaceAll(form, '[secret]');
  }
  return clean;
}
