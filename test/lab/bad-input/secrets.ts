/** Passwords that cannot be used, and files that must not be believed. */
import { type BadInput, CANARY } from './driver.ts';
import { BAD, install, long } from './support.ts';

type File = readonly [what: string, file: string, code: string];

const MISSING = 'secret-file-missing';
const UNUSABLE = 'secret-file-unusable';
const EXPOSED = 'secret-file-exposed';

const FILES: readonly File[] = [
  ['that is not there', 'none', MISSING],
  ['behind a dangling link', 'dangling', MISSING],
  ['behind a link to itself', 'loop', UNUSABLE],
  ['below a file', 'good/password', UNUSABLE],
  ['that is a folder', 'folder', UNUSABLE],
  ['that is a pipe', 'pipe', UNUSABLE],
  ['that is a socket', 'socket', UNUSABLE],
  ['of two lines', 'two', UNUSABLE],
  ['that is empty', 'empty', UNUSABLE],
  ['of Windows', 'windows', UNUSABLE],
  ['with a NUL', 'nul', UNUSABLE],
  ['with a tab', 'tab', UNUSABLE],
  ['with an escape sequence', 'escape', UNUSABLE],
  ['with a byte order mark', 'mark', UNUSABLE],
  ['of Latin-1', 'latin', UNUSABLE],
  ['between blanks', 'edges', UNUSABLE],
  ['that ends in a backslash', 'backslash', UNUSABLE],
  ['of 4097 bytes', 'long', UNUSABLE],
  ['of 20 GB', 'sparse', UNUSABLE],
  ['that anybody can read', 'open', EXPOSED],
  ['that anybody can write', 'writable', EXPOSED],
  ['of another user', 'foreign', EXPOSED],
  ['behind a link, that anybody can read', 'link-to-open', EXPOSED],
  ['through a folder and back', 'folder/../good', UNUSABLE],
  ['that climbs up to the root', '../../../etc/shadow', UNUSABLE],
  ['of a name of 300 characters', long(300), UNUSABLE],
];

function fromFile(option: string, [what, file, code]: File): BadInput {
  const path = file.startsWith('/') ? file : `${BAD}/${file}`;
  const names = file.length > 200 || file.includes('..') || file.endsWith('/') ? BAD : path;
  return { what: `${option} ${what}`, argv: install({ [option]: path }), code, names };
}

const FROM_FILES: readonly BadInput[] = [
  ...FILES.map((file) => fromFile('--ds-password-file', file)),
  ...FILES.filter(([, file]) => ['two', 'open'].includes(file)).flatMap((file) => [
    fromFile('--token-password-file', file),
    fromFile('--admin-password-file', file),
  ]),
  fromFile('--ds-password-file', ['that is a device', '/dev/zero', UNUSABLE]),
  fromFile('--admin-password-file', ['that is nothing', '/dev/null', UNUSABLE]),
  fromFile('--token-password-file', ['of the kernel', '/proc/1/environ', UNUSABLE]),
];

const odd = (
  what: string,
  changes: Record<string, string | undefined>,
  code: string,
  names: string,
): BadInput => ({
  what,
  argv: install(changes),
  code,
  names,
});

const FROM_OPTIONS: readonly BadInput[] = [
  odd('a file without a name', { '--ds-password-file': '' }, UNUSABLE, 'path is empty'),
  odd('a file with a line break in its name', { '--ds-password-file': `${BAD}/good\n` }, UNUSABLE, BAD),
  odd('a file that climbs up from here', { '--token-password-file': '../pin' }, UNUSABLE, '../pin'),
  odd(
    'a password of seven characters in a file',
    { '--ds-password-file': `${BAD}/short` },
    'secret-too-short',
    '--ds-password-file',
  ),
  odd(
    'a password that looks like a hash',
    { '--admin-password-file': `${BAD}/hash` },
    'secret-unusable',
    '--admin-password-file',
  ),
];

