/** Wrong ways to move a token of SoftHSM: nothing is written, and nothing of another module. */
import { SOFTHSM, TOKEN_NAME, VALUES_FOLDER } from '../../../src/lab/settings.ts';
import type { BadInput } from './driver.ts';
import { BAD } from './support.ts';

type Changes = Readonly<Record<string, string | undefined>>;

function words(command: string, good: Changes, changes: Changes): string[] {
  const options = Object.entries({ ...good, ...changes }).flatMap(([name, value]) =>
    value === undefined ? [] : [name, value],
  );
  return ['token', command, '--unattended', '--output', 'json', ...options];
}

const exporting = (changes: Changes) =>
  words(
    'export',
    {
      '--token-name': TOKEN_NAME,
      '--library-path': SOFTHSM.library,
      '--output-file': '/run/export.token',
      '--passphrase-file': `${VALUES_FOLDER}/ds-password`,
    },
    changes,
  );

const importing = (changes: Changes) =>
  words(
    'import',
    {
      '--library-path': SOFTHSM.library,
      '--input-file': `${BAD}/other-program`,
      '--passphrase-file': `${VALUES_FOLDER}/ds-password`,
    },
    changes,
  );

const bad = (what: string, argv: readonly string[], code: string, names: string): BadInput => ({
  what,
  argv,
  code,
  names,
});

/** Refused when the file was looked at, which the run's log tells. */
const looked = (...facts: Parameters<typeof bad>): BadInput => ({ ...bad(...facts), checked: true });

/** What may not be asked of `capstan token`. */
export const MOVES: readonly BadInput[] = [
  bad('an export over a file', exporting({ '--output-file': `${BAD}/good` }), 'output-file-exists', BAD),
  bad(
    'an export over a dangling link',
    exporting({ '--output-file': `${BAD}/dangling` }),
    'output-file-exists',
    BAD,
  ),
  bad(
    'an export under a short passphrase',
    exporting({ '--passphrase-file': `${BAD}/short` }),
    'secret-too-short',
    'passphrase',
  ),
  bad(
    'an export under an exposed passphrase',
    exporting({ '--passphrase-file': `${BAD}/open` }),
    'secret-file-exposed',
    `${BAD}/open`,
  ),
  bad(
    'an export without a passphrase',
    exporting({ '--passphrase-file': undefined }),
    'secrets-missing',
    'passphrase',
  ),
  looked(
    'an import of what is no token file',
    importing({}),
    'token-file-unreadable',
    `${BAD}/other-program`,
  ),
  looked(
    'an import of a file that is not there',
    importing({ '--input-file': `${BAD}/missing` }),
    'token-file-missing',
    `${BAD}/missing`,
  ),
];
