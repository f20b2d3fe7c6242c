import { Command } from 'commander';
import { runSession } from '../session.ts';

const NAME = 'renewal-keeper';

const HELP_TAIL = `
You need not run it: the service capstan-renewal.service does, once an hour and whenever
certmonger has saved a renewed certificate. Renewing now is "capstan renew".

It takes over what the server published that renews for all, and puts in place what is
new: Dogtag is stopped, its databases, CS.cfg and its users in the directory get the
new certificates, and Dogtag starts again, once for all of them. Where nothing is new,
nothing is touched. Another run of Capstan that changes this host is waited for.

Exit codes: 0 done, 1 failed; the next run tries again.`;

/** The command `capstan renewal-keeper`, which a service runs. */
export function command(): Command {
  return new Command(NAME)
    .description('Puts renewed certificates in place.')
    .addHelpText('after', HELP_TAIL)
    .action(async () => {
      process.exitCode = await runSession(NAME, { output: 'plain' }, async ({ takeHost, view }) => {
        const host = await takeHost({ patient: true });
        const { keepRenewalsHere } = await import('../../src/flow/renewal/keeper.ts');
        view.result(await keepRenewalsHere(host, view.listen));
        return undefined;
      });
    });
}
