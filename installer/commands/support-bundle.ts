import { resolve } from 'node:path';
import { Command } from 'commander';
import { refusal } from '../../src/errors.ts';
import { openHost } from '../../src/host/host.ts';
import { noLog } from '../../src/host/log.ts';
import { flawOfPath } from '../../src/names/path.ts';
import { type DeadlineValues, deadlineOptions, readDeadlines } from '../options/deadline.ts';
import { outputKindOption } from '../options/output.ts';
import { runSession, type Session } from '../session.ts';
import type { ViewKind } from '../view/view.ts';

const NAME = 'support-bundle';

const HELP_TAIL = `
What is in it: Capstan's journal and logs; the logs and the configuration of Dogtag,
389 Directory Server and certmonger; what systemd knows of them; the HSM record; the
tokens as they show themselves without a login; releases, room, clock and names of the
host; and manifest.json, which says of each member what it is or why it could not be
had. Nothing is changed, no PIN is tried, and what does not answer is given up.

Passwords, PINs and private keys are not in it: what the programs of this host keep in
their files is looked up first, and hidden wherever it turns up. Names, addresses and
subjects of certificates are in it. Look before you hand it on.

Examples:
  capstan support-bundle
  capstan support-bundle --output-file /mnt/stick/ca1.tar.gz

Exit codes: 0 written, 1 not written, 2 refused, 130 interrupted.`;

interface Values extends DeadlineValues {
  outputFile?: string;
  output?: ViewKind;
}

/** The command `capstan support-bundle`. */
export function command(): Command {
  const bundle = new Command(NAME)
    .description('Collects logs, versions, configuration and the journal of this host into one archive.')
    .option(
      '--output-file <file>',
      'the archive, a new file (default: /root/capstan-support-HOST-TIME.tar.gz)',
    )
    .addOption(outputKindOption());
  return deadlineOptions(bundle)
    .addHelpText('after', HELP_TAIL)
    .action(async (values: Values) => {
      process.exitCode = await runSession(NAME, values, (session) => run(values, session));
    });
}

async function run(values: Values, { view, signal }: Session): Promise<undefined> {
  const { outputFile } = values;
  const file = outputFile === undefined ? undefined : wholePath(outputFile);
  // No program could be run from a folder that is gone.
  process.chdir('/');
  const deadlines = readDeadlines(values);
  const { supportBundle } = await import('../../src/flow/support-bundle.ts');
  // No log: it would repeat the whole bundle, on a disk that may be full.
  const host = openHost(noLog, signal, {
    deadlines,
    onWaiting: (wait) => view.listen({ type: 'waiting', ...wait }),
  });
  view.result(await supportBundle(host, { file, listen: view.listen }));
}

function wholePath(path: string): string {
  const flaw = flawOfPath(path);
  if (flaw) {
    throw refusal(
      'output-file-unusable',
      `The file of --output-file ${flaw}.`,
      'Name a new file with its whole path.',
    );
  }
  try {
    return resolve(path);
  } catch (error) {
    throw refusal(
      'output-file-unusable',
      `The support bundle cannot be written to ${path}: the folder that Capstan was called from is gone.`,
      'Name the file with its whole path.',
      error,
    );
  }
}
