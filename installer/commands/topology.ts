import { Command, Option } from 'commander';
import type { Report } from '../../src/flow/site.ts';
import type { Host } from '../../src/host/host.ts';
import type { Listener } from '../../src/plan/step.ts';
import { type DeadlineValues, deadlineOptions } from '../options/deadline.ts';
import { type OutputValues, outputKindOption } from '../options/output.ts';
import { logFileOf, runSession, type Session, withHost } from '../session.ts';

const ADD = 'topology add';
const REMOVE = 'topology remove';
const FORGET = 'topology forget';

const DESCRIPTION = 'Shows and changes which servers of the cluster send their changes to which others.';

const HELP_TAIL = `
Run it on any server of the cluster. A server is named in full, or by what comes before
the first dot of its name.

Each command explains itself: capstan topology add --help`;

const LIST_TAIL = `
What happens: every server that the directory has recorded is asked at the same time,
over LDAPS, as the server on this host. Nothing is changed. A feed is well when what one
server had at a moment was on the other two seconds later at the latest, or is still on
its way; see the administrator's guide for the other words.

Exit codes: 0 shown, 1 failed, 2 refused, 130 interrupted.`;

const ADD_TAIL = `
What happens: each of the two gets an account for the other, with a password that nobody
else ever sees, and an agreement, over LDAPS, in the domain's suffix and, where both have
a CA, in Dogtag's. Each way is then proved by a write. An agreement that is there and
does not work is made anew. What cannot be proved is taken back.

Two to four agreements a server are enough; each change travels over every one of them.

Exit codes: 0 they feed each other, 1 failed and taken back, 2 refused and nothing was
changed, 130 interrupted.`;

const REMOVE_TAIL = `
What happens: the agreements between the two are removed on both, with the accounts that
they used. The data stay. It is refused where the servers would then be in two parts that
no longer hear of each other, and where one of the two does not answer.

Exit codes: 0 removed, 1 failed, 2 refused and nothing was changed, 130 interrupted.`;

const FORGET_TAIL = `
What happens: on every server that answers, the agreements with the lost server and its
account are removed; its replica ids are cleaned; then its membership of the security
domain, its record and its identity. Run it on a server with a CA. It is refused while
the server answers (a server that runs leaves by "capstan uninstall"), and while it is
recorded for a role or has the last CA.

Never start the forgotten server again as it is.

Exit codes: 0 forgotten, 1 failed or not all could be told (run it again), 2 refused and
nothing was changed, 130 interrupted.`;

/** The commands `capstan topology list`, `add`, `remove` and `forget`. */
export function command(): Command {
  return new Command('topology')
    .description(DESCRIPTION)
    .addHelpText('after', HELP_TAIL)
    .addCommand(listing())
    .addCommand(adding())
    .addCommand(removing())
    .addCommand(forgetting());
}

function listing(): Command {
  const list = new Command('list')
    .description('Draws the servers, their roles and their agreements, with what has not arrived yet.')
    .addOption(new Option('--output <kind>', 'how it is shown').choices(['table', 'json']).default('table'));
  return deadlineOptions(list)
    .addHelpText('after', LIST_TAIL)
    .action(async ({ output, ...deadlines }: DeadlineValues & { output: 'table' | 'json' }) => {
      const { clusterOf, readTopology } = await import('../../src/flow/topology.ts');
      const topology = await withHost(async (host) => readTopology(host, await clusterOf(host)), deadlines);
      const { topologyLines } = await import('../view/topology.ts');
      const text = output === 'json' ? JSON.stringify(topology) : topologyLines(topology).join('\n');
      process.stdout.write(`${text}\n`);
    });
}

function adding(): Command {
  const add = new Command('add')
    .description('Has two servers send their changes to each other.')
    .argument('<server>', 'a server of the cluster')
    .argument('<server>', 'another one');
  return changeOptions(add, ADD)
    .addHelpText('after', ADD_TAIL)
    .action(async (one: string, other: string, values: OutputValues) => {
      process.exitCode = await runSession(ADD, values, (session) =>
        change(session, async (host, listen) => {
          const { addLink } = await import('../../src/flow/topology-change.ts');
          return addLink(host, { one, other, listen, undoSignal: session.secondSignal() });
        }),
      );
    });
}

function removing(): Command {
  const remove = new Command('remove')
    .description('Ends the feeds between two servers.')
    .argument('<server>', 'a server of the cluster')
    .argument('<server>', 'another one')
    .option('--force', 'also where it cuts the topology in parts, or one of the two does not answer');
  return changeOptions(remove, REMOVE)
    .addHelpText('after', REMOVE_TAIL)
    .action(async (one: string, other: string, values: Forceable) => {
      process.exitCode = await runSession(REMOVE, values, (session) =>
        change(session, async (host, listen) => {
          const { removeLink } = await import('../../src/flow/topology-change.ts');
          return removeLink(host, { one, other, listen, force: values.force === true });
        }),
      );
    });
}

function forgetting(): Command {
  const forget = new Command('forget')
    .description('Has the cluster forget a server that is gone for good.')
    .argument('<server>', 'the fully qualified name of the server that is gone')
    .option('--force', 'also one that answers, that is recorded for a role, or that has the last CA');
  return changeOptions(forget, FORGET)
    .addHelpText('after', FORGET_TAIL)
    .action(async (gone: string, values: Forceable) => {
      process.exitCode = await runSession(FORGET, values, (session) =>
        change(session, async (host, listen) => {
          const { forgetServer } = await import('../../src/flow/forget.ts');
          return forgetServer(host, { gone, listen, force: values.force === true });
        }),
      );
    });
}

type Forceable = OutputValues & { force?: boolean };

function changeOptions(command: Command, name: string): Command {
  command
    .addOption(outputKindOption())
    .option('--log-file <file>', `where the run is logged (default: ${logFileOf(name)})`);
  return deadlineOptions(command);
}

async function change(
  session: Session,
  work: (host: Host, listen: Listener) => Promise<Report>,
): Promise<undefined> {
  const host = await session.takeHost();
  session.view.result(await work(host, session.view.listen));
}
