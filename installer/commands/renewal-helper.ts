import { Command } from 'commander';
import { runHelper } from '../renewal-helper.ts';

const HELP_TAIL = `
You need not run it: certmonger does, as the helper of its CA "capstan", and says in its
environment what it wants (CERTMONGER_OPERATION; see helpers.txt in certmonger's own
documentation). Renewing now is "capstan renew".

On the server that renews what all share, and for the certificate of each server's own,
it has the CA of this host issue a new certificate for the same key, by the profile in
the tracking request. On the others it answers with the one that was published in the
directory (cn=ca_renewal,cn=ipa,cn=etc), or has certmonger ask again later.

Files:
  /var/log/capstan/renewal-helper.log   what it was asked, and what it answered

Exit codes: 0 answered, 2 rejected, 3 the CA or the directory does not answer, 4 this
host has no server, 5 ask again later, 6 certmonger wants what this CA does not do.`;

/** The command `capstan renewal-helper`, as a person calls it; certmonger's way is in main.ts. */
export function command(): Command {
  return new Command('renewal-helper')
    .description('Renews a certificate for certmonger.')
    .addHelpText('after', HELP_TAIL)
    .action(async () => {
      process.exitCode = await runHelper(process.env);
    });
}
