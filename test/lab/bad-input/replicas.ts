/** Wrong ways to join a cluster and to run one, on a host that is no server: refused before anybody is asked. */
import { VALUES_FOLDER } from '../../../src/lab/settings.ts';
import { type BadInput, CANARY } from './driver.ts';
import { BAD, long } from './support.ts';

const FINGERPRINT = `sha256:${'0123456789abcdef'.repeat(4)}`;

type Changes = Readonly<Record<string, string | undefined>>;

const GOOD: Changes = {
  '--server': 'ca2.example.test',
  '--ca-fingerprint': FINGERPRINT,
  '--hostname': 'ca1.example.test',
  '--ds-password-file': `${VALUES_FOLDER}/ds-password`,
  '--token-password-file': `${VALUES_FOLDER}/token-password`,
};

function join(changes: Changes = {}, ...more: readonly string[]): string[] {
  const options = Object.entries({ ...GOOD, ...changes }).flatMap(([name, value]) =>
    value === undefined ? [] : [name, value],
  );
  return ['replica-install', '--unattended', '--dry-run', '--output', 'json', ...options, ...more];
}

function add(changes: Changes = {}, ...more: readonly string[]): string[] {
  const { '--ds-password-file': ds, '--token-password-file': token } = GOOD;
  const given = { '--ds-password-file': ds, '--token-password-file': token, ...changes };
  const options = Object.entries(given).flatMap(([name, value]) =>
    value === undefined ? [] : [name, value],
  );
  return ['ca-add', '--unattended', '--dry-run', '--output', 'json', ...options, ...more];
}

function recover(changes: Changes = {}, ...more: readonly string[]): string[] {
  return ['kra-add', ...add(changes, ...more).slice(1)];
}

const bad = (what: string, argv: readonly string[], code: string, names: string): BadInput => ({
  what,
  argv,
  code,
  names,
});

const USAGE: readonly BadInput[] = [
  bad('a replica with a word too many', join({}, 'ca2.example.test'), 'usage', 'replica-install'),
  bad(
    'a replica with an option of the first server',
    join({}, '--realm', 'EXAMPLE.TEST'),
    'usage',
    '--realm',
  ),
  bad('a replica with a mistyped secret', join({}, `--join-secert=${CANARY}`), 'usage', '--join-secert'),
  bad(
    'a replica with a KRA and without a CA',
    join({}, '--setup-kra', '--no-setup-ca'),
    'usage',
    'setup-kra',
  ),
  bad('a KRA with a word too many', recover({}, 'ca1.example.test'), 'usage', 'kra-add'),
  bad('a KRA of a server that is named', recover({}, '--server', 'ca2.example.test'), 'usage', '--server'),
  bad('a KRA to resume and to undo', recover({}, '--resume', '--undo').filter(notDry), 'usage', '--undo'),
  bad('a replica with a CA and without', join({}, '--setup-ca', '--no-setup-ca'), 'usage', 'setup-ca'),
  bad('two servers to join', join({}, '--server', 'ca3.example.test'), 'usage', '--server is given twice'),
  bad(
    'a certificate and a fingerprint',
    join({ '--ca-cert-file': `${BAD}/good` }),
    'usage',
    '--ca-cert-file',
  ),
  bad('a replica to resume and to undo', join({}, '--resume', '--undo').filter(notDry), 'usage', '--undo'),
  bad('a preparation of nobody', ['replica-prepare'], 'usage', 'host'),
  bad(
    'a preparation of two',
    ['replica-prepare', 'ca2.example.test', 'ca3.example.test'],
    'usage',
    'replica-prepare',
  ),
  bad(
    'a preparation in a terminal',
    ['replica-prepare', 'ca2.example.test', '--output', 'terminal'],
    'usage',
    '--output',
  ),
];

function notDry(word: string): boolean {
  return word !== '--dry-run';
}

const SERVERS: readonly BadInput[] = [
  bad('no server to join', join({ '--server': undefined }), 'option-missing', '--server'),
  bad('a server without a name', join({ '--server': '' }), 'server-invalid', '--server'),
  ...[
    'ca2',
    '10.77.0.12',
    '-ca2.example.test',
    'ca2..test',
    'ca2.example.test:636',
    'ldaps://ca2.example.test',
    '*.test',
  ].map((name) => bad(`the server ${name}`, join({ '--server': name }), 'server-invalid', '--server')),
  bad(
    'a server with a line break',
    join({ '--server': 'ca2.example.test\nx' }),
    'option-unprintable',
    '--server',
  ),
  bad(
    'a server of 100000 characters',
    join({ '--server': `${long(99_995)}.test` }),
    'option-too-long',
    '--server',
  ),
  bad('a host that is none', join({ '--hostname': 'ca1' }), 'hostname-invalid', 'host name'),
];

