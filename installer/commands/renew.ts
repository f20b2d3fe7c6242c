import { Command } from 'commander';
import { refusal } from '../../src/errors.ts';
import { deadlineOptions } from '../options/deadline.ts';
import { type OutputValues, outputKindOption } from '../options/output.ts';
import { logFileOf, runSession, type Session } from '../session.ts';

const NAME = 'renew';

const HELP_TAIL = `
Certificates renew by themselves, 28 days before they end. This command does it now, for
those that are due or whose last renewal failed; with --force for the others, too.

What happens: the CA and the token are looked at. Each certificate is renewed by
certmonger: the key stays, the CA issues a new certificate by the profile of the
tracking request. Then all that is new is put in place with one restart of Dogtag: on
the token and in the internal token with its trust flags, in CS.cfg, at Dogtag's users
in the directory, and, for the certificate of the CA itself, where it is trusted. It is
done when the CA has made a signature.

What all servers share is renewed on one of them ("capstan role list" says which) and
published in the directory. On the others this command takes it over. A server without
a CA asks that one for the certificate of its directory.

Examples:
  capstan renew                                  what is due
  capstan renew --all --force                    all certificates
  capstan renew "ocspSigningCert cert-pki-ca" --force

Exit codes: 0 done, 1 failed, 2 refused and nothing was changed, 130 interrupted.`;

interface Values extends OutputValues {
  all?: boolean;
  force?: boolean;
}

/** The command `capstan renew`. */
export function command(): Command {
  const renew = new Command(NAME)
    .description('Renews certificates now, with their keys, and puts them in place.')
    .argument('[nickname]', 'one certificate, by its nickname or the name of its tracking request')
    .option('--all', 'all certificates that are due; the same as no nickname')
    .option('--force', 'those that are not due as well')
    .addOption(outputKindOption())
    .option('--log-file <file>', `where the run is logged (default: ${logFileOf(NAME)})`);
  return deadlineOptions(renew)
    .addHelpText('after', HELP_TAIL)
    .action(async (nickname: string | undefined, values: Values) => {
      process.exitCode = await runSession(NAME, values, (session) => run(nickname, values, session));
    });
}

async function run(
  nickname: string | undefined,
  { all, force = false }: Values,
  session: Session,
): Promise<undefined> {
  if (all && nickname !== undefined)
    throw refusal('usage', 'Either one certificate is named, or --all.', 'See the command with --help.');
  if (force && !all && nickname === undefined)
    throw refusal(
      'usage',
      '--force renews certificates that are not due: which ones?',
      'Name one, or give --all.',
    );
  const host = await session.takeHost();
  const { renewCertificates } = await import('../../src/flow/renewal/renew.ts');
  session.view.result(await renewCertificates(host, { nickname, force, listen: session.view.listen }));
}
