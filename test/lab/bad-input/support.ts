/** Good options, to be spoilt one at a time, and the files that the tables name. */
import { SOFTHSM, TOKEN_NAME, VALUES_FOLDER } from '../../../src/lab/settings.ts';
import { CANARY } from './driver.ts';

/** Where the files of the tables lie in the host. */
export const BAD = '/srv/bad-input';

const GOOD: Readonly<Record<string, string | undefined>> = {
  '--realm': 'EXAMPLE.TEST',
  '--domain': 'example.test',
  '--hostname': 'ca1.example.test',
  '--token-name': TOKEN_NAME,
  '--library-path': SOFTHSM.library,
  '--token-password-file': `${VALUES_FOLDER}/token-password`,
  '--ds-password-file': `${VALUES_FOLDER}/ds-password`,
  '--admin-password-file': `${VALUES_FOLDER}/admin-password`,
};

/**
 * An installation from which nothing is missing, but for the options that are changed and the words that are added.
 * It is a rehearsal: where a wrong value is taken for a good one, no CA is built.
 */
export function install(
  changes: Readonly<Record<string, string | undefined>> = {},
  ...more: readonly string[]
): string[] {
  const options = Object.entries({ ...GOOD, ...changes }).flatMap(([name, value]) =>
    value === undefined ? [] : [name, value],
  );
  return ['server-install', '--unattended', '--dry-run', '--output', 'json', ...options, ...more];
}

/** A removal without questions. */
export function uninstall(...words: readonly string[]): string[] {
  return ['uninstall', '--unattended', '--output', 'json', ...words];
}

/** A text of so many characters. */
export function long(length: number, letter = 'x'): string {
  return letter.repeat(length);
}

/** Makes the files of the tables (bash, as root). */
export const FIXTURES = `
rm -rf ${BAD}; mkdir -m 755 ${BAD}; cd ${BAD}; umask 077
put() { printf "$2" > "$1"; chmod "\${3:-600}" "$1"; }
put good '${CANARY}-2026\\n'
put short 'Canary7'
put two '${CANARY}-one\\n${CANARY}-two\\n'
put empty ''
put newline '\\n'
put blank-line '\\n${CANARY}-2026\\n'
put windows '${CANARY}-2026\\r\\n'
put nul '${CANARY}\\0-2026\\n'
put tab '${CANARY}\\t-2026\\n'
put escape '${CANARY}\\033[2J-2026\\n'
put delete '${CANARY}\\177-2026\\n'
put mark '\\357\\273\\277${CANARY}-2026\\n'
put latin '${CANARY}-\\344\\366\\374-2026\\n'
put hash '{SSHA}${CANARY}2026\\n'
put edges ' ${CANARY}-2026 \\n'
put pin-latin '${CANARY}-\\303\\244\\n'
put backslash '${CANARY}\\\\\\n'
head -c 4097 /dev/zero | tr '\\0' x > long
truncate -s 20G sparse
put open '${CANARY}-2026\\n' 644
put group '${CANARY}-2026\\n' 640
put writable '${CANARY}-2026\\n' 602
put foreign '${CANARY}-2026\\n'; chown nobody foreign
mkdir -m 700 folder; mkdir -m 777 everybody; chmod 777 everybody
mkfifo -m 600 pipe
python3 -c "import socket; socket.socket(socket.AF_UNIX).bind('socket')"
ln -s nowhere dangling; ln -s loop loop; ln -s open link-to-open; ln -s folder link-to-folder
ln -s nowhere/deeper dangling-folder
put other-program 'root:x:0:0\\n' 644
put linked-log '2026-01-02T03:04:05.678Z begin\\n'; ln -s linked-log log-link; ln -s /etc/new-log log-to-new
put second-log '2026-01-02T03:04:05.678Z begin\\n'; ln second-log hard-link
put foreign-log '2026-01-02T03:04:05.678Z begin\\n'; chown nobody foreign-log
mkdir -m 700 credentials-folder credentials-pipe credentials-two
mkdir credentials-folder/ds-password; mkfifo credentials-pipe/ds-password; cp two credentials-two/ds-password
`;
