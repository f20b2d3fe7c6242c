import { Command, CommanderError, type Option } from 'commander';
import { refusal } from '../src/errors.ts';
import { quoted } from '../src/names/quoted.ts';
import { version } from '../src/version.ts';
import { COMMANDS, type CommandEntry } from './commands.ts';
import { describeError, printError, stackOf } from './view/error.ts';

const HELP_TAIL = `
Each command explains itself: capstan COMMAND --help
Exit codes: 0 done, 1 failed or unwell, 2 refused before anything changed, 130 interrupted.`;

const SEE_HELP = 'See the command with --help.';

/** The longest part of an argument that a message repeats, in characters. */
const SHOWN = 100;

/**
 * Parses the arguments, runs the command they name and prints what went wrong.
 * @returns the exit code
 */
export async function runProgram(args: readonly string[]): Promise<number> {
  surviveClosedOutput();
  try {
    refuseHollow(args);
    const program = await programFor(args);
    await program.parseAsync(args, { from: 'user' });
    return Number(process.exitCode ?? 0);
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return 0;
    const report = describeError(usageError(error));
    if (wantsJson(args)) (await import('./view/json.ts')).jsonView().error(report);
    else printError(report);
    if (process.env.CAPSTAN_TRACE && error instanceof Error) process.stderr.write(`${stackOf(error)}\n`);
    return report.exit;
  }
}

/**
 * Refuses words before which no command is found, or after which none is explained.
 * @throws CapstanError `usage`
 */
function refuseHollow([first, second]: readonly string[]): void {
  if (first === '--') throw refusal('usage', 'A command is missing before "--".', SEE_HELP);
  if (first === 'help' && second !== undefined && !COMMANDS.some(({ name }) => name === second)) {
    throw refusal('usage', `Unknown command ${quoted(second)}.`, SEE_HELP);
  }
}

/** Whether a program reads the output: it is to find the error there, too. What follows `--` is another command's. */
function wantsJson(args: readonly string[]): boolean {
  const end = args.indexOf('--');
  const own = end < 0 ? args : args.slice(0, end);
  return own.some(
    (word, index) => word === '--output=json' || (word === '--output' && own[index + 1] === 'json'),
  );
}

/** The program with one line for each command, and the whole of the command that the arguments name. */
async function programFor(args: readonly string[]): Promise<Command> {
  const program = new Command('capstan')
    .description('Installs and runs a certificate authority cluster whose private keys live in an HSM.')
    .version(version(), '-V, --version', 'show the version')
    .helpOption('-h, --help', 'show this help')
    .addHelpText('after', HELP_TAIL)
    .enablePositionalOptions();
  const wanted = args[0] === 'help' ? args[1] : args[0];
  for (const entry of COMMANDS) {
    program.addCommand(await commandOf(entry, wanted), { hidden: entry.hidden ?? false });
  }
  reportByThrowing(program);
  return program;
}

async function commandOf(entry: CommandEntry, wanted: string | undefined): Promise<Command> {
  const command = entry.name === wanted ? (await entry.load()).command() : new Command(entry.name);
  return command.summary(entry.summary);
}

/** Makes a command and all below it throw their errors instead of printing and exiting. */
function reportByThrowing(command: Command): void {
  command.exitOverride().configureOutput({ outputError: () => {} });
  for (const option of command.options) refuseTwice(command, option);
  for (const child of command.commands) reportByThrowing(child);
}

/** Of two values for one option the first would be dropped without a word. One with a parser of its own gathers them. */
function refuseTwice(command: Command, option: Option): void {
  const takesOne = option.required && !option.variadic && (!option.parseArg || option.argChoices);
  if (!takesOne) return;
  let given = 0;
  command.on(`option:${option.name()}`, () => {
    given += 1;
    if (given > 1) throw refusal('usage', `${option.long} is given twice.`, 'Give it once.');
  });
}

/** A mistake in the arguments as a refusal; anything else as it is. */
function usageError(error: unknown): unknown {
  if (!(error instanceof CommanderError)) return error;
  // The help was already printed: a command group called without a command.
  if (error.code === 'commander.help') return refusal('usage', 'A command is missing.', SEE_HELP);
  const sentence = error.message
    .replace(/^error: /, '')
    // A mistyped option or a stray word may be a secret: --ds-pasword=it's..., -psecret, -p my secret
    .replace(/^(unknown option '(?:--[\w-]+|-\w)).*'/s, "$1'")
    .replace(/(but got \d+): .*$/s, '$1')
    .replace(/^./, (letter) => letter.toUpperCase())
    .replace(/\n\(Did you mean (.*)\?\)$/, '. Did you mean $1?')
    .replace(new RegExp(`'([^]{${SHOWN}})[^]+'`, 'u'), "'$1…'");
  return refusal('usage', /[.?]$/.test(sentence) ? sentence : `${sentence}.`, SEE_HELP);
}

/** Keeps a run going when what reads its output goes away (`capstan status | head -1`). */
function surviveClosedOutput(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE' && error.code !== 'ERR_STREAM_DESTROYED') throw error;
    });
  }
}
