/** Names of realm, domain, host and subjects that would be something else in LDAP, in a path or in a certificate. */
import type { BadInput } from './driver.ts';
import { install, long } from './support.ts';

/** What is no DNS name in either case; every one of them means something to LDAP, to a shell, or to a file system. */
const NO_NAMES: readonly [string, string][] = [
  ['that is empty', ''],
  ['of one part', 'TEST'],
  ['with an empty part', 'EXAMPLE..TEST'],
  ['with a dot at its end', 'EXAMPLE.TEST.'],
  ['with a blank', 'EXAMPLE .TEST'],
  ['that begins with a hyphen', '-EXAMPLE.TEST'],
  ['with a part of 64 characters', `${long(64, 'A')}.TEST`],
  ['that ends in a number', 'EXAMPLE.123'],
  ['that is an LDAP filter', '*)(OBJECTCLASS=*).TEST'],
  ['with an asterisk', '*.TEST'],
  ['that goes on as another name', 'EXAMPLE.TEST,O=EVIL'],
  ['with a multi-valued part', 'EXAMPLE+OU=X.TEST'],
  ['with an escape of LDAP', 'EXAMPLE\\2C.TEST'],
  ['that climbs up folders', '../../ETC.TEST'],
  ['of a shell', '$(REBOOT).TEST'],
  ['with a semicolon', 'EXAMPLE;.TEST'],
  ['with interpolation of Python', '%(HOME)S.TEST'],
  ['of other letters than ASCII', 'EXÄMPLE.TEST'],
  ['with a Kelvin sign for a K', '\u212aELVIN.TEST'],
];

/** What no option takes, whatever it is for. */
const UNPRINTABLE: readonly [string, string][] = [
  ['with a line break', 'EXAMPLE\nO=EVIL.TEST'],
  ['with an escape sequence', '\u001b[31mEXAMPLE.TEST'],
  ['with a line separator', 'EXAMPLE\u2028.TEST'],
  ['that turns the direction of writing', 'EXAMPLE\u202e.TEST'],
];

function named(option: string, code: string, values: readonly [string, string][], names = option.slice(2)) {
  return values.map(([what, value]) => ({
    what: `${option} ${what}`,
    argv: install({ [option]: value }),
    code,
    names,
  }));
}

function lower(values: readonly [string, string][]): [string, string][] {
  return values.map(([what, value]) => [what, value.replace(/[A-Z]+/g, (letters) => letters.toLowerCase())]);
}

const REALMS = [
  ...named('--realm', 'realm-invalid', [
    ...NO_NAMES,
    ['in lower case', 'example.test'],
    ['of 81 characters', `${long(40, 'A')}.${long(40, 'B')}`],
  ]),
  ...named('--realm', 'option-unprintable', UNPRINTABLE, '--realm'),
  ...named('--realm', 'option-too-long', [['of 100000 characters', long(100_000, 'A')]], '--realm'),
];

const DOMAINS = [
  ...named('--domain', 'domain-invalid', [
    ...lower(NO_NAMES).filter((_, index) => index % 3 === 0),
    ['in capitals', 'EXAMPLE.TEST'],
    ['that is an address', '10.77.0.11'],
    ['of 254 characters', `${Array(50).fill('abcd').join('.')}.exam`],
  ]),
  ...named('--domain', 'option-unprintable', UNPRINTABLE.slice(0, 1), '--domain'),
];

const HOSTS = [
  ...named(
    '--hostname',
    'hostname-invalid',
    [
      ...lower(NO_NAMES).filter((_, index) => index % 3 === 1),
      ['that is an address', '10.77.0.11'],
      ['that is an address of IPv6', 'fe80::1'],
      ['that is everybody’s own', 'localhost.localdomain'],
      ['of 65 characters', `${long(60, 'a')}.test`],
      ['in capitals', 'CA1.EXAMPLE.TEST'],
    ],
    'host name',
  ),
  ...named('--hostname', 'option-unprintable', UNPRINTABLE.slice(2, 3), '--hostname'),
];

/** Bytes that are no UTF-8 come from a shell; no string of JavaScript holds them. */
const BYTES: readonly BadInput[] = ['--realm', '--token-name', '--ca-subject'].map((option) => ({
  what: `${option} of bytes that are not UTF-8`,
  as: ['bash', '-c', `shift; exec capstan "$@" ${option} "$(printf 'EX\\377MPLE')"`, 'bash'],
  argv: install({ [option]: undefined }),
  code: 'option-unprintable',
  names: option,
}));

const NO_DNS: readonly [string, string][] = [
  ['that is empty', ''],
  ['without an equals sign', 'Certificate Authority'],
  ['with an empty part', 'CN=CA,,O=X'],
  ['with a part without a type', 'CN=CA,=X'],
  ['with a type that is none', 'CN=CA,O O=X'],
  ['with a semicolon', 'CN=CA;O=X'],
  ['in quotes', 'CN="CA",O=X'],
  ['in hexadecimal', 'CN=#0403,O=X'],
  ['that ends in a backslash', 'CN=CA,O=X\\'],
  ['with escaped bytes that are not UTF-8', 'CN=\\ff\\fe,O=X'],
  ['with an escaped NUL', 'CN=CA\\00,O=X'],
  ['with an escaped line break', 'CN=CA\\0a,O=X'],
];

const NO_SUBJECTS: readonly [string, string][] = [
  ['of a type that Dogtag does not know', 'CN=CA,FOO=X'],
  ['of an object identifier', 'CN=CA,1.2.3.4=X'],
  ['of a country that is none', 'CN=CA,C=Germany'],
  ['of a domain component outside ASCII', 'CN=CA,DC=\u00e4'],
  ['of a mail address outside ASCII', 'CN=CA,E=\u00e4@example.test'],
  ['of 65 characters', `CN=CA,O=${long(65)}`],
  ['of a value that ends in a blank', 'CN=CA,O=X\\ '],
];

const SUBJECTS = [
  ...named('--ca-subject', 'dn-invalid', NO_DNS, 'distinguished name'),
  ...named('--subject-base', 'dn-invalid', NO_DNS.slice(0, 3), 'distinguished name'),
  ...named('--ca-subject', 'subject-invalid', NO_SUBJECTS, '--ca-subject'),
  ...named('--subject-base', 'subject-invalid', NO_SUBJECTS.slice(0, 1), '--subject-base'),
  ...named(
    '--subject-base',
    'subject-invalid',
    [['that repeats a realm of 65 characters', `O=${long(65)}`]],
    '--subject-base',
  ),
  ...named(
    '--ca-subject',
    'ca-subject-invalid',
    [
      ['without a CN', 'O=EXAMPLE.TEST'],
      ['with two', 'CN=A,CN=B'],
    ],
    '--ca-subject',
  ),
  ...named('--ca-subject', 'option-unprintable', [['with a line break', 'CN=CA\nO=X']], '--ca-subject'),
  ...named('--ca-subject', 'option-too-long', [['of 5000 characters', `CN=${long(5000)}`]], '--ca-subject'),
];

/** Everything that is wrong with a name. */
export const NAMES: readonly BadInput[] = [...REALMS, ...DOMAINS, ...HOSTS, ...BYTES, ...SUBJECTS];
