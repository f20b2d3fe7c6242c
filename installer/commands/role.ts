import { Argument, Command, Option } from 'commander';
import type { Roles } from '../../src/flow/roles.ts';
import { type DeadlineValues, deadlineOptions } from '../options/deadline.ts';
import { printable } from '../options/field.ts';
import { type OutputValues, outputKindOption } from '../options/output.ts';
import { logFileOf, runSession, type Session, withHost } from '../session.ts';
import { tableLines } from '../view/table.ts';

const MOVE = 'role move';

const HELP_TAIL = `
One server of the cluster renews the certificates that all of them share, and one
generates the CRLs; at first, the first server does both.

Each command explains itself: capstan role move --help`;

const LIST_TAIL = `
Exit codes: 0 all is well, 1 a role is not where it should be, or there is no server.`;

const MOVE_TAIL = `
renewal-master: run it on any server. The role is recorded in the directory and is with
the other server at once, also when the old one is gone.

crl: run it twice, first on the server that generates the CRLs now, then on the one that
is to. Dogtag reads that from its own configuration when it starts, so each of the two
CAs is restarted, which takes it half a minute; the first server stops before the second
begins. It is done when the new one has generated a CRL of all that is revoked, and
the CRL was verified. When the old server is gone for good: --force, on the new one.

What was interrupted is gone on with by the same command.

Exit codes: 0 done, 1 failed, 2 refused and nothing was changed, 130 interrupted.`;

/** The commands `capstan role list` and `capstan role move`. */
export function command(): Command {
  return new Command('role')
    .description('Shows and moves what one server does for all: renewal, and the CRLs.')
    .addHelpText('after', HELP_TAIL)
    .addCommand(listing())
    .addCommand(moving());
}

function listing(): Command {
  const list = new Command('list')
    .description('Shows which server has which role.')
    .addOption(new Option('--output <kind>', 'how it is shown').choices(['table', 'json']).default('table'));
  return deadlineOptions(list)
    .addHelpText('after', LIST_TAIL)
    .action(async ({ output, ...deadlines }: DeadlineValues & { output: 'table' | 'json' }) => {
      const { readRoles } = await import('../../src/flow/roles.ts');
      const roles = await withHost(readRoles, deadlines);
      process.stdout.write(`${output === 'json' ? JSON.stringify(roles) : rolesText(roles)}\n`);
      process.exitCode = roles.problems.length === 0 ? 0 : 1;
    });
}

/** The roles as a table for a person. */
export function rolesText({ servers, problems }: Roles): string {
  const yes = (value: boolean | undefined) => (value ? 'yes' : '');
  const rows = servers.map(({ hostname, roles }) => {
    const role = (name: string) => roles.find((one) => one.name === name);
    const ca = role('CA');
    return [
      hostname,
      yes(ca?.enabled),
      yes(role('KRA')?.enabled),
      yes(ca?.renewalMaster),
      yes(ca?.crlGenerator),
    ];
  });
  return [
    ...tableLines(rows, ['server', 'CA', 'KRA', 'renewal-master', 'crl']),
    ...problems.flatMap(({ message, next }) => ['', message, `  ${next}`]),
  ].join('\n');
}

function moving(): Command {
  const move = new Command('move')
    .description('Gives a role to another server.')
    .addArgument(new Argument('<role>', 'what is to be moved').choices(['renewal-master', 'crl']))
    .argument('<server>', 'who is to have it: its full name, or what comes before the first dot')
    .option('--force', 'take the CRLs over from a server that does not answer')
    .addOption(outputKindOption())
    .option('--log-file <file>', `where the run is logged (default: ${logFileOf(MOVE)})`);
  return deadlineOptions(move)
    .addHelpText('after', MOVE_TAIL)
    .action(async (role: 'renewal-master' | 'crl', server: string, values: Values) => {
      process.exitCode = await runSession(MOVE, values, (session) => run(session, role, server, values));
    });
}

interface Values extends OutputValues {
  force?: boolean;
}

async function run(
  session: Session,
  duty: 'renewal-master' | 'crl',
  server: string,
  { force = false }: Values,
): Promise<undefined> {
  const target = printable('the server', server);
  const host = await session.takeHost();
  const { moveRole } = await import('../../src/flow/role-move.ts');
  const { listen } = session.view;
  session.view.result(await moveRole(host, { duty, target, force, listen }));
}
