import { Argument, Command, Option } from 'commander';
import {
  type HsmAction,
  type HsmKind,
  type LabUp,
  type ListedLab,
  labAttach,
  labDown,
  labHsm,
  labList,
  labRestore,
  labSnapshot,
  labTokenReset,
  labUp,
} from '../../src/lab/lab.ts';
import { DEFAULT_LAB, VALUES_FOLDER } from '../../src/lab/settings.ts';
import { withHost } from '../session.ts';
import { tableLines } from '../view/table.ts';

const DESCRIPTION =
  'Disposable machines on this one, to rehearse a cluster in: Debian 11 with Dogtag, 389 Directory Server and ' +
  'certmonger, joined by a network of their own, with a blank token. Needs root.';

const EXAMPLE = `
A rehearsal:
  capstan lab up ca1 ca2                  boot two hosts that share a blank token
  capstan lab exec ca1 -- capstan --help  run a command in one
  capstan lab snapshot installed          keep all of it as it is
  capstan lab restore installed           put it back
  capstan lab down                        remove all of it

Names and passwords for rehearsals are in ${VALUES_FOLDER}/ of every host.`;

/** `capstan lab`: disposable machines with a real cluster, to rehearse in. */
export function command(): Command {
  const lab = new Command('lab').description(DESCRIPTION).addHelpText('after', EXAMPLE);
  const subcommands = [up(), exec(), shell(), snapshot(), restore(), list(), hsm(), token(), down()];
  for (const subcommand of subcommands) lab.addCommand(subcommand);
  return lab;
}

/** What every subcommand but `list` takes. */
interface LabOptions {
  lab: string;
}

function labOption(): Option {
  return new Option('--lab <name>', 'which lab').default(DEFAULT_LAB);
}

function bundleOption(otherwise: string): Option {
  return new Option(
    '--bundle <file>',
    `the Capstan that the hosts get; 'none' for no Capstan (default: ${otherwise})`,
  );
}

type UpOptions = LabOptions & { hsm?: HsmKind; tokenName?: string; bundle?: string };

function up(): Command {
  return new Command('up')
    .description('Boot hosts: build the lab, or add what is missing to it. What runs is left alone.')
    .argument('<host...>', 'short names: ca1 ca2')
    .addOption(labOption())
    .addOption(
      new Option(
        '--hsm <kind>',
        'where the keys of a new lab are: shared, a SoftHSM folder that all hosts see (default); or network, SoftHSM behind a server on the host hsm1',
      ).choices(['shared', 'network']),
    )
    .option('--token-name <label>', 'the label of the blank token in a new lab')
    .addOption(bundleOption('the bundle of this checkout, or this installation'))
    .action(async (hosts: string[], options: UpOptions) => {
      await withHost(async (host) => tell(upReport(await labUp(host, { ...options, hosts }, tell))));
    });
}

/** What was built, and how to look around. */
function upReport({ state, created, changed }: LabUp): string {
  const names = state.hosts.map(({ name }) => name).join(', ');
  if (!changed) return `Nothing to do: the lab ${state.name} runs ${names}.`;
  const which = labHint(state.name);
  const host = created.at(-1) ?? state.hosts.at(-1)?.name;
  return [
    '',
    `The lab ${state.name} runs ${names}; token ${state.tokenName} on a ${state.hsm} HSM.`,
    `Names and passwords for rehearsals are in ${VALUES_FOLDER}/ of every host.`,
    ...(state.bundle === null ? ['The hosts have no Capstan.'] : []),
    '',
    `  capstan lab shell ${host}${which}`,
    `  capstan lab exec ${host}${which} -- ${state.bundle === null ? 'pki-server --help' : 'capstan --help'}`,
    '  capstan lab list',
    `  capstan lab down${which}`,
  ].join('\n');
}

function labHint(lab: string): string {
  return lab === DEFAULT_LAB ? '' : ` --lab ${lab}`;
}

function exec(): Command {
  return new Command('exec')
    .description(
      'Run a command in a host as root, with this terminal, its exit status and its signals. ' +
        'Write -- before the command.',
    )
    .argument('<host>')
    .argument('<command...>')
    .addOption(labOption())
    .action(async (host: string, argv: string[], { lab }: LabOptions) => {
      process.exitCode = await labAttach(lab, host, argv);
    });
}

