/**
 * From a clean checkout to a running certificate authority with its keys on a token, in a lab on this machine.
 * Every command is shown as a person would type it. What is there already is used, not made again.
 *
 *   npm run quickstart [-- --lab NAME]
 */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { failure } from '../src/errors.ts';
import { HOME, handOver, say, script, scriptHost, since } from './lib/task.ts';
import { makeBundle } from './package.ts';

const CAPSTAN = join(HOME, 'bin/capstan');
const REHEARSAL = '/etc/capstan/lab';

const INSTALL = [
  'capstan server-install --unattended',
  '-r EXAMPLE.TEST -n example.test',
  `--token-name "$(cat ${REHEARSAL}/token-name)"`,
  `--library-path "$(cat ${REHEARSAL}/library-path)"`,
  `--token-password-file ${REHEARSAL}/token-password`,
  `--ds-password-file ${REHEARSAL}/ds-password`,
  `--admin-password-file ${REHEARSAL}/admin-password`,
].join(' \\\n    ');

function lookAround(which: string): string {
  return `
The certificate authority runs on the lab host ca1. Look around:

  bin/capstan lab shell${which} ca1                    a shell on the host; leave it with exit
  bin/capstan lab exec${which} ca1 -- capstan status   how everything is
  bin/capstan lab exec${which} ca1 -- getcert list     the certificates that certmonger watches
  bin/capstan lab exec${which} ca1 -- sh -c \\
      'certutil -K -d /etc/pki/pki-tomcat/alias -h "$(cat ${REHEARSAL}/token-name)" -f ${REHEARSAL}/token-password'
                                               the private keys on the token
  bin/capstan lab down${which}                         ends the lab and removes it`;
}

/** Shows a command of this machine and runs it; its exit code. */
function typed(args: string[]): Promise<number> {
  console.log(`\n$ bin/capstan ${args.join(' ')}`);
  return handOver(CAPSTAN, args);
}

/** Shows a command line of the host ca1 and runs it there; its exit code. */
function typedOnHost(which: string[], line: string): Promise<number> {
  console.log(`\nca1# ${line}`);
  return handOver(CAPSTAN, ['lab', 'exec', ...which, 'ca1', '--', 'sh', '-c', line]);
}

/** @throws CapstanError `quickstart-stopped` when the code is not 0; what happened is on the screen */
function must(code: number, what: string): void {
  if (code !== 0)
    throw failure('quickstart-stopped', `${what} ended with exit code ${code}; the reason is above.`);
}

await script(async () => {
  const start = performance.now();
  const { lab } = parseArgs({ options: { lab: { type: 'string' } } }).values;
  const which = lab === undefined ? [] : ['--lab', lab];
  await makeBundle(scriptHost());
  must(await typed(['lab', 'up', ...which, 'ca1']), 'capstan lab up');
  if ((await typedOnHost(which, 'capstan config-show')) === 0) {
    say('ca1 has a certificate authority already; it is left as it is');
  } else {
    say('ca1 has no certificate authority yet; installing one');
    must(await typedOnHost(which, INSTALL), 'capstan server-install');
  }
  must(await typedOnHost(which, 'capstan status'), 'capstan status');
  console.log(lookAround(lab === undefined ? '' : ` --lab ${lab}`));
  say(`done (${since(start)})`);
  return 0;
});
