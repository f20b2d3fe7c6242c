import { Command, Option } from 'commander';
import type { TopologyChange } from '../../src/flow/topology-change.ts';
import { type DeadlineValues, deadlineOptions } from '../options/deadline.ts';
import { type OutputValues, outputKindOption } from '../options/output.ts';
import { logFileOf, runSession, type Session, withHost } from '../session.ts';

const ADD = 'topology add';
const REMOVE = 'topology remove';

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

/** The commands `capstan topology list`, `add` and `remove`. */
export function command(): Command {
  return new Command('topology')
    .description(DESCRIPTION)
    .addHelpText('after', HELP_TAIL)
    .addCommand(listing())
    .addCommand(adding())
    .addCommand(removing());
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
        change(session, { one, other }, async (host, wanted) => {
          const { addLink } = await import('../../src/flow/topology-change.ts');
          return addLink(host, { ...wanted, undoSignal: session.secondSignal() });
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
    .action(async (one: string, other: string, values: OutputValues & { force?: boolean }) => {
      process.exitCode = await runSession(REMOVE, values, (session) =>
        change(session, { one, other }, async (host, wanted) => {
          const { removeLink } = await import('../../src/flow/topology-change.ts');
          return removeLink(host, { ...wanted, force: values.force === true });
        }),
      );
    });
}

function changeOptions(command: Command, name: string): Command {
  command
    .addOption(outputKindOption())
    .option('--log-file <file>', `where the run is logged (default: ${logFileOf(name)})`);
  return deadlineOptions(command);
}

type Host = Awaited<ReturnType<Session['takeHost']>>;

async function change(
  session: Session,
  servers: Pick<TopologyChange, 'one' | 'other'>,
  work: (host: Host, wanted: TopologyChange) => Promise<Parameters<Session['view']['result']>[0]>,
): Promise<undefined> {
  const host = await session.takeHost();
  session.view.result(await work(host, { ...servers, listen: session.view.listen }));
}
