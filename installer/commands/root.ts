import { resolve } from 'node:path';
import { Command } from 'commander';
import { refusal } from '../../src/errors.ts';
import type { RootConfig } from '../../src/flow/root-files.ts';
import type { Report } from '../../src/flow/site.ts';
import type { Host } from '../../src/host/host.ts';
import { flawOfPath } from '../../src/names/path.ts';
import { pinFile } from '../../src/names/pkcs11-uri.ts';
import { quoted } from '../../src/names/quoted.ts';
import type { Secret } from '../../src/secret/secret.ts';
import { collectSecrets, readStandardInput } from '../../src/secret/sources.ts';
import { deadlineOptions } from '../options/deadline.ts';
import { printable } from '../options/field.ts';
import { type OutputValues, outputKindOption } from '../options/output.ts';
import { type Asker, canAsk, openAsker } from '../prompt.ts';
import { logFileOf, runSession, type Session } from '../session.ts';

const DESCRIPTION =
  'An offline root CA whose key is made on an HSM of its own and never leaves it. All of it is described by one ' +
  'ceremony file, which is reviewed before; docs/root.md has an example.';

const INIT_TAIL = `
What happens: the ceremony file is read strictly; the outputs must not be there; the
token must be able to make and use the key and must not have one of its name; the
certificate is looked over by named rules, with a key that is nobody's. Only then the key
is made on the token, the certificate signed, looked over again and written, and a
transcript with it. What fails is taken back, the key too.

The PIN is asked for, or comes from a file: pin-source=file:/path in the key's URI,
--token-password-file, or systemd's credentials. It is tried once.

Examples:
  capstan root init --config root.yaml --dry-run
  capstan root init --config root.yaml

Exit codes: 0 done, 1 failed and taken back, 2 refused, 130 interrupted.`;

const SIGN_TAIL = `
What happens: the request's own signature is verified, and you are asked for the
fingerprint that its owner told you. The profile decides what the certificate is like;
extensions of the request are ignored, and which they were is told.

Examples:
  capstan root sign --config root.yaml --csr ca.csr --profile issuing-ca --out ca.crt
  capstan root sign --config root.yaml --csr ca.csr --profile issuing-ca --out ca.crt \\
    --unattended --csr-fingerprint sha256:HEX --token-password-file /root/pin

Exit codes: 0 signed, 1 failed, 2 refused, 130 interrupted.`;

interface Values extends OutputValues {
  config: string;
  undo?: boolean;
  csr?: string;
  profile?: string;
  out?: string;
  transcript?: string;
  csrFingerprint?: string;
  reason?: string;
  tokenPasswordFile?: string;
  allowExposedPasswordFiles?: boolean;
}

/** The commands `capstan root init`, `sign`, `crl` and `revoke`. */
export function command(): Command {
  return new Command('root')
    .description(DESCRIPTION)
    .addCommand(initCommand())
    .addCommand(signCommand())
    .addCommand(crlCommand())
    .addCommand(revokeCommand());
}

function initCommand(): Command {
  const init = new Command('init')
    .description('Makes the key of the root on the token, and its certificate: a key ceremony.')
    .option('--dry-run', 'look at everything, change nothing')
    .option('--undo', 'take back what a ceremony left that was killed');
  return tokenOptions(commonOptions(init, 'root init'))
    .addHelpText('after', INIT_TAIL)
    .action(async (values: Values) => {
      process.exitCode = await runSession('root init', values, (session) => runInit(values, session));
    });
}

function signCommand(): Command {
  const sign = new Command('sign')
    .description('Certifies the key of a request, as a profile of the ceremony file says.')
    .requiredOption('--csr <file>', 'the request (PKCS#10), PEM or DER')
    .requiredOption('--profile <name>', 'profile of the ceremony file: issuing-ca')
    .requiredOption('--out <file>', 'the certificate to write, a new file')
    .option('--transcript <file>', 'the transcript to write (default: beside it, with .transcript)')
    .option('--csr-fingerprint <sha256:hex>', 'fingerprint of the request as its owner tells it');
  return tokenOptions(commonOptions(sign, 'root sign'))
    .addHelpText('after', SIGN_TAIL)
    .action(async (values: Values) => {
      process.exitCode = await runSession('root sign', values, (session) => runSign(values, session));
    });
}

