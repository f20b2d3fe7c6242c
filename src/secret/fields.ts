/**
 * Takes secrets that nobody knows beforehand out of text, by the name that stands before them. Pure.
 * The text may be what a daemon wrote that somebody took over: no pattern here takes more than linear time, so its
 * repetitions are bounded, or cannot begin again inside what they matched.
 */

const HIDDEN = '[secret]';

/** Ends of the names of fields that hold secrets, in any letter case. */
const SECRET_ENDS =
  /(?:passw(?:or)?d|passphrase|pwd|(?<!by)pass|secret|credentials?|rootpw|symmetrickey|private[_-]?key|[^a-z]pin|^pin)$/i;
/** The same in camel case; `mapping` and `spin` are none. */
const CAMEL_PIN = /[a-z]P(?:in|IN)$/;

/**
 * Whether a field of this name holds a secret: `pki_ds_password`, `hardware.pin`, `nsslapd-rootpw`,
 * `nsDS5ReplicaCredentials`, `requiredSecret`. `passwordFile` and `passwordHistory` hold none.
 */
export function isSecretField(name: string): boolean {
  // An attribute may have options: userPassword;deleted
  const bare = name.replace(/;.*$/, '').trim();
  return SECRET_ENDS.test(bare) || CAMEL_PIN.test(bare);
}

