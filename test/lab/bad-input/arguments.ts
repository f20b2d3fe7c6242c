/** Wrong words: commands and options that there are not, values that are no choice, options given twice. */
import { type BadInput, CANARY } from './driver.ts';
import { install, long, uninstall } from './support.ts';

const usage = (what: string, argv: readonly string[], names: string): BadInput => ({
  what,
  argv,
  names,
  code: 'usage',
});

const COMMANDS: readonly BadInput[] = [
  usage('no command', [], 'command'),
  usage('an unknown command', ['instal'], 'instal'),
  usage('an empty command', [''], 'command'),
  usage('a command in capitals', ['Status'], 'Status'),
  usage('a command after --', ['--', 'status'], '--'),
  usage('help for an unknown command', ['help', 'instal'], 'instal'),
  usage('an unknown option before the command', ['--lab', 'status'], '--lab'),
  usage('a command of escape sequences', ['\u001b[2J\u001b]0;x\u0007status'], 'nknown command'),
  usage('a command that turns the direction of writing', ['\u202esutats'], 'nknown command'),
  usage('a command of 100000 characters', [long(100_000)], 'nknown command'),
  usage('an option of 100000 characters', ['status', `--${long(100_000)}`], 'nknown option'),
  usage('two commands', ['status', 'config-show'], 'status'),
];

const WORDS: readonly BadInput[] = [
  ...['server-install', 'status', 'config-show', 'uninstall', 'restart', 'support-bundle'].flatMap(
    (command) => [
      usage(`${command} with a word too many`, [command, 'EXAMPLE.TEST'], command),
      usage(`${command} with an unknown option`, [command, '--forced'], '--forced'),
    ],
  ),
  usage('a word after --', ['status', '--', '--output'], 'status'),
  usage('an output and no word for it', ['uninstall', '--output'], '--output'),
  usage('an unknown output', ['config-show', '--output', 'xml'], '--output'),
  usage('status with the output of an installation', ['status', '--output', 'terminal'], '--output'),
  usage('an output in capitals', ['server-install', '--output', 'JSON'], '--output'),
  usage('a realm without a value', ['server-install', '--realm'], '--realm'),
  usage('a short option without a value', ['server-install', '-r'], '-r'),
  usage('a value for an option that takes none', ['server-install', '--unattended=yes'], '--unattended'),
  usage('a mistyped option whose value is a password', install({}, `--ds-pasword=${CANARY}`), '--ds-pasword'),
  usage('a short option and its value apart', install({}, '-p', 'my', `${CANARY}`), 'arguments'),
  usage('an option of another command', install({}, '--purge-token'), '--purge-token'),
  usage('a prompted flag for a removal', uninstall('--dry-run'), '--dry-run'),
];

const SUBCOMMANDS: readonly BadInput[] = ['export', 'import'].flatMap((command) => [
  usage(`token ${command} with a word too many`, ['token', command, 'HSM'], command),
  usage(`token ${command} with an unknown option`, ['token', command, '--force'], '--force'),
]);

const KEY_SIZES: readonly BadInput[] = [...['1024', '0x800', '', long(9999, '9')]].map((size) =>
  usage(`the key size ${JSON.stringify(size).slice(0, 20)}`, install({}, `--key-size=${size}`), '--key-size'),
);

const TWICE: readonly BadInput[] = [
  usage('two realms', install({}, '--realm', 'OTHER.TEST'), '--realm is given twice'),
  usage('two realms of which one is short', install({}, '-r', 'OTHER.TEST'), '--realm is given twice'),
  usage('two tokens', install({}, '--token-name', 'other'), '--token-name is given twice'),
  usage('two libraries', install({}, '--library-path', '/lib/x.so'), '--library-path is given twice'),
  usage(
    'two files for one password',
    install({}, '--ds-password-file', '/etc/x'),
    '--ds-password-file is given twice',
  ),
  usage(
    'two passwords',
    install({}, '-a', `${CANARY}-1`, '-a', `${CANARY}-2`),
    '--admin-password is given twice',
  ),
  usage('two key sizes', install({}, '--key-size=2048', '--key-size=4096'), '--key-size is given twice'),
  usage('two logs', install({}, '--log-file', '/run/a', '--log-file', '/run/b'), '--log-file is given twice'),
  usage(
    'two logs of a removal',
    uninstall('--log-file=/run/a', '--log-file=/run/b'),
    '--log-file is given twice',
  ),
  usage('two outputs of a status', ['status', '--output=json', '--output=table'], '--output is given twice'),
];

const CONTRARY: readonly BadInput[] = [
  usage('purging and keeping the token', uninstall('--purge-token', '--keep-token'), '--keep-token'),
  {
    what: 'two libraries under two names',
    argv: install({ '--token-library-path': '/usr/lib/other.so' }),
    code: 'library-path-twice',
    names: '--token-library-path',
  },
];

/** What only root may do, asked for by nobody. */
const OTHERS: readonly BadInput[] = [
  'server-install',
  'uninstall',
  'restart',
  'support-bundle',
  'status',
  'config-show',
].map((command) => ({
  what: `${command} by another user than root`,
  as: ['setpriv', '--reuid=nobody', '--regid=nogroup', '--clear-groups'],
  argv: [command],
  code: 'not-root',
  names: 'root',
}));

/** Everything that is wrong with the words themselves. */
export const ARGUMENTS: readonly BadInput[] = [
  ...COMMANDS,
  ...WORDS,
  ...SUBCOMMANDS,
  ...KEY_SIZES,
  ...TWICE,
  ...CONTRARY,
  ...OTHERS,
];