function shell(): Command {
  return new Command('shell')
    .description('Open a root shell in a host.')
    .argument('<host>')
    .addOption(labOption())
    .action(async (host: string, { lab }: LabOptions) => {
      process.exitCode = await labAttach(lab, host, ['/bin/sh', '-c', 'cd; exec /bin/bash --login']);
    });
}

function snapshot(): Command {
  return new Command('snapshot')
    .description('Keep all hosts and the token as they are. The hosts are stopped meanwhile.')
    .argument('<name>')
    .addOption(labOption())
    .option('--replace', 'replace a snapshot of this name')
    .action(async (name: string, { lab, ...options }: LabOptions & { replace?: boolean }) => {
      await withHost((host) => labSnapshot(host, lab, name, options, tell));
      tell(`Put it back with: capstan lab restore ${name}${labHint(lab)}`);
    });
}

function restore(): Command {
  return new Command('restore')
    .description('Put all hosts and the token back to a snapshot. What they are now is thrown away.')
    .argument('<name>')
    .addOption(labOption())
    .option(
      '--from <lab>',
      'the lab whose snapshot it is, when it is another; the two are independent afterwards',
    )
    .addOption(bundleOption('the one that the lab has'))
    .action(async (name: string, { lab, ...options }: LabOptions & { bundle?: string; from?: string }) => {
      const state = await withHost((host) => labRestore(host, lab, name, options, tell));
      tell(`The lab ${lab} is back: ${state.hosts.map((one) => one.name).join(', ')}.`);
    });
}

function list(): Command {
  return new Command('list')
    .description('Show all labs: hosts, addresses, snapshots.')
    .addOption(new Option('--output <kind>', 'table, or json for programs').choices(['table', 'json']))
    .action(async ({ output }: { output?: 'table' | 'json' }) => {
      const labs = await labList();
      process.stdout.write(output === 'json' ? `${JSON.stringify(labs, null, 2)}\n` : listTable(labs));
    });
}

function listTable(labs: readonly ListedLab[]): string {
  if (labs.length === 0) return 'There is no lab. Build one with: capstan lab up ca1 ca2\n';
  const rows = labs.flatMap(({ name, hsm, hosts, snapshots }) => [
    ...(hosts.length + snapshots.length === 0 ? [[name, 'lab', '', 'empty', '', '', hsm ?? '']] : []),
    ...hosts.map((one) => [name, 'host', one.name, one.state, one.address, one.fqdn, hsm ?? '']),
    ...snapshots.map((one) => [name, 'snapshot', one.name, '', '', one.hosts.join(' '), one.taken]),
  ]);
  return `${tableLines(rows, ['lab', 'what', 'name', 'state', 'address', 'of', 'hsm']).join('\n')}\n`;
}

function hsm(): Command {
  return new Command('hsm')
    .description(
      'Rehearse trouble with a network HSM. Stopped, it drops every connection; paused, it answers nobody until it is resumed.',
    )
    .addArgument(new Argument('<action>').choices(['stop', 'start', 'pause', 'resume']))
    .addOption(labOption())
    .action(async (action: HsmAction, { lab }: LabOptions) => {
      await withHost((host) => labHsm(host, lab, action));
    });
}

function token(): Command {
  return new Command('token').description("Manage the lab's token.").addCommand(
    new Command('reset')
      .description('Make the token blank again, with the same label and PINs.')
      .addOption(labOption())
      .action(async ({ lab }: LabOptions) => {
        await withHost((host) => labTokenReset(host, lab));
      }),
  );
}

function down(): Command {
  return new Command('down')
    .description('Remove hosts; or the whole lab with its snapshots, when no host is named.')
    .argument('[host...]')
    .addOption(labOption())
    .option('--keep-snapshots', 'keep the snapshots of a lab that is removed')
    .action(async (hosts: string[], options: LabOptions & { keepSnapshots?: boolean }) => {
      const removed = await withHost((host) => labDown(host, { ...options, hosts }, tell));
      tell(removed.length === 0 ? 'There was no host to remove.' : `Removed: ${removed.join(', ')}.`);
    });
}

/** Progress is told to people, on standard error. */
function tell(line: string): void {
  process.stderr.write(`${line}\n`);
}