/** A field of a line: what stands before its name, its name, the separator, the value. */
const FIELD = /^([\s#;]*)([^\s:=#;][^:=]*)((?:::?|=)[ \t]?)(.*)$/s;

/** A line of such a text; `hidden` is the value, or the part of it on this line, that is a secret. */
interface FieldLine {
  kept: string;
  hidden: string;
}

/**
 * The lines of a text of fields: `key=value`, `key: value` or `key:: base64`, each value going on over lines that begin
 * with a blank. That is the form of Dogtag's CS.cfg, of pkispawn's INI files, of certmonger's own files, and of LDIF
 * (RFC 2849).
 */
function* fieldLines(text: string): Generator<FieldLine> {
  let inSecret = false;
  for (const line of text.split('\n')) {
    if (inSecret && /^(?:[ \t]|\r?$)/.test(line)) {
      yield { kept: '', hidden: line.trim() };
      continue;
    }
    const [, before = '', name, separator = '', value = ''] = FIELD.exec(line) ?? [];
    inSecret = name !== undefined && isSecretField(name);
    yield inSecret
      ? { kept: `${before}${name}${separator}`, hidden: value.trim() }
      : { kept: line, hidden: '' };
  }
}

/** The text with the values of its secret fields hidden. A field without a value stays as it is. */
export function withoutSecretFields(text: string): string {
  const lines: string[] = [];
  for (const { kept, hidden } of fieldLines(text)) {
    // The rest of a value on further lines: the first one says already that there was one.
    if (kept !== '' || hidden === '') lines.push(hidden === '' ? kept : `${kept}${HIDDEN}`);
    else if (!lines.at(-1)?.endsWith(HIDDEN)) lines.push(` ${HIDDEN}`);
  }
  return lines.join('\n');
}

/** The values of the secret fields of a text. */
export function secretFieldsOf(text: string): string[] {
  return [...fieldLines(text)].map(({ hidden }) => hidden).filter(isWorthHiding);
}

/** What stands for no secret: hiding it everywhere would spoil the rest. */
function isWorthHiding(value: string): boolean {
  return value.length >= 4 && !/^(?:true|false|none|null|default|X+|\[secret\])$/i.test(value);
}

const ATTRIBUTE = /\b([A-Za-z][\w.:-]{0,63})(\s{0,9}=\s{0,9})("[^"<]{0,4096}"|'[^'<]{0,4096}')/g;
/** Tomcat's way to give a parameter: `<Parameter name="bindPassword" value="..."/>`. */
const PARAMETER =
  /(<Parameter\b[^<>]{0,500}?\bname\s{0,9}=\s{0,9}["']([^"'<>]{0,99})["'][^<>]{0,500}?\bvalue\s{0,9}=\s{0,9})("[^"<]{0,4096}"|'[^'<]{0,4096}')/g;

/** The XML with the values of its secret attributes and parameters hidden. */
export function withoutSecretAttributes(xml: string): string {
  return xml
    .replace(ATTRIBUTE, (whole, name: string, separator: string, value: string) =>
      isSecretField(name) && value.length > 2 ? `${name}${separator}"${HIDDEN}"` : whole,
    )
    .replace(PARAMETER, (whole, before: string, name: string, value: string) =>
      isSecretField(name) && value.length > 2 ? `${before}"${HIDDEN}"` : whole,
    );
}

/** The values of the secret attributes and parameters of an XML text. */
export function secretAttributesOf(xml: string): string[] {
  const attributes = [...xml.matchAll(ATTRIBUTE)].map(([, name = '', , value = '']) => [name, value]);
  const parameters = [...xml.matchAll(PARAMETER)].map(([, , name = '', value = '']) => [name, value]);
  return [...attributes, ...parameters]
    .filter(([name = '']) => isSecretField(name))
    .map(([, value = '']) => value.slice(1, -1))
    .filter(isWorthHiding);
}

/** A value, in quotes or not; one that is hidden already is left as it is. */
const WORD = /(?!["']?\[secret\])(?:"(?:[^"\\\n]|\\.){0,4096}"|'(?:[^'\\\n]|\\.){0,4096}'|[^\s"'&<>]+)/
  .source;
const NAME = /[\w.-]{0,64}(?:passw(?:or)?d|passphrase|storepass|keypass|secret|rootpw|[_.-]pin)/.source;

/** Places in any text where a credential stands, by what stands before it; the first group is kept. */
const CREDENTIALS: readonly RegExp[] = [
  // Options of programs: --password VALUE, --pin=VALUE. One whose value begins with a hyphen takes none.
  new RegExp(`((?<![\\w-])--?(?:${NAME}|pin|pwd)(?:=|[ \\t]{1,99}(?!-)))${WORD}`, 'gi'),
  // The same in a list, as Python prints the arguments of a program.
  new RegExp(`(["']--?(?:${NAME}|pin|pwd)["'],[ \\t]{0,9})${WORD}`, 'gi'),
  // openssl(1): -passin pass:VALUE
  /(-pass(?:in|out)?\s{1,9}pass:)\S+/g,
  // Assignments, as in pkispawn's trace or a query string.
  new RegExp(`(\\b${NAME}[ \\t]{0,99}=[ \\t]{0,99})${WORD}`, 'gi'),
  // Members of JSON, and of what Python prints of its dictionaries.
  /(["'][\w.-]{0,64}(?:passw(?:or)?d|secret|pin)["']\s{0,9}:\s{0,9})(?:"(?:[^"\\\n]|\\.){0,4096}"|'(?:[^'\\\n]|\\.){0,4096}')/gi,
  /(<(?:\w{1,20}:)?\w{0,40}(?:password|secret|pin)>)[^<]{1,4096}/gi,
  /(\bauthorization\b["']?\s{0,9}[:=]?\s{0,9}["']?(?:basic|bearer|negotiate|digest)\s{1,9})[^\s"']+/gi,
  // Passwords in addresses: ldap://user:VALUE@host
  /(\b[a-z][a-z0-9+.-]{0,20}:\/\/[^\s/:@]{1,256}:)[^\s/@]{1,256}(?=@)/gi,
  // Password hashes (RFC 2307; 389-ds' password storage schemes).
  /(\{(?:SSHA|SHA|SMD5|MD5|NS-MTA-MD5|CRYPT|PBKDF2|GOST|CLEAR|AES|DES)[\w-]{0,30}\})[\w+/=$.,:-]+/gi,
];

/**
 * The text without what looks like a credential, whoever's it is: a net below the exact removal of known secrets.
 * It takes rather too much than too little.
 */
export function withoutCredentials(text: string): string {
  return CREDENTIALS.reduce((clean, place) => clean.replace(place, hideValue), text);
}

/** What stands before the value stays, and so do the quotes around it: XML and JSON remain what they are. */
function hideValue(whole: string, before: string): string {
  const [quote = ''] = /^["']/.exec(whole.slice(before.length)) ?? [];
  return `${before}${quote}${HIDDEN}${quote}`;
}

const KIND = /(?:[A-Z0-9]{1,20} ){0,3}PRIVATE KEY-----/.source;
/** What is left of a key whose end was cut off. */
const KEY_LINES = /(?:\s{0,9}[A-Za-z0-9+/=]{16,})*/y;

/**
 * The text without private keys in PEM (RFC 7468): whole ones, one whose end was cut off, and, at the beginning of the
 * text, the rest of one that a cut went through.
 */
export function withoutPrivateKeys(text: string): string {
  const first = endOfKey(text, 0);
  const headless = first !== undefined && !text.slice(0, first).includes('-----BEGIN');
  const parts = headless ? [HIDDEN] : [];
  let done = headless ? first : 0;
  let moreEnds = true;
  for (const begin of text.matchAll(new RegExp(`-----BEGIN ${KIND}`, 'g'))) {
    if (begin.index < done) continue;
    parts.push(text.slice(done, begin.index), HIDDEN);
    const end: number | undefined = moreEnds ? endOfKey(text, begin.index) : undefined;
    moreEnds = end !== undefined;
    done = end ?? restOfKey(text, begin.index + begin[0].length);
  }
  return [...parts, text.slice(done)].join('');
}

/** Where the first private key from `from` on ends. */
function endOfKey(text: string, from: number): number | undefined {
  const end = new RegExp(`-----END ${KIND}`, 'g');
  end.lastIndex = from;
  return end.test(text) ? end.lastIndex : undefined;
}

function restOfKey(text: string, from: number): number {
  KEY_LINES.lastIndex = from;
  KEY_LINES.exec(text);
  return KEY_LINES.lastIndex;
}