function crlCommand(): Command {
  const crl = new Command('crl')
    .description('Signs a full CRL of all that the root revoked.')
    .requiredOption('--out <file>', 'the CRL to write, a new file')
    .option('--transcript <file>', 'the transcript to write (default: beside it, with .transcript)');
  return tokenOptions(commonOptions(crl, 'root crl')).action(async (values: Values) => {
    process.exitCode = await runSession('root crl', values, (session) => runCrl(values, session));
  });
}

function revokeCommand(): Command {
  const revoke = new Command('revoke')
    .description('Records that a certificate of the root is revoked; the next CRL tells of it.')
    .argument('<serial>', 'serial number, in hex')
    .requiredOption('--reason <reason>', 'why (RFC 5280): keyCompromise, cACompromise, superseded, ...');
  return commonOptions(revoke, 'root revoke').action(async (serial: string, values: Values) => {
    process.exitCode = await runSession('root revoke', values, (session) =>
      runRevoke(serial, values, session),
    );
  });
}

function commonOptions(command: Command, name: string): Command {
  command
    .requiredOption('--config <file>', 'the ceremony file')
    .addOption(outputKindOption())
    .option('--log-file <file>', `where the run is logged (default: ${logFileOf(name)})`);
  return deadlineOptions(command);
}

function tokenOptions(command: Command): Command {
  return command
    .option('--token-password-file <file>', "file that holds the token's user PIN; - reads standard input")
    .option('--allow-exposed-password-files', 'accept a PIN file that other users can read')
    .option('-U, --unattended', 'never ask; refuse when something is missing');
}

async function runInit(values: Values, session: Session): Promise<undefined> {
  const host = session.openHost();
  const { file, config } = await readConfig(values);
  const pin = pinGiver(values, session, config);
  const { secondSignal } = session;
  if (values.undo) {
    const { rootUndo } = await import('../../src/flow/root-undo.ts');
    return show(session, host, await rootUndo(host, config, pin));
  }
  const { rootInit } = await import('../../src/flow/root-init.ts');
  const { dryRun } = values;
  const request = { file, config, pin, listen: session.view.listen, dryRun, secondSignal };
  return show(session, host, await rootInit(host, request));
}

async function runSign(values: Values, session: Session): Promise<undefined> {
  const host = session.openHost();
  const paths = outputsOf(values);
  const csr = wholePath('--csr', values.csr ?? '');
  const profile = printable('--profile', values.profile ?? '');
  const given = values.csrFingerprint;
  const expected = given === undefined ? undefined : fingerprintOf(printable('--csr-fingerprint', given));
  const { file, config } = await readConfig(values);
  const { rootSign } = await import('../../src/flow/root-sign.ts');
  const report = await rootSign(host, {
    ...{ file, config, csr, profile, ...paths, listen: session.view.listen },
    pin: pinGiver(values, session, config),
    confirm: (fingerprint, subject) => confirmed(values, session, { expected, fingerprint, subject }),
  });
  return show(session, host, report);
}

async function runCrl(values: Values, session: Session): Promise<undefined> {
  const host = session.openHost();
  const paths = outputsOf(values);
  const { file, config } = await readConfig(values);
  const { rootCrl } = await import('../../src/flow/root-crl.ts');
  const pin = pinGiver(values, session, config);
  return show(
    session,
    host,
    await rootCrl(host, { file, config, ...paths, pin, listen: session.view.listen }),
  );
}

async function runRevoke(serial: string, values: Values, session: Session): Promise<undefined> {
  const host = session.openHost();
  const { config } = await readConfig(values);
  const { rootRevoke } = await import('../../src/flow/root-crl.ts');
  const reason = printable('--reason', values.reason ?? '');
  return show(session, host, await rootRevoke({ config, serial: printable('SERIAL', serial), reason }));
}

async function readConfig(values: Values): Promise<{ file: string; config: RootConfig }> {
  const file = wholePath('--config', values.config);
  const { loadRootConfig } = await import('../../src/flow/root-files.ts');
  return { file, config: await loadRootConfig(file) };
}

function outputsOf(values: Values): { output: string; transcript: string } {
  const output = wholePath('--out', values.out ?? '');
  const transcript = wholePath('--transcript', values.transcript ?? `${output}.transcript`);
  if (transcript !== output) return { output, transcript };
  throw refusal('root-path-invalid', '--out and --transcript name one file.', 'Name two files.');
}

