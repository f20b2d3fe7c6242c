/** Takes secrets that nobody knows beforehand out of text, by the name that stands before them. Pure. */

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
const FIELD = /^(\s*[#;]*\s*)([^\s:=#;][^:=]*?)(\s*(?:::?|=)[ \t]?)(.*)$/;

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

const ATTRIBUTE = /([A-Za-z][\w.:-]*)(\s*=\s*)("[^"]*"|'[^']*')/g;
/** Tomcat's way to give a parameter: `<Parameter name="bindPassword" value="..."/>`. */
const PARAMETER = /(<[^<>]*?\bname\s*=\s*["']([^"'<>]*)["'][^<>]*?\bvalue\s*=\s*)("[^"]*"|'[^']*')/g;

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
const WORD = /(?!["']?\[secret\])(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[^\s"',;&<>]+)/.source;
const NAME = /[\w.-]{0,64}(?:passw(?:or)?d|passphrase|storepass|keypass|secret|rootpw|[_.-]pin)/.source;

/** Places in any text where a credential stands, by what stands before it; the first group is kept. */
const CREDENTIALS: readonly RegExp[] = [
  // Options of programs: --password VALUE, --pin=VALUE. One whose value begins with a hyphen takes none.
  new RegExp(`((?<![\\w-])--?(?:${NAME}|pin|pwd)(?:=|[ \\t]+(?!-)))${WORD}`, 'gi'),
  // openssl(1): -passin pass:VALUE
  /(-pass(?:in|out)?\s+pass:)\S+/g,
  // Assignments, as in pkispawn's trace or a query string.
  new RegExp(`(\\b${NAME}[ \\t]*=[ \\t]*)${WORD}`, 'gi'),
  // Members of JSON, and of what Python prints of its dictionaries.
  /(["'][\w.-]*(?:passw(?:or)?d|secret|pin)["']\s*:\s*)(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')/gi,
  /(<(?:\w+:)?\w*(?:password|secret|pin)>)[^<]+/gi,
  /(\bauthorization\b["']?\s*[:=]?\s*["']?(?:basic|bearer|negotiate|digest)\s+)[^\s"']+/gi,
  // Passwords in addresses: ldap://user:VALUE@host
  /(\b[a-z][a-z0-9+.-]*:\/\/[^\s/:@]+:)[^\s/@]+(?=@)/gi,
  // Password hashes (RFC 2307; 389-ds' password storage schemes).
  /(\{(?:SSHA|SHA|SMD5|MD5|NS-MTA-MD5|CRYPT|PBKDF2|GOST|CLEAR|AES|DES)[\w-]*\})[\w+/=$.,:-]+/gi,
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

const END_OF_KEY = /-----END (?:[A-Z0-9]+ )*PRIVATE KEY-----/;

/** A text whose beginning was cut off, without the rest of a private key that the cut went through. */
export function withoutHeadlessKey(text: string): string {
  const end = END_OF_KEY.exec(text);
  if (!end || text.slice(0, end.index).includes('-----BEGIN')) return text;
  return `${HIDDEN}${text.slice(end.index + end[0].length)}`;
}
