import { Command } from 'commander';
import { deadlineOptions } from '../options/deadline.ts';
import { type OutputValues, outputKindOption } from '../options/output.ts';
import { logFileOf, runSession, type Session } from '../session.ts';

const NAME = 'restart';

const HELP_TAIL = `
What happens: the directory, the CA and certmonger are looked at, and what works is
left alone. When the CA does not work, the token is looked at first, with one login
with the PIN that Dogtag keeps; while the HSM is away, nothing is touched. Then what
is down is brought back in order: the directory, the CA, certmonger. It is done when
the CA has made a signature with a key on the HSM. Where certmonger has another PIN of
the token than Dogtag, it takes Dogtag's, after that was tried once.

When to use it: after an outage of the HSM, which Dogtag never gets over by itself;
after the directory or Dogtag was stopped; when "capstan status" says so.

Exit codes: 0 the server is well, 1 something does not come back, 2 refused and
nothing was changed, 130 interrupted.`;

/** The command `capstan restart`. */
export function command(): Command {
  const restart = new Command(NAME)
    .description('Brings the server on this host back: one that stopped, or whose CA lost its HSM.')
    .addOption(outputKindOption())
    .option('--log-file <file>', `where the run is logged (default: ${logFileOf(NAME)})`);
  return deadlineOptions(restart)
    .addHelpText('after', HELP_TAIL)
    .action(async (values: OutputValues) => {
      process.exitCode = await runSession(NAME, values, (session) => run(session));
    });
}

async function run(session: Session): Promise<undefined> {
  const host = await session.takeHost();
  const { restartServer } = await import('../../src/flow/restart.ts');
  session.view.result(await restartServer(host, session.view.listen));
}
