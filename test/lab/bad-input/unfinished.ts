/** What may not be asked of a host where nothing is unfinished, and of one where an installation is. */
import { VALUES_FOLDER } from '../../../src/lab/settings.ts';
import { type BadInput, CANARY } from './driver.ts';
import { BAD, install } from './support.ts';

const PIN = ['--token-password-file', `${VALUES_FOLDER}/token-password`];
const OTHERS = [
  ...['--ds-password-file', `${VALUES_FOLDER}/ds-password`],
  ...['--admin-password-file', `${VALUES_FOLDER}/admin-password`],
];
const START = ['server-install', '--unattended', '--output', 'json'];

const bad = (what: string, argv: readonly string[], code: string, names: string): BadInput => ({
  what,
  argv,
  code,
  names,
  // It asks for the host, and must not find it taken.
  alone: !argv.includes('--dry-run'),
});

/** Ways on that exclude each other, wherever they are asked for. */
const CONTRARY: readonly BadInput[] = [
  bad('to resume and to undo', [...START, '--resume', '--undo'], 'usage', '--undo'),
  bad('to undo and to keep', [...START, '--undo', '--keep'], 'usage', '--undo'),
  bad('to rehearse an undo', [...START, '--undo', '--dry-run'], 'usage', '--undo'),
];

/** On a host where nothing was begun. */
export const NOTHING_UNFINISHED: readonly BadInput[] = [
  ...CONTRARY,
  bad('to resume nothing', [...START, '--resume'], 'nothing-unfinished', 'resume'),
  bad('to undo nothing', [...START, '--undo'], 'nothing-unfinished', 'undo'),
  bad(
    'to rehearse the resume of nothing',
    [...START, '--resume', '--dry-run'],
    'nothing-unfinished',
    'resume',
  ),
  bad(
    'to undo nothing with all options',
    [...install().filter((word) => word !== '--dry-run'), '--undo'],
    'nothing-unfinished',
    'undo',
  ),
];

const differing = (option: string, value: string) =>
  bad(
    `to resume with another ${option}`,
    [...START, '--resume', ...PIN, ...OTHERS, option, value],
    'resume-differs',
    option,
  );

/** On a host where an installation failed and was kept. */
export const UNFINISHED: readonly BadInput[] = [
  ...CONTRARY.map((one) => ({ ...one, what: `${one.what} what there is` })),
  bad(
    'to begin anew',
    install().filter((word) => word !== '--dry-run'),
    'unfinished-run',
    'did not come to its end',
  ),
  bad('to begin anew as a rehearsal', install(), 'unfinished-run', 'did not come to its end'),
  differing('--realm', 'OTHER.TEST'),
  differing('--hostname', 'ca2.example.test'),
  differing('--key-size', '4096'),
  differing('--token-name', 'other'),
  differing('--library-path', '/usr/lib/other.so'),
  differing('--pki-config-override', `${BAD}/override-default`),
  bad(
    'to resume with a realm that is none',
    [...START, '--resume', ...PIN, ...OTHERS, '--realm', '*'],
    'realm-invalid',
    'realm',
  ),
  bad('to resume without the PIN', [...START, '--resume', ...OTHERS], 'secrets-missing', 'token password'),
  bad(
    'to resume with a PIN and a file of it',
    [...START, '--resume', ...PIN, ...OTHERS, '--token-password', CANARY],
    'secret-given-twice',
    '--token-password-file',
  ),
  bad(
    'to resume with a PIN of two lines',
    [...START, '--resume', ...OTHERS, '--token-password-file', `${BAD}/two`],
    'secret-file-unusable',
    `${BAD}/two`,
  ),
  bad(
    'to resume with a log that is a link',
    [...START, '--resume', ...PIN, ...OTHERS, '--log-file', `${BAD}/log-link`],
    'log-file-unusable',
    '--log-file',
  ),
  {
    ...bad(
      'to resume with a wrong PIN',
      [...START, '--resume', ...OTHERS, '--token-password-file', `${BAD}/good`],
      'pin-incorrect',
      'PIN',
    ),
    checked: true,
  },
  bad(
    'to undo with a PIN of two lines',
    [...START, '--undo', '--token-password-file', `${BAD}/two`],
    'secret-file-unusable',
    `${BAD}/two`,
  ),
  bad(
    'to remove it with a PIN that nothing needs',
    ['uninstall', '--unattended', '--output', 'json', '--keep-token', ...PIN],
    'option-unused',
    '--token-password-file',
  ),
  bad(
    'to remove it with a PIN of two lines',
    [
      ...['uninstall', '--unattended', '--output', 'json', '--purge-token'],
      ...['--token-password-file', `${BAD}/two`],
    ],
    'secret-file-unusable',
    `${BAD}/two`,
  ),
  bad(
    'to remove it without being asked',
    ['uninstall', '--output', 'json', '--keep-token'],
    'confirmation-missing',
    'removed',
  ),
  bad('to restart it', ['restart', '--output', 'json'], 'unfinished-run', 'installation'),
];
