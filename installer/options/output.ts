import { type Command, Option } from 'commander';
import { VIEW_KINDS, type ViewKind } from '../view/view.ts';
import { type DeadlineValues, deadlineOptions } from './deadline.ts';

/** What the output options leave behind. */
export interface OutputValues extends DeadlineValues {
  unattended?: boolean;
  secretsStdin?: boolean;
  dryRun?: boolean;
  output?: ViewKind;
  logFile?: string;
  keep?: boolean;
}

/** Adds how a run is shown, logged and rehearsed. */
export function outputOptions(command: Command, logFile: string): Command {
  const run = command
    .optionsGroup('Run:')
    .option('-U, --unattended', 'never ask; refuse when something is missing')
    .option('--secrets-stdin', 'read all passwords from standard input, as one JSON object')
    .option('--dry-run', 'check everything, show the steps, change nothing')
    .option('--keep', 'leave what was built when a step fails, to look at it')
    .addOption(outputKindOption())
    .option('--log-file <file>', `where the run is logged (default: ${logFile})`);
  return deadlineOptions(run);
}

/** Adds what becomes of an installation that an earlier run left unfinished. */
export function wayOptions(command: Command): Command {
  return command
    .optionsGroup('After a run that did not come to its end:')
    .addOption(new Option('--resume', 'go on with it; only the passwords are needed again').conflicts('undo'))
    .addOption(
      new Option('--undo', 'take back all that it made, on the token as well').conflicts(['keep', 'dryRun']),
    );
}

/** How progress is shown; also for commands that need none of the other output options. */
export function outputKindOption(): Option {
  return new Option('--output <kind>', 'how progress is shown; by default what suits the output').choices([
    ...VIEW_KINDS,
  ]);
}
