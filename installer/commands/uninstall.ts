import { Command, Option } from 'commander';
import { refusal } from '../../src/errors.ts';
import type { Site } from '../../src/flow/site.ts';
import type { Secret } from '../../src/secret/secret.ts';
import { collectSecrets, readStandardInput } from '../../src/secret/sources.ts';
import { deadlineOptions } from '../options/deadline.ts';
import { type OutputValues, outputKindOption } from '../options/output.ts';
import { tokenSecret } from '../options/token.ts';
import { canAsk, openAsker } from '../prompt.ts';
import { logFileOf, runSession, type Session } from '../session.ts';

const NAME = 'uninstall';

const HELP_TAIL = `
What happens: what the installation made on this host is taken back, last step first,
as its journal tells: certificate tracking, the CA, the directory with all its data,
files, and services at boot. Logs stay.

The other servers of the cluster forget this one: its replication agreements and
replica ids, its roles, its place in the security domain. One that has the last CA, or
renews certificates or generates CRLs for all, is not removed without --force: another
one has to take that over first ("capstan role move").

The objects on the token stay, because another server may use the same keys. With
--purge-token, exactly those that this installation made are deleted, for good: the
CA cannot be brought back after that. Objects that were there before are never touched.

Examples:
  capstan uninstall
  capstan uninstall --unattended --purge-token

Exit codes: 0 removed, 1 something could not be removed, 2 refused, 130 interrupted.`;

interface Values extends OutputValues {
  purgeToken?: boolean;
  force?: boolean;
  keepToken?: boolean;
  tokenPasswordFile?: string;
  allowExposedPasswordFiles?: boolean;
}

/** The command `capstan uninstall`. */
export function command(): Command {
  const uninstall = new Command(NAME)
    .description('Removes the server that Capstan installed on this host.')
    .option('--purge-token', 'delete the token objects that this installation made, too')
    .addOption(
      new Option('--keep-token', 'leave them, also after an installation that did not finish').conflicts(
        'purgeToken',
      ),
    )
    .option('--force', 'also when other servers need this one, or cannot be told that it goes')
    .option(
      '--token-password-file <file>',
      'user PIN of the token, where Dogtag keeps it no more; - reads standard input',
    )
    .option('--allow-exposed-password-files', 'accept a password file that other users can read')
    .option('-U, --unattended', 'do not ask whether this is meant')
    .addOption(outputKindOption())
    .option('--log-file <file>', `where the run is logged (default: ${logFileOf(NAME)})`);
  return deadlineOptions(uninstall)
    .addHelpText('after', HELP_TAIL)
    .action(async (values: Values) => {
      process.exitCode = await runSession(NAME, values, (session) => run(values, session));
    });
}

async function run(values: Values, session: Session): Promise<undefined> {
  const host = await session.takeHost();
  const pin = await givenPin(values, session.signal);
  const { installedServer } = await import('../../src/flow/site.ts');
  const { site } = await installedServer();
  if (!values.unattended) await confirm(site, values, session);
  const { uninstall } = await import('../../src/flow/uninstall.ts');
  const report = await uninstall(host, {
    token: values.purgeToken ? 'purge' : values.keepToken ? 'keep' : undefined,
    pin,
    force: values.force ?? false,
    listen: session.view.listen,
  });
  session.view.result(report);
}

async function givenPin(values: Values, signal: AbortSignal): Promise<Secret | undefined> {
  const { tokenPasswordFile, allowExposedPasswordFiles } = values;
  if (tokenPasswordFile === undefined) return undefined;
  if (!values.purgeToken) {
    throw refusal(
      'option-unused',
      '--token-password-file names the password for deleting objects from the token, but --purge-token is not given.',
      'Give both, or none of them.',
    );
  }
  const { pin } = await collectSecrets(
    { pin: tokenSecret({ tokenPasswordFile }) },
    { readInput: () => readStandardInput(signal), exposedFiles: allowExposedPasswordFiles },
  );
  return pin;
}

/** Asks for the name of the host: a word that nobody types by habit. */
async function confirm({ hostname, token }: Site, values: Values, session: Session): Promise<void> {
  // A question would stand in the middle of the JSON.
  if (values.output === 'json' || !canAsk()) {
    throw refusal(
      'confirmation-missing',
      'Nobody can be asked whether the server is really to be removed.',
      'Add --unattended.',
    );
  }
  const what = values.purgeToken ? `remove it and its keys on ${token.label}` : 'remove it';
  await openAsker(session.signal).text({
    what: `name of this server, to ${what}`,
    flaw: (answer) => (answer === hostname ? undefined : `This server is ${hostname}.`),
  });
}
