import { Command, Option } from 'commander';
import { confirmSteps } from '../confirm.ts';
import { deadlineOptions } from '../options/deadline.ts';
import { type OutputValues, outputKindOption } from '../options/output.ts';
import { logFileOf, runSession, type Session } from '../session.ts';

const NAME = 'repair';

const HELP_TAIL = `
For a server whose certificates have expired, so that Dogtag starts no more. Certificates
that have not expired are renewed by "capstan renew".

What happens: the token and the certificates are looked at, and the steps are shown. Then
Dogtag is started in spite of what has expired: its self tests end it no more, and it comes
to the directory of this host without TLS. By its CA, each expired certificate is renewed
for the key that it has: the agent's, the directory's, the TLS server's, and through
certmonger those on the token. All are put in place, the settings are taken back, and
Dogtag starts for good. No key is made.

Where the CA's own certificate has expired, it comes first. A CA that signs itself does so
once more; for one that another authority signed, have its new certificate accepted before:
"capstan ca-renew --external-ca", then "capstan ca-renew --external-cert-file".

In a cluster, begin with the server that renews for all ("capstan role list"); the others
take over what it renewed, each by this command.

A run that stops is gone on with by the next one; --undo takes only the temporary settings
of Dogtag back.

Exit codes: 0 done, 1 failed, 2 refused and nothing was changed, 130 interrupted.`;

interface Values extends OutputValues {
  undo?: boolean;
}

/** The command `capstan repair`. */
export function command(): Command {
  const repair = new Command(NAME)
    .description('Gets a server back whose certificates have expired, with the keys that it has.')
    .option('-U, --unattended', 'do not ask whether the steps that are shown are meant')
    .option('--dry-run', 'look at everything, show the steps, change nothing')
    .addOption(
      new Option(
        '--undo',
        'take the temporary settings back that a repair left which stopped; what it renewed stays',
      ).conflicts('dryRun'),
    )
    .addOption(outputKindOption())
    .option('--log-file <file>', `where the run is logged (default: ${logFileOf(NAME)})`);
  return deadlineOptions(repair)
    .addHelpText('after', HELP_TAIL)
    .action(async (values: Values) => {
      process.exitCode = await runSession(NAME, values, (session) => run(values, session));
    });
}

async function run(values: Values, session: Session): Promise<undefined> {
  const { dryRun = false, undo } = values;
  const host = dryRun ? session.openHost() : await session.takeHost();
  const { repairServer, undoRepair } = await import('../../src/flow/repair/repair.ts');
  const { listen } = session.view;
  const report = undo
    ? await undoRepair(host, listen)
    : await repairServer(host, { dryRun, confirm: () => confirmSteps(values, session), listen });
  session.view.result(report);
}
