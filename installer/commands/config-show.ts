import { Command, Option } from 'commander';
import { type DeadlineValues, deadlineOptions } from '../options/deadline.ts';
import { withHost } from '../session.ts';
import { tableLines } from '../view/table.ts';

const HELP_TAIL = `
The record is the attribute ipaCaHSMConfiguration of cn=ipa,cn=cas,cn=ca under the
suffix of the domain. Later installs read it to find the HSM by themselves.

Exit codes: 0 shown, 1 there is no server or no record.`;

/** The command `capstan config-show`. */
export function command(): Command {
  const show = new Command('config-show')
    .description("Shows the HSM record of the domain: the token that holds the CA's keys, and its library.")
    .addOption(new Option('--output <kind>', 'how it is shown').choices(['table', 'json']).default('table'));
  return deadlineOptions(show)
    .addHelpText('after', HELP_TAIL)
    .action(async ({ output, ...deadlines }: DeadlineValues & { output: 'table' | 'json' }) => {
      const { hsmConfiguration } = await import('../../src/flow/status.ts');
      const { tokenName, libraryPath } = await withHost(hsmConfiguration, deadlines);
      const text = tableLines([
        ['HSM token name', tokenName],
        ['HSM library path', libraryPath],
      ]).join('\n');
      process.stdout.write(`${output === 'json' ? JSON.stringify({ tokenName, libraryPath }) : text}\n`);
    });
}