function wholePath(option: string, path: string): string {
  const flaw = flawOfPath(path);
  if (!flaw) return resolve(path);
  throw refusal('root-path-invalid', `The file that ${option} names, ${quoted(path)}, ${flaw}.`);
}

/** Questions go to a person at a terminal, who neither said --unattended nor wants a program to read the output. */
function askerFor({ unattended, output }: Values, signal: AbortSignal): Asker | undefined {
  return unattended || output === 'json' || !canAsk() ? undefined : openAsker(signal);
}

/** The PIN, from one source, read or asked for when the token turns out to need it, and once in a run. */
function pinGiver(values: Values, session: Session, config: RootConfig): () => Promise<Secret> {
  let given: Promise<Secret> | undefined;
  const fromUri = pinFile(config.uri);
  const file = values.tokenPasswordFile;
  if (file !== undefined && fromUri !== undefined) {
    throw refusal(
      'secret-given-twice',
      'The token password is given twice: with --token-password-file and with pin-source in the ceremony file.',
      'Give one of the two.',
    );
  }
  const collect = async () => {
    await session.view.pause();
    const asker = askerFor(values, session.signal);
    const request = { what: 'token password', option: '--token-password', file: file ?? fromUri };
    const { pin } = await collectSecrets(
      { pin: request },
      {
        credentials: process.env.CREDENTIALS_DIRECTORY,
        readInput: () => readStandardInput(session.signal),
        ask: asker?.secret,
        exposedFiles: values.allowExposedPasswordFiles,
      },
    );
    return pin;
  };
  return () => {
    given ??= collect();
    return given;
  };
}

/** Digits of a fingerprint that a person has to type; a request that has them by chance cannot be made. */
const TYPED_DIGITS = 16;

function fingerprintOf(text: string): string {
  const digits = text
    .toLowerCase()
    .replace(/^sha-?256:/, '')
    .replaceAll(/[:\s]/g, '');
  if (/^[0-9a-f]{64}$/.test(digits)) return digits;
  throw refusal(
    'csr-fingerprint-invalid',
    `${quoted(text)} is no SHA-256 fingerprint.`,
    'Give it as in --csr-fingerprint sha256:HEX, with 64 hexadecimal digits.',
  );
}

/**
 * Has somebody say which request is meant. The fingerprint is not shown to the person who is asked: it has to come from
 * the owner of the request.
 * @throws CapstanError `csr-fingerprint-differs`, `csr-fingerprint-missing`, `interrupted`
 */
async function confirmed(
  values: Values,
  session: Session,
  { expected, fingerprint, subject }: { expected: string | undefined; fingerprint: string; subject: string },
): Promise<void> {
  if (expected === fingerprint) return;
  if (expected !== undefined) {
    throw refusal(
      'csr-fingerprint-differs',
      `The request of ${subject} has the fingerprint sha256:${fingerprint}, not the one that --csr-fingerprint gives.`,
      'Find out which request is the right one from who made it.',
    );
  }
  const asker = askerFor(values, session.signal);
  if (!asker) {
    throw refusal(
      'csr-fingerprint-missing',
      `Nobody is there to confirm the request of ${subject}.`,
      'Give its fingerprint, from who made it, with --csr-fingerprint sha256:HEX.',
    );
  }
  await session.view.pause();
  const what = `fingerprint that the owner of the request of ${subject} told you`;
  await asker.text({ what, flaw: (answer) => flawOfAnswer(answer, fingerprint) });
}

function flawOfAnswer(answer: string, fingerprint: string): string | undefined {
  const digits = answer
    .toLowerCase()
    .replace(/^sha-?256:/, '')
    .replaceAll(/[:\s]/g, '');
  if (digits.length < TYPED_DIGITS) return `At least ${TYPED_DIGITS} hexadecimal digits are needed.`;
  return fingerprint.startsWith(digits) ? undefined : 'That is not the fingerprint of this request.';
}

function show({ view }: Session, { log }: Host, report: Report): undefined {
  view.result({
    ...report,
    facts: [...report.facts, ...(log.path ? [{ name: 'Log', value: log.path }] : [])],
  });
}
