/** Logs that would follow a link or spoil another program's file, and override files that take what is Capstan's. */
import type { BadInput } from './driver.ts';
import { BAD, install, long, uninstall } from './support.ts';

const LOGS: readonly [string, string][] = [
  ['without a name', ''],
  ['named -', '-'],
  ['that is a folder', `${BAD}/folder`],
  ['that is a link to a log', `${BAD}/log-link`],
  ['that is a link to a new file in /etc', `${BAD}/log-to-new`],
  ['that is a dangling link', `${BAD}/dangling`],
  ['that is a pipe', `${BAD}/pipe`],
  ['that is a socket', `${BAD}/socket`],
  ['that is /dev/null', '/dev/null'],
  ['that is /etc/passwd', '/etc/passwd'],
  ['that is another program’s file', `${BAD}/other-program`],
  ['that is a password file', `${BAD}/good`],
  ['with two names', `${BAD}/hard-link`],
  ['of another user', `${BAD}/foreign-log`],
  ['below a file', `${BAD}/good/log`],
  ['below a dangling link', `${BAD}/dangling-folder/log`],
  ['where anybody may write', `${BAD}/everybody/log`],
  ['that climbs up', '/var/log/capstan/../../../etc/cron.d/log'],
  ['that climbs up from here', '../etc/cron.d/log'],
  ['with a line break in its name', `${BAD}/log\n`],
  ['with an escape sequence in its name', `${BAD}/\u001b[2J`],
  ['of a name of 300 characters', `${BAD}/${long(300)}`],
  ['in the kernel', '/proc/sys/kernel/core_pattern'],
];

const FROM_LOGS: readonly BadInput[] = [
  ...LOGS.map(([what, file]) => ({
    what: `a log ${what}`,
    argv: install({ '--log-file': file }),
    code: 'log-file-unusable',
    names: '--log-file',
  })),
  ...LOGS.slice(2, 5).map(([what, file]) => ({
    what: `a log of a removal ${what}`,
    argv: uninstall('--log-file', file),
    code: 'log-file-unusable',
    names: '--log-file',
  })),
];

/** Where a support bundle would be written over something, or somewhere else than one reads. */
const BUNDLES: readonly [what: string, file: string, code: string, names?: string][] = [
  ['without a name', '', 'output-file-unusable', '--output-file'],
  ['over a password', `${BAD}/good`, 'output-file-exists'],
  ['over a device', '/dev/null', 'output-file-exists'],
  ['over a folder', `${BAD}/folder`, 'output-file-exists'],
  ['through a link', `${BAD}/log-to-new`, 'output-file-exists'],
  ['in a folder that is not there', `${BAD}/none/bundle.tar.gz`, 'output-file-unusable'],
  ['that climbs up', `${BAD}/folder/../bundle.tar.gz`, 'output-file-unusable', '--output-file'],
  ['with a slash at its end', `${BAD}/bundle/`, 'output-file-unusable', '--output-file'],
  ['of a name of 300 characters', `${BAD}/${long(300)}`, 'output-file-unusable', BAD],
];

const FROM_BUNDLES: readonly BadInput[] = BUNDLES.map(([what, file, code, names = file]) => ({
  what: `a support bundle ${what}`,
  argv: ['support-bundle', '--output', 'json', '--output-file', file],
  code,
  names,
}));

const PATHS: readonly [string, string][] = [
  ['without a name', ''],
  ['of a relative path', 'override.cfg'],
  ['that climbs up', `${BAD}/folder/../override.cfg`],
  ['that ends in a slash', `${BAD}/override.cfg/`],
  ['with a line break in its name', `${BAD}/override\n.cfg`],
];

/** What is found when the file is read; the checks look at the whole host meanwhile. */
const CONTENTS: readonly [what: string, file: string, code: string, names?: string][] = [
  ['that is not there', 'none', 'override-missing'],
  ['that is a pipe', 'pipe', 'override-not-a-file'],
  ['of 20 GB', 'sparse', 'override-too-large'],
  ['of Latin-1', 'override-latin', 'override-encoding'],
  ['with a NUL', 'override-nul', 'override-invalid'],
  ['that is no INI file', 'override-prose', 'config-syntax'],
  ['that takes the token in [DEFAULT]', 'override-default', 'override-owned', 'pki_token_name'],
  ['with a weak key', 'override-weak', 'override-invalid', 'pki_subsystem_key_size'],
];

/** The override files of {@link CONTENTS} (bash, after the fixtures). */
export const OVERRIDES = `
cd ${BAD}; umask 077
printf '[DEFAULT]\\npki_admin_email=\\344@example.test\\n' > override-latin
printf '[DEFAULT]\\npki_admin_email=a\\0b\\n' > override-nul
printf 'all the best\\n' > override-prose
printf '[DEFAULT]\\npki_token_name=internal\\n' > override-default
printf '[CA]\\nPKI_TOKEN_NAME=internal\\n' > override-letters
printf '[DEFAULT]\\npki_subsystem_key_size=1024\\n' > override-weak
`;

const FROM_OVERRIDES: readonly BadInput[] = [
  ...PATHS.map(([what, file]) => ({
    what: `an override ${what}`,
    argv: install({ '--pki-config-override': file }),
    code: 'override-path-invalid',
    names: '--pki-config-override',
  })),
  ...CONTENTS.map(([what, file, code, names = `${BAD}/${file}`]) => ({
    what: `an override ${what}`,
    argv: install({ '--pki-config-override': `${BAD}/${file}` }),
    code,
    names,
    checked: true,
    alone: true,
  })),
];

/** Everything that is wrong with a log or an override file. */
export const FILES: readonly BadInput[] = [...FROM_LOGS, ...FROM_BUNDLES, ...FROM_OVERRIDES];
