import { refusal } from '../errors.ts';
import { Secret } from '../secret/secret.ts';

/**
 * A value in which `%(name)s` and `%%` keep the meaning that Python's BasicInterpolation gives them.
 * Only an administrator's override file brings such values; everything else is literal.
 */
export interface Interpolated {
  interpolated: string;
}

/** A value of a deployment configuration: literal text, a literal secret, or text with interpolation. */
export type ConfigValue = string | Secret | Interpolated;

/** A configuration file as data: section, key, value, in the order in which they are written. */
export type ConfigSections = Readonly<Record<string, Readonly<Record<string, ConfigValue>>>>;

/** One `key = value` of a configuration file that was read. */
export interface ConfigEntry {
  section: string;
  key: string;
  /** As written, without interpolation; the lines of a continued value are joined with `\n`. */
  value: string;
  /** The line of the key, counted from 1. */
  line: number;
}

/**
 * The keys whose `%` pkispawn doubles itself after reading, so that they are written as they are
 * (`read_pki_configuration_file` in pki/server/deployment/pkiparser.py; the same list from 10.10 to 11.10).
 * Every other value, passwords among them, has to have its `%` doubled in the file.
 */
export const KEYS_READ_RAW: ReadonlySet<string> = new Set([
  'pki_admin_password',
  'pki_backup_password',
  'pki_client_database_password',
  'pki_client_pin',
  'pki_client_pkcs12_password',
  'pki_clone_pkcs12_password',
  'pki_ds_password',
  'pki_one_time_pin',
  'pki_pin',
  'pki_replication_password',
  'pki_security_domain_password',
  'pki_server_database_password',
  'pki_server_pkcs12_password',
  'pki_token_password',
]);

/** What Python's `str.isspace()` holds for blank; JavaScript's own set is another one. */
const BLANKS =
  '\t\n\v\f\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000';

/**
 * The text of a configuration file (UTF-8, to be read in a UTF-8 locale) for a program that reads it with Python's
 * ConfigParser, from which that program gets every value back byte for byte: pkispawn, and lib389's dscreate.
 * The text holds the secrets: write it to a private file (0600, in a private folder, since pkispawn rewrites
 * the file in place through a `.bak` beside it) and keep no copy.
 * @throws CapstanError `config-value` when a value or key cannot be carried; it names the key, never the value
 */
export function renderConfig(sections: ConfigSections): string {
  const lines: string[] = [];
  for (const [section, values] of Object.entries(sections)) {
    if (!/^[A-Za-z][\w-]*$/.test(section)) {
      throw refusal('config-value', `${JSON.stringify(section)} cannot be the name of a section.`);
    }
    const seen = new Set<string>();
    lines.push(...(lines.length > 0 ? [''] : []), `[${section}]`);
    for (const [key, value] of Object.entries(values)) {
      checkKey(section, key, seen);
      lines.push(`${key}=${written(key, value)}`);
    }
  }
  return `${lines.join('\n')}\n`;
}

/** pkispawn reads the file a second time with keys in lower case, where two spellings of one key collide. */
function checkKey(section: string, key: string, seen: Set<string>): void {
  if (!/^[A-Za-z][A-Za-z0-9_]*$/.test(key)) {
    throw refusal(
      'config-value',
      `${JSON.stringify(key)} in [${section}] cannot be the name of a parameter.`,
    );
  }
  if (seen.has(key.toLowerCase())) {
    throw refusal('config-value', `The parameter ${key} in [${section}] is given in two spellings.`);
  }
  seen.add(key.toLowerCase());
}

function written(key: string, value: ConfigValue): string {
  const interpolated = typeof value === 'object' && 'interpolated' in value;
  const text = interpolated ? value.interpolated : value instanceof Secret ? value.reveal() : value;
  const reason = unwritable(text);
  if (reason) {
    const what = value instanceof Secret ? `The ${value.what} (${key})` : `The value of ${key}`;
    throw refusal('config-value', `${what} ${reason}; a configuration file cannot carry that.`);
  }
  return interpolated || KEYS_READ_RAW.has(key) ? text : text.replaceAll('%', '%%');
}

/**
 * Why a value cannot be carried by a configuration file, as the end of a sentence; undefined when it can.
 * pkispawn strips every line of the file, and its password.conf is split at all of Python's line ends.
 */
