import { Command } from 'commander';
import { refusal } from '../../src/errors.ts';
import { quoted } from '../../src/names/quoted.ts';
import { withHost } from '../session.ts';

const HELP_TAIL = `
You need not run it: where it is needed, installing a server makes the service
capstan-feed-keeper.service, and uninstalling the server removes it.

389-ds 1.4.4.10 to 1.4.4.13, 2.0.2 and 2.0.3 can stop to send the changes of a suffix to
one of three or more servers after a change of more than 8 KiB, and report success: each
certificate request that an agent approves is such a change. An agreement that is turned
off and on sends again. The service looks every 3 seconds and does that with each
agreement that has sent something since. With another release of 389-ds it ends at once.

Exit codes: 0 not needed, or told to end, 1 failed, 2 refused.`;

/** The command `capstan feed-keeper`, which a service runs. */
export function command(): Command {
  return new Command('feed-keeper')
    .description('Keeps replication going where 389-ds stops to send after a large change.')
    .argument('<instance>', 'the directory instance: EXAMPLE-TEST for slapd-EXAMPLE-TEST')
    .addHelpText('after', HELP_TAIL)
    .action(async (name: string) => {
      if (!/^[A-Za-z0-9_.-]+$/.test(name)) {
        throw refusal(
          'usage',
          `${quoted(name)} is not the name of a directory instance.`,
          'See "dsctl --list".',
        );
      }
      const { keepFeeds } = await import('../../src/flow/feed-keeper.ts');
      await withHost((host) => keepFeeds(host, { name }, (line) => process.stdout.write(`${line}\n`)));
    });
}
