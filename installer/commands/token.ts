import { resolve } from 'node:path';
import { Command } from 'commander';
import { refusal } from '../../src/errors.ts';
import type { Report } from '../../src/flow/site.ts';
import type { Host } from '../../src/host/host.ts';
import { flawOfPath } from '../../src/names/path.ts';
import { quoted } from '../../src/names/quoted.ts';
import type { Secret } from '../../src/secret/secret.ts';
import { collectSecrets, readStandardInput } from '../../src/secret/sources.ts';
import { deadlineOptions } from '../options/deadline.ts';
import { readField } from '../options/field.ts';
import { type OutputValues, outputKindOption } from '../options/output.ts';
import { together } from '../options/together.ts';
import { readLibraryPath, readToken } from '../options/token.ts';
import { type Asker, canAsk, openAsker } from '../prompt.ts';
import { logFileOf, runSession, type Session } from '../session.ts';

const EXPORT = 'token export';
const IMPORT = 'token import';

/** The fewest characters of a passphrase that is chosen now: whoever has the file can try as many as they like. */
const SHORTEST_PASSPHRASE = 12;

const DESCRIPTION =
  'Moves a token of SoftHSM from one host to another, as one encrypted file: for rehearsals of a cluster without ' +
  'shared storage. Tokens of every other module are refused: the keys of an HSM do not leave it.';

const HELP_TAIL = `
A rehearsal with two hosts:
  capstan token export --output-file /root/hsm.token       on the one that has the token
  capstan token import --input-file /root/hsm.token        on the other one

Each command explains itself: capstan token export --help`;

const EXPORT_TAIL = `
What happens: the token is looked for through its library, as pkiuser and without a PIN;
its folder is found by SoftHSM's configuration, read, and written as one new file that
only root may read, encrypted (AES-256-GCM, scrypt). The token itself is not changed.
Nothing should be written to it meanwhile.

The passphrase comes from a question, asked twice, from a file of one line, from standard
input (-), or from systemd's credentials directory, as a file named passphrase.

Examples:
  capstan token export --output-file /root/hsm.token
  capstan token export --unattended --token-name HSM \\
    --library-path /usr/lib/softhsm/libsofthsm2.so \\
    --output-file /root/hsm.token --passphrase-file /root/passphrase

Exit codes: 0 written, 1 failed, 2 refused, 130 interrupted.`;

const IMPORT_TAIL = `
What happens: the file is decrypted in memory; a wrong passphrase or a single changed
byte, and nothing is done. The token is put into the folder of SoftHSM's tokens, whole or
not at all, with the owner that the others there have, and seen through the library, as
pkiuser; otherwise it is taken away again. A token with the same label or serial that is
there already is never replaced.

Examples:
  capstan token import --input-file /root/hsm.token
  capstan token import --unattended --library-path /usr/lib/softhsm/libsofthsm2.so \\
    --input-file /root/hsm.token --passphrase-file - < PASSPHRASE

Exit codes: 0 imported, 1 failed and taken back, 2 refused, 130 interrupted.`;

interface Values extends OutputValues {
  tokenName?: string;
  libraryPath?: string;
  outputFile?: string;
  inputFile?: string;
  passphraseFile?: string;
  allowExposedPasswordFiles?: boolean;
}

/** The commands `capstan token export` and `capstan token import`. */
export function command(): Command {
  const token = new Command('token').description(DESCRIPTION).addHelpText('after', HELP_TAIL);
  return token.addCommand(exporting()).addCommand(importing());
}

function exporting(): Command {
  const command = new Command('export')
    .description('Writes a token of SoftHSM into one encrypted file.')
    .option('--token-name <label>', "label of the token (default: the installed server's)")
    .option('--library-path <file>', "SoftHSM's PKCS#11 library (default: the installed server's)")
    .option('--output-file <file>', 'the file to write, a new one');
  return moveOptions(command, EXPORT, 'passphrase for the file, of at least 12 characters')
    .addHelpText('after', EXPORT_TAIL)
    .action(async (values: Values) => {
      process.exitCode = await runSession(EXPORT, values, (session) => runExport(values, session));
    });
}

function importing(): Command {
  const command = new Command('import')
    .description('Puts a token that "capstan token export" wrote among those of SoftHSM on this host.')
    .option('--input-file <file>', 'the file to read')
    .option('--library-path <file>', "SoftHSM's PKCS#11 library (default: the installed server's)");
  return moveOptions(command, IMPORT, 'passphrase that the file was written with')
    .addHelpText('after', IMPORT_TAIL)
    .action(async (values: Values) => {
      process.exitCode = await runSession(IMPORT, values, (session) => runImport(values, session));
    });
}