function given(what: string, option: string, value: string, code: string): BadInput {
  return { what, argv: install({ [`${option}-file`]: undefined, [option]: value }), code, names: option };
}

const FROM_ARGUMENTS: readonly BadInput[] = [
  given('an empty Directory Manager password', '--ds-password', '', 'secret-unusable'),
  given('a short Directory Manager password', '--ds-password', 'Canary7', 'secret-too-short'),
  given('a short admin password of UTF-8', '--admin-password', 'Canaryä', 'secret-too-short'),
  given('a password with a line break', '--ds-password', `${CANARY}\n2026`, 'secret-unusable'),
  given('a password with an escape sequence', '--admin-password', `${CANARY}\u001b[2J`, 'secret-unusable'),
  given('a password of 5000 characters', '--ds-password', CANARY + long(5000), 'secret-too-long'),
  given(
    'a password that looks like a hash of 389-ds',
    '--ds-password',
    `{SSHA512}${CANARY}2026`,
    'secret-unusable',
  ),
  {
    what: 'a password of bytes that are not UTF-8',
    as: ['bash', '-c', `shift; exec capstan "$@" --ds-password "$(printf '${CANARY}-\\377\\376')"`, 'bash'],
    argv: install({ '--ds-password-file': undefined }),
    code: 'secret-unusable',
    names: '--ds-password',
  },
  ...['--ds-password', '--admin-password', '--token-password'].map((option) => ({
    what: `${option} and a file for it`,
    argv: install({}, option, `${CANARY}-2026`),
    code: 'secret-given-twice',
    names: `${option}-file`,
  })),
];

const input = (what: string, text: string, names = 'standard input'): BadInput => ({
  what: `standard input ${what}`,
  argv: install({ '--token-password-file': '-' }),
  input: text,
  code: UNUSABLE,
  names,
});

const FROM_INPUT: readonly BadInput[] = [
  input('that is empty', ''),
  input('of two lines', `${CANARY}-one\n${CANARY}-two\n`),
  input('with a NUL', `${CANARY}\0\n`),
  { ...input('of Latin-1', ''), as: ['bash', '-c', `printf '${CANARY}-\\344\\n' | exec "$@"`, 'bash'] },
  input('of 100000 bytes', CANARY + long(100_000)),
  { ...input('that is closed', ''), as: ['bash', '-c', 'exec "$@" <&-', 'bash'] },
  {
    what: 'two passwords from standard input',
    argv: install({ '--token-password-file': '-', '--ds-password-file': '-' }),
    input: `${CANARY}-2026\n`,
    code: 'secret-input-twice',
    names: '--ds-password-file',
  },
];

const credentials = (what: string, folder: string, code: string, names: string): BadInput => ({
  what: `credentials ${what}`,
  as: ['env', `CREDENTIALS_DIRECTORY=${folder}`],
  argv: install({ '--ds-password-file': undefined }),
  code,
  names,
});

const FROM_CREDENTIALS: readonly BadInput[] = [
  credentials('that are a file', `${BAD}/good`, 'secrets-missing', 'Directory Manager password'),
  credentials(
    'of which one is a folder',
    `${BAD}/credentials-folder`,
    UNUSABLE,
    'credentials-folder/ds-password',
  ),
  credentials('of which one is a pipe', `${BAD}/credentials-pipe`, UNUSABLE, 'credentials-pipe/ds-password'),
  credentials(
    'of which one has two lines',
    `${BAD}/credentials-two`,
    UNUSABLE,
    'credentials-two/ds-password',
  ),
  {
    what: 'no password at all',
    argv: install({ '--ds-password-file': undefined, '--admin-password-file': undefined }),
    code: 'secrets-missing',
    names: 'admin password',
  },
];

/** Everything that is wrong with a password or its file. */
export const SECRETS: readonly BadInput[] = [
  ...FROM_FILES,
  ...FROM_OPTIONS,
  ...FROM_ARGUMENTS,
  ...FROM_INPUT,
  ...FROM_CREDENTIALS,
];
