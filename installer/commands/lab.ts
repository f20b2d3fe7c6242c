import { Command, Option } from 'commander';
import { openHost } from '../../src/host/host.ts';
import { type HsmKind, type LabUp, labAttach, labDown, labUp } from '../../src/lab/lab.ts';
import { DEFAULT_LAB, VALUES_FOLDER } from '../../src/lab/settings.ts';

/** `capstan lab`: disposable machines with a real cluster, to rehearse in. */
export function command(): Command {
  const lab = new Command('lab').description(
    'Builds disposable machines on this one, to rehearse a cluster in: Debian 11 with Dogtag, 389 Directory Server ' +
      'and certmonger, joined by a network of their own, with a blank token. Needs root.',
  );
  for (const subcommand of [up(), exec(), shell(), down()]) lab.addCommand(subcommand);
  return lab;
}

function labOption(): Option {
  return new Option('--lab <name>', 'which lab').default(DEFAULT_LAB);
}

function up(): Command {
  return new Command('up')
    .description('Boots hosts: builds the lab, or adds what is missing to it. What runs is left alone.')
    .argument('<host...>', 'short names: ca1 ca2')
    .addOption(labOption())
    .addOption(
      new Option(
        '--hsm <kind>',
        'where the keys are: shared (a SoftHSM folder that all hosts see) or network (SoftHSM behind a server on the host hsm1)',
      ).choices(['shared', 'network']),
    )
    .option('--token-name <label>', "the blank token's label in a new lab")
    .option(
      '--bundle <file>',
      "the Capstan that the hosts get, 'none' for no Capstan (default: the bundle of this checkout, or this installation)",
    )
    .action(
      async (
        hosts: string[],
        options: { lab: string; hsm?: HsmKind; tokenName?: string; bundle?: string },
      ) => {
        const done = await labUp(labHost(), { ...options, hosts }, tell);
        tell(upReport(done));
      },
    );
}

/** What was built, and how to look around. */
function upReport({ state, created, started }: LabUp): string {
  const suffix = state.name === DEFAULT_LAB ? '' : ` --lab ${state.name}`;
  const names = state.hosts.map(({ name }) => name).join(', ');
  if (started.length === 0) return `Nothing to do: ${names} run already in the lab ${state.name}.`;
  const host = created.at(-1) ?? started[0];
  return [
    '',
    `The lab ${state.name} has ${names}; token ${state.tokenName} (${state.hsm} HSM).`,
    `Names and passwords for rehearsals are in ${VALUES_FOLDER}/ of every host.`,
    ...(state.bundle === null ? ['The hosts have no Capstan (--bundle none).'] : []),
    '',
    `  capstan lab shell ${host}${suffix}`,
    `  capstan lab exec ${host}${suffix} -- capstan --help`,
    `  capstan lab list`,
    `  capstan lab down${suffix}`,
  ].join('\n');
}

function exec(): Command {
  return new Command('exec')
    .description(
      'Runs a command in a host, with this terminal, its exit status and signals: lab exec ca1 -- getcert list',
    )
    .argument('<host>')
    .argument('<command...>')
    .addOption(labOption())
    .action(async (host: string, argv: string[], options: { lab: string }) => {
      process.exitCode = await labAttach(options.lab, host, argv);
    });
}

function shell(): Command {
  return new Command('shell')
    .description('Opens a root shell in a host.')
    .argument('<host>')
    .addOption(labOption())
    .action(async (host: string, options: { lab: string }) => {
      process.exitCode = await labAttach(options.lab, host, ['/bin/bash', '-l']);
    });
}

function down(): Command {
  return new Command('down')
    .description('Removes hosts, or the whole lab with its snapshots when no host is named.')
    .argument('[host...]')
    .addOption(labOption())
    .option('--keep-snapshots', 'keep the snapshots of a lab that is removed')
    .action(async (hosts: string[], options: { lab: string; keepSnapshots?: boolean }) => {
      const removed = await labDown(labHost(), { ...options, hosts }, tell);
      tell(removed.length === 0 ? 'There was nothing to remove.' : `Removed: ${removed.join(', ')}.`);
    });
}

/** This machine; SIGINT and SIGTERM end what runs on it. */
function labHost() {
  const abort = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => abort.abort());
  return openHost(undefined, abort.signal);
}

/** Progress is told to people, on standard error. */
function tell(line: string): void {
  process.stderr.write(`${line}\n`);
}