function moveOptions(command: Command, name: string, passphrase: string): Command {
  command
    .option('--passphrase-file <file>', `file with the ${passphrase}; - reads standard input`)
    .option('--allow-exposed-password-files', 'accept a passphrase file that other users can read')
    .option('-U, --unattended', 'never ask; refuse when something is missing')
    .addOption(outputKindOption())
    .option('--log-file <file>', `where the run is logged (default: ${logFileOf(name)})`);
  return deadlineOptions(command);
}

async function runExport(values: Values, session: Session): Promise<undefined> {
  const host = session.openHost();
  const asker = askerFor(values, session.signal);
  const { installedToken, refuseOthersThanRoot } = await import('../../src/flow/token-move.ts');
  refuseOthersThanRoot();
  const { exportToken, refuseTaken } = await import('../../src/flow/token-export.ts');
  const given = await together(
    {
      token: async () => {
        const installed = await installedToken();
        const tokenName = values.tokenName ?? installed?.label;
        const libraryPath = values.libraryPath ?? installed?.libraryPath;
        const named = tokenName !== undefined && { tokenName };
        return readToken({ ...named, ...(libraryPath !== undefined && { libraryPath }) }, asker);
      },
      file: async () => {
        const file = await readPath('--output-file', values.outputFile, asker);
        await refuseTaken(file);
        return file;
      },
      passphrase: () => readPassphrase(values, asker, session.signal, SHORTEST_PASSPHRASE),
    },
    asker !== undefined,
  );
  process.chdir('/');
  showReport(session, host, await exportToken(host, { ...given, listen: session.view.listen }));
}

async function runImport(values: Values, session: Session): Promise<undefined> {
  const host = await session.takeHost();
  const asker = askerFor(values, session.signal);
  const { installedToken, refuseOthersThanRoot } = await import('../../src/flow/token-move.ts');
  refuseOthersThanRoot();
  const { importToken } = await import('../../src/flow/token-import.ts');
  const given = await together(
    {
      libraryPath: async () => {
        const libraryPath = values.libraryPath ?? (await installedToken())?.libraryPath;
        return readLibraryPath({ ...(libraryPath !== undefined && { libraryPath }) }, asker);
      },
      file: () => readPath('--input-file', values.inputFile, asker),
      passphrase: () => readPassphrase(values, asker, session.signal),
    },
    asker !== undefined,
  );
  process.chdir('/');
  showReport(session, host, await importToken(host, { ...given, listen: session.view.listen }));
}

/** Questions go to a person at a terminal, who neither said --unattended nor wants a program to read the output. */
function askerFor({ unattended, output }: Values, signal: AbortSignal): Asker | undefined {
  return unattended || output === 'json' || !canAsk() ? undefined : openAsker(signal);
}

function readPath(option: string, given: string | undefined, asker: Asker | undefined): Promise<string> {
  return readField({ option, what: 'token file', given, parse: (text) => wholePath(option, text) }, asker);
}

function wholePath(option: string, path: string): string {
  const flaw = flawOfPath(path);
  if (flaw) {
    throw refusal(
      'token-file-path-invalid',
      `The file that ${option} names, ${quoted(path)}, ${flaw}.`,
      'Give its path from the root on: /root/hsm.token',
    );
  }
  try {
    return resolve(path);
  } catch (error) {
    throw refusal(
      'token-file-path-invalid',
      `The file that ${option} names, ${quoted(path)}, is nowhere: the folder that Capstan was called from is gone.`,
      'Give its path from the root on: /root/hsm.token',
      error,
    );
  }
}

/** @param shortest where it is chosen now: its fewest characters */
async function readPassphrase(
  values: Values,
  asker: Asker | undefined,
  signal: AbortSignal,
  shortest?: number,
): Promise<Secret> {
  const request = {
    what: 'passphrase',
    option: '--passphrase',
    file: values.passphraseFile,
    ...(shortest !== undefined && { shortest, chosen: true }),
  };
  const { passphrase } = await collectSecrets(
    { passphrase: request },
    {
      credentials: process.env.CREDENTIALS_DIRECTORY,
      readInput: () => readStandardInput(signal),
      ask: asker?.secret,
      exposedFiles: values.allowExposedPasswordFiles,
    },
  );
  return passphrase;
}

function showReport({ view }: Session, { log }: Host, report: Report): void {
  view.result({
    ...report,
    facts: [...report.facts, ...(log.path ? [{ name: 'Log', value: log.path }] : [])],
  });
}