export function unwritable(value: string): string | undefined {
  if (!value.isWellFormed()) return 'holds half of a surrogate pair, which UTF-8 does not have';
  if (/[\n\r]/.test(value)) return 'holds a line break';
  for (const character of value) {
    if (splitsLines(character)) return 'holds a character that Python takes for the end of a line';
    if ((character < ' ' && character !== '\t') || character === '\x7f') return 'holds a control character';
  }
  if (strip(value) !== value) return 'begins or ends with a blank';
  return undefined;
}

/** The line ends of Python's `str.splitlines()` beside LF and CR. */
function splitsLines(character: string): boolean {
  return '\v\f\x1c\x1d\x1e\x85\u2028\u2029'.includes(character);
}

/** A key under way while a file is read. */
interface OpenEntry extends Omit<ConfigEntry, 'value'> {
  values: string[];
}

/** The state of a reading. */
interface Reading {
  entries: OpenEntry[];
  problems: string[];
  sections: Set<string>;
  keys: Set<string>;
  section?: string;
  open: OpenEntry | undefined;
  indent: number;
}

/**
 * The keys of an INI file, read as Python's RawConfigParser (3.9) does with `optionxform = str`: comments with
 * `#` and `;` on lines of their own, `=` and `:`, continuation lines, keys that differ in case.
 * Stricter in two points where Python lets ambiguity pass: a heading stands alone on its line and
 * [DEFAULT] comes once.
 * @param text the decoded content
 * @param name what is read, for messages: a path
 * @throws CapstanError `config-syntax` with every line that is wrong; it never quotes a line
 */
export function parseConfig(text: string, name: string): ConfigEntry[] {
  const reading: Reading = {
    entries: [],
    problems: [],
    sections: new Set(),
    keys: new Set(),
    open: undefined,
    indent: 0,
  };
  text.split(/\r\n|\n|\r/).forEach((line, index) => {
    readLine(reading, line, index + 1);
  });
  if (reading.problems.length > 0) {
    throw refusal(
      'config-syntax',
      `${name} cannot be read: ${reading.problems.join('; ')}.`,
      'Correct these lines; the form is [SECTION] and key = value.',
    );
  }
  return reading.entries.map(({ values, ...entry }) => ({ ...entry, value: stripEnd(values.join('\n')) }));
}

function readLine(reading: Reading, line: string, number: number): void {
  const text = strip(line);
  if (text.startsWith('#') || text.startsWith(';')) return;
  if (text === '') {
    reading.open?.values.push('');
    return;
  }
  const indent = line.length - stripStart(line).length;
  if (reading.open && indent > reading.indent) {
    reading.open.values.push(text);
    return;
  }
  reading.indent = indent;
  if (text.startsWith('[')) readHeading(reading, text, number);
  else if (reading.section === undefined) reading.problems.push(`line ${number} stands before any [SECTION]`);
  else readKey(reading, reading.section, text, number);
}

function readHeading(reading: Reading, text: string, number: number): void {
  reading.open = undefined;
  const section = /^\[([^[\]]+)\]$/.exec(text)?.[1];
  if (section === undefined) {
    reading.problems.push(`line ${number} is not a whole [SECTION] heading`);
    return;
  }
  if (reading.sections.has(section))
    reading.problems.push(`line ${number} begins [${section}] a second time`);
  reading.sections.add(section);
  reading.section = section;
}

function readKey(reading: Reading, section: string, text: string, number: number): void {
  const end = text.search(/[=:]/);
  const key = strip(text.slice(0, Math.max(end, 0)));
  if (key === '') {
    reading.problems.push(
      `line ${number} has no ${end < 0 ? '= between key and value' : 'key before the ='}`,
    );
    return;
  }
  const identity = `${section}\n${key}`;
  if (reading.keys.has(identity)) {
    reading.problems.push(`line ${number} gives ${key} in [${section}] a second time`);
  }
  reading.keys.add(identity);
  reading.open = { section, key, line: number, values: [strip(text.slice(end + 1))] };
  reading.entries.push(reading.open);
}

function strip(text: string): string {
  return stripStart(stripEnd(text));
}

function stripStart(text: string): string {
  let start = 0;
  while (start < text.length && BLANKS.includes(text.charAt(start))) start += 1;
  return text.slice(start);
}

function stripEnd(text: string): string {
  let end = text.length;
  while (end > 0 && BLANKS.includes(text.charAt(end - 1))) end -= 1;
  return text.slice(0, end);
}
