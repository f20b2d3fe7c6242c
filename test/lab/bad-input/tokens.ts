/** Labels that no record can carry, libraries that are none, and deadlines that are no time. */
import { TOKEN_NAME } from '../../../src/lab/settings.ts';
import type { BadInput } from './driver.ts';
import { BAD, install, long } from './support.ts';

const before = (what: string, changes: Record<string, string>, code: string, names: string): BadInput => ({
  what,
  argv: install(changes),
  code,
  names,
});

/** Refused by the checks, after a look at the host and at the token. */
const checked = (what: string, changes: Record<string, string>, code: string, names: string): BadInput => ({
  ...before(what, changes, code, names),
  checked: true,
});

const label = (what: string, value: string) =>
  checked(`a label ${what}`, { '--token-name': value }, 'token-label-invalid', 'token name');

const LABELS: readonly BadInput[] = [
  before('a label that is empty', { '--token-name': '' }, 'option-missing', '--token-name'),
  before('a label with a tab', { '--token-name': 'my\ttoken' }, 'option-unprintable', '--token-name'),
  before(
    'a label with a line break',
    { '--token-name': `${TOKEN_NAME}\n` },
    'option-unprintable',
    '--token-name',
  ),
  before(
    'a label that turns the direction',
    { '--token-name': '\u202emsh' },
    'option-unprintable',
    '--token-name',
  ),
  before(
    'a label of 100000 characters',
    { '--token-name': long(100_000) },
    'option-too-long',
    '--token-name',
  ),
  label('of 33 bytes', long(33)),
  label('with a colon', 'my:token'),
  label('with a semicolon', `${TOKEN_NAME};/lib/evil.so`),
  label('of the internal token', 'Internal Key Storage Token'),
  checked('a label in capitals', { '--token-name': TOKEN_NAME.toUpperCase() }, 'token-not-found', TOKEN_NAME),
  checked('a label that is a pattern', { '--token-name': '*' }, 'token-not-found', TOKEN_NAME),
  checked('a label that looks like an option', { '--token-name': '--help' }, 'token-not-found', '--help'),
];

const library = (what: string, path: string, code: string, names = '--library-path') =>
  (code === 'library-path-invalid' ? before : checked)(
    `a library ${what}`,
    { '--library-path': path },
    code,
    names,
  );

const LIBRARIES: readonly BadInput[] = [
  before('a library without a name', { '--library-path': '' }, 'option-missing', '--library-path'),
  library('that climbs up', '/usr/lib/../lib/softhsm/libsofthsm2.so', 'library-path-invalid'),
  library('that climbs up from here', '../usr/lib/softhsm/libsofthsm2.so', 'library-path-invalid'),
  checked('a library of a relative path', { '--library-path': 'x.so' }, 'library-path-invalid', 'x.so'),
  checked(
    'a library of an address',
    { '--library-path': 'https://example.test/x.so' },
    'library-path-invalid',
    'https:',
  ),
  checked(
    'a library with a semicolon',
    { '--library-path': '/lib/x.so;y' },
    'library-path-invalid',
    '/lib/x.so;y',
  ),
  before(
    'a library with a line break',
    { '--library-path': '/usr/lib/x\n.so' },
    'option-unprintable',
    '--library-path',
  ),
  library('that is not there', '/usr/lib/none.so', 'module-missing', '/usr/lib/none.so'),
  library('that is a pipe', `${BAD}/pipe`, 'module-not-file', `${BAD}/pipe`),
  library('that is a device', '/dev/null', 'module-not-file', '/dev/null'),
  library('that is text', '/etc/passwd', 'module-load-failed', '/etc/passwd'),
];

const pin = (what: string, file: string, code: string, names: string) =>
  checked(`a PIN ${what}`, { '--token-password-file': `${BAD}/${file}` }, code, names);

const PINS: readonly BadInput[] = [
  pin('of other characters than ASCII', 'pin-latin', 'token-password-invalid', 'token password'),
  { ...pin('that is wrong', 'good', 'pin-incorrect', 'PIN'), alone: true },
];

const WRONG_TIMES = ['', '0', '1e3', '\u0661\u0660'];

const TIMES: readonly BadInput[] = [
  ...WRONG_TIMES.map((time) => ({
    what: `a token timeout of ${JSON.stringify(time)}`,
    argv: install({ '--token-timeout': time }),
    code: 'deadline-invalid',
    names: time === '' ? '--token-timeout' : time,
  })),
  ...['', 'token', '=60', 'token=0', 'token=86401', 'token=soon', 'none=60', 'TOKEN=60'].map((setting) => ({
    what: `the deadline ${JSON.stringify(setting)}`,
    argv: ['status', '--deadline', setting],
    code: 'deadline-invalid',
    names: setting,
  })),
  ...['constructor=60', '__proto__=60'].map((setting) => ({
    what: `the deadline ${setting} of JavaScript itself`,
    argv: install({}, '--deadline', setting),
    code: 'deadline-invalid',
    names: setting,
  })),
  {
    what: 'two deadlines of one name',
    argv: install({}, '--deadline', 'ldap=5', '--deadline', 'ldap=6'),
    code: 'deadline-invalid',
    names: 'ldap',
  },
  {
    what: 'a deadline that contradicts the token timeout',
    argv: install({ '--token-timeout': '7' }, '--deadline', 'token=8'),
    code: 'deadline-invalid',
    names: 'token',
  },
  {
    what: 'a deadline with a line break',
    argv: install({}, '--deadline', 'ldap=5\n'),
    code: 'option-unprintable',
    names: '--deadline',
  },
];

/** Everything that is wrong with a token, its library, its PIN, or the time that it gets. */
export const TOKENS: readonly BadInput[] = [...LABELS, ...LIBRARIES, ...PINS, ...TIMES];