const TRUST: readonly BadInput[] = [
  bad('nothing to trust by', join({ '--ca-fingerprint': undefined }), 'option-missing', '--ca-fingerprint'),
  ...[
    '',
    'sha256:',
    FINGERPRINT.slice(0, -1),
    `${FINGERPRINT}0`,
    FINGERPRINT.replace('sha256', 'sha1'),
    FINGERPRINT.replace('0', 'g'),
  ].map((text) =>
    bad(
      `the fingerprint ${JSON.stringify(text)}`,
      join({ '--ca-fingerprint': text }),
      'ca-fingerprint-invalid',
      'fingerprint',
    ),
  ),
  bad(
    'a fingerprint with an escape sequence',
    join({ '--ca-fingerprint': `\u001b[2J${FINGERPRINT}` }),
    'option-unprintable',
    '--ca-fingerprint',
  ),
  ...[
    'missing',
    'folder',
    'pipe',
    'socket',
    'empty',
    'other-program',
    'loop',
    'dangling',
    'sparse',
    'latin',
  ].map((file) =>
    bad(
      `the CA certificate ${file}`,
      join({ '--ca-fingerprint': undefined, '--ca-cert-file': `${BAD}/${file}` }),
      'ca-certificate-unreadable',
      `${BAD}/${file}`,
    ),
  ),
  bad(
    'a CA certificate of a relative path',
    join({ '--ca-fingerprint': undefined, '--ca-cert-file': '' }),
    'ca-certificate-unreadable',
    '--ca-cert-file',
  ),
];

const SECRETS: readonly BadInput[] = [
  bad(
    'a replica without passwords',
    join({ '--ds-password-file': undefined }),
    'secrets-missing',
    'Directory Manager password',
  ),
  bad(
    'a replica without a PIN',
    join({ '--token-password-file': undefined }),
    'secrets-missing',
    'token password',
  ),
  bad('a join secret nobody can be asked for', join({}, '--join-secret'), 'secrets-missing', 'join secret'),
  ...['two', 'empty', 'nul', 'folder', 'long'].map((file) =>
    bad(
      `a join secret in the file ${file}`,
      join({ '--join-secret-file': `${BAD}/${file}` }),
      'secret-file-unusable',
      `${BAD}/${file}`,
    ),
  ),
  bad(
    'a join secret that others can read',
    join({ '--join-secret-file': `${BAD}/open` }),
    'secret-file-exposed',
    `${BAD}/open`,
  ),
];

/** Without a rehearsal they take the lock of the host, and would find each other there. */
const NO_SERVER: readonly BadInput[] = [
  { ...bad('a CA for a host without a server', add(), 'not-installed', 'no server'), checked: true },
  { ...bad('a KRA for a host without a server', recover(), 'not-installed', 'no server'), checked: true },
  ...[
    bad('to resume a replica that was not begun', join({}, '--resume'), 'nothing-unfinished', 'resume'),
    bad('to undo a replica that was not begun', join({}, '--undo'), 'nothing-unfinished', 'undo'),
    bad('to resume a CA that was not added', add({}, '--resume'), 'nothing-unfinished', 'resume'),
    bad('to resume a KRA that was not added', recover({}, '--resume'), 'nothing-unfinished', 'resume'),
    bad('to undo a KRA that was not added', recover({}, '--undo'), 'nothing-unfinished', 'undo'),
  ].map((one) => ({ ...one, argv: one.argv.filter(notDry), alone: true })),
];

const LIFETIMES: readonly BadInput[] = [
  '',
  '0m',
  '9m',
  '8d',
  '1w',
  '-1h',
  '1.5h',
  '24',
  'h',
  '99999d',
  '1 h',
].map((time) =>
  bad(
    `a secret that is good for ${JSON.stringify(time)}`,
    ['replica-prepare', 'ca2.example.test', `--lifetime=${time}`, '--output', 'json'],
    'lifetime-invalid',
    'join secret',
  ),
);

const PREPARED: readonly BadInput[] = [
  'ca2',
  '10.77.0.12',
  '',
  'ca2.example.test,cn=x',
  '*.example.test',
  '../ca2.test',
].map((name) =>
  bad(
    `a preparation of ${JSON.stringify(name)}`,
    ['replica-prepare', name, '--output', 'json'],
    'hostname-invalid',
    'host',
  ),
);

/** Everything that is wrong with a wish to join, before anybody is asked. */
export const REPLICAS: readonly BadInput[] = [
  ...USAGE,
  ...SERVERS,
  ...TRUST,
  ...SECRETS,
  ...NO_SERVER,
  ...LIFETIMES,
  ...PREPARED,
];
