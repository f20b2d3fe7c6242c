/** What the installing commands share: who is asked, where secrets come from, and which way a run goes. */
import { hostname as systemName } from 'node:os';
import type { Command } from 'commander';
import type { FlowOptions } from '../src/flow/installation.ts';
import type { FlowName, Installed, Report } from '../src/flow/site.ts';
import type { Host } from '../src/host/host.ts';
import type { Secret } from '../src/secret/secret.ts';
import { LONGEST_SECRETS_INPUT, parseSecrets } from '../src/secret/secrets-input.ts';
import { collectSecrets, isGiven, readStandardInput, type SecretPlaces } from '../src/secret/sources.ts';
import { type OutputValues, outputOptions, wayOptions } from './options/output.ts';
import { type TokenValues, tokenSecret } from './options/token.ts';
import { type Asker, canAsk, openAsker } from './prompt.ts';
import { logFileOf, runSession, type Session } from './session.ts';
import { chooseWay, decide, type WayValues } from './unfinished.ts';

/** What every installing command is given. */
export interface InstallingValues extends OutputValues, WayValues, TokenValues {
  allowExposedPasswordFiles?: boolean;
  /** What --secrets-stdin read. */
  handed?: ReadonlyMap<string, Secret> | undefined;
}

/** What a run works with. */
export interface Circumstances<Values extends InstallingValues> {
  values: Values;
  session: Session;
  host: Host;
  asker: Asker | undefined;
}

/** The two ways forward of a command. */
export interface Ways<Values extends InstallingValues> {
  begin(circumstances: Circumstances<Values>, options: FlowOptions): Promise<Report>;
  resume(circumstances: Circumstances<Values>, earlier: Installed, options: FlowOptions): Promise<Report>;
  /** The Directory Manager's password, where an undo is to reach another server with it. */
  manager?(circumstances: Circumstances<Values>): Promise<Secret | undefined>;
}

/** The options of a command for a server that has its directory: the password of its Directory Manager. */
export function managerOptions(command: Command): Command {
  return command
    .optionsGroup('Directory:')
    .option('-p, --ds-password <password>', 'password of the Directory Manager (better: the next option)')
    .option('--ds-password-file <file>', 'file that holds it; - reads standard input')
    .option('--allow-exposed-password-files', 'accept password files that other users can read');
}

/** Makes a command an installing one: how its runs are shown, what becomes of one that stopped, its help and its work. */
export function installing<Values extends InstallingValues>(
  command: Command,
  flow: FlowName,
  helpTail: string,
  ways: Ways<Values>,
): Command {
  outputOptions(command, logFileOf(flow));
  wayOptions(command);
  return command
    .optionsGroup('Options:')
    .addHelpText('after', helpTail)
    .action(async (values: Values) => {
      process.exitCode = await runSession(flow, values, (session) =>
        runInstalling(flow, values, session, ways),
      );
    });
}

/** Runs an installing command: from the beginning, on from where an earlier run stopped, or back. */
async function runInstalling<Values extends InstallingValues>(
  flow: FlowName,
  given: Values,
  session: Session,
  ways: Ways<Values>,
): Promise<undefined> {
  const values = { ...given, handed: await handedSecrets(given, session.signal) };
  // A look changes nothing, and may go beside a run that does.
  const host = values.dryRun ? session.openHost() : await session.takeHost();
  const { unfinishedFlow } = await import('../src/flow/site.ts');
  const earlier = await unfinishedFlow();
  const asker = askerFor(values, host.signal);
  const circumstances = { values, session, host, asker };
  const way = await chooseWay(flow, values, earlier?.journal.journal, asker);
  const report =
    way === 'undo'
      ? await undo(flow, circumstances, await ways.manager?.(circumstances))
      : earlier
        ? await ways.resume(circumstances, earlier, optionsOf(circumstances))
        : await ways.begin(circumstances, optionsOf(circumstances));
  const log = host.log.path ? [{ name: 'Log', value: host.log.path }] : [];
  session.view.result({ ...report, facts: [...report.facts, ...log] });
}

function optionsOf({ values, session }: Circumstances<InstallingValues>): FlowOptions {
  const secondSignal = session.secondSignal();
  return {
    dryRun: values.dryRun ?? false,
    keep: values.keep ?? false,
    decide: deciderFor(values, session, secondSignal),
    undoSignal: secondSignal,
    listen: session.view.listen,
  };
}

async function undo(
  flow: FlowName,
  { values, session, host, asker }: Circumstances<InstallingValues>,
  manager: Secret | undefined,
): Promise<Report> {
  const { uninstall } = await import('../src/flow/uninstall.ts');
  const wanted = tokenSecret(values);
  const pinFrom = async (from: SecretPlaces) => (await collectSecrets({ pin: wanted }, from)).pin;
  const places = placesOf(values, undefined, host.signal);
  return uninstall(host, {
    token: 'purge',
    // A server that loses what was added to it stays one.
    only: flow,
    manager,
    pin: isGiven(wanted, places) ? await pinFrom(places) : undefined,
    askPin: asker && (() => pinFrom(placesOf(values, asker, host.signal))),
    listen: session.view.listen,
  });
}

/** Asks a person what becomes of a run that failed, where one is there and --keep did not say it. */
function deciderFor(values: InstallingValues, session: Session, signal: AbortSignal) {
  const asker = values.keep ? undefined : askerFor(values, signal);
  if (!asker) return undefined;
  return async () => {
    await session.view.pause();
    return decide(asker);
  };
}

/** Questions go to a person at a terminal, who neither said --unattended nor wants a program to read the output. */
export function askerFor({ unattended, output }: OutputValues, signal: AbortSignal): Asker | undefined {
  return unattended || output === 'json' || !canAsk() ? undefined : openAsker(signal);
}

/** The secrets that a program hands over together; nothing is read unless it was announced. */
async function handedSecrets({ secretsStdin }: OutputValues, signal: AbortSignal) {
  return secretsStdin
    ? parseSecrets(await readStandardInput(signal, process.stdin, LONGEST_SECRETS_INPUT))
    : undefined;
}

/** Where the secrets of a run may come from. */
export function placesOf(
  values: InstallingValues,
  asker: Asker | undefined,
  signal: AbortSignal,
): SecretPlaces {
  return {
    credentials: process.env.CREDENTIALS_DIRECTORY,
    handed: values.handed,
    readInput: () => readStandardInput(signal),
    ask: asker?.secret,
    exposedFiles: values.allowExposedPasswordFiles,
  };
}

/** The name that the system knows itself by, fully qualified where it can tell (hostname(1), --fqdn). */
export async function fullHostName(host: Host): Promise<string | undefined> {
  const name = systemName();
  if (name.includes('.')) return name;
  const answer = await host.run('hostname', ['--fqdn'], { deadline: 'resolver' }).catch(() => undefined);
  return answer?.stdout.trim() || name || undefined;
}
