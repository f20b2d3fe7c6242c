import { Command, Option } from 'commander';
import { refusal } from '../../src/errors.ts';
import type { CaRenewal } from '../../src/flow/renewal/ca.ts';
import type { Host } from '../../src/host/host.ts';
import { confirmSteps } from '../confirm.ts';
import { deadlineOptions } from '../options/deadline.ts';
import {
  type ExternalValues,
  externalOptions,
  readCertificateFiles,
  readExternal,
} from '../options/external.ts';
import { type OutputValues, outputKindOption } from '../options/output.ts';
import { logFileOf, runSession, type Session } from '../session.ts';

const NAME = 'ca-renew';

const HELP_TAIL = `
One of four, on the server that renews for all ("capstan role list"):

  --external-ca         writes a request for the key and the name of the CA, signed with that
                        key on the token, to /root/ca-renewal.csr. Nothing else changes, and
                        the CA goes on with the certificate that it has
  --external-cert-file  takes in what the authority made of it, with all certificates above
                        it. All are looked at first; what is wrong is told together
  --self-signed         has a CA that another authority signed sign itself
  --undo                takes back what was accepted, where certmonger has not taken it

The key stays, and so do its name and its identifier: what the CA has issued stays good. The
new certificate goes the way of every renewal: certmonger writes it to the token, then it is
put in place with one restart of Dogtag and of the directory, and the other servers take it
over within the hour, or at once by "capstan renew --all".

A run that was killed is gone on with by capstan-renewal.service, within the hour; or run the
command again.

Where the certificate of the CA has expired, the new one is accepted, and "capstan repair"
puts it in place.

A CA that signs itself is renewed by "capstan renew". docs/external-ca.md tells more.

Exit codes: 0 done, 1 failed, 2 refused and nothing was changed, 130 interrupted.`;

interface Values extends OutputValues, ExternalValues {
  selfSigned?: boolean;
  undo?: boolean;
  dryRun?: boolean;
  unattended?: boolean;
}

/** The command `capstan ca-renew`. */
export function command(): Command {
  const renew = new Command(NAME).description(
    'Gives the CA another certificate for the key that it has: from another authority, or signed by itself.',
  );
  externalOptions(renew, {
    begin: 'write a request for a certificate of the CA by another authority',
    goOn: 'take in the certificate, and all above it; PEM, DER or PKCS#7, once for each file',
  });
  renew
    .option('--self-signed', 'have a CA that another authority signed sign itself')
    .addOption(
      new Option(
        '--undo',
        'take back a certificate that was accepted, and that certmonger has not taken',
      ).conflicts('dryRun'),
    )
    .optionsGroup('Options:')
    .option('-U, --unattended', 'do not ask whether the steps that are shown are meant')
    .option('--dry-run', 'look at everything, show the steps, change nothing')
    .addOption(outputKindOption())
    .option('--log-file <file>', `where the run is logged (default: ${logFileOf(NAME)})`);
  return deadlineOptions(renew)
    .addHelpText('after', HELP_TAIL)
    .action(async (values: Values) => {
      process.exitCode = await runSession(NAME, values, (session) => run(values, session));
    });
}

async function run(values: Values, session: Session): Promise<undefined> {
  requireOne(values);
  const external = readExternal(values);
  const files = readCertificateFiles(values);
  const { dryRun = false } = values;
  const host = dryRun ? session.openHost() : await session.takeHost();
  const confirm = () => confirmSteps(values, session);
  const wish: CaRenewal = { dryRun, confirm, listen: session.view.listen };
  session.view.result(await renewed(host, wish, { external, files, undo: values.undo }));
}

async function renewed(
  host: Host,
  wish: CaRenewal,
  {
    external,
    files,
    undo,
  }: {
    external: ReturnType<typeof readExternal>;
    files: string[] | undefined;
    undo: boolean | undefined;
  },
) {
  const flow = await import('../../src/flow/renewal/ca.ts');
  if (undo) return flow.undoCaRenewal(host);
  if (external) return flow.requestCaCertificate(host, external, wish);
  return files ? flow.takeCaCertificate(host, files, wish) : flow.signCaItself(host, wish);
}

/** @throws CapstanError `usage` */
function requireOne({ externalCa, externalCertFile, selfSigned, undo }: Values): void {
  const given = [externalCa, externalCertFile, selfSigned, undo].filter(Boolean);
  if (given.length === 1) return;
  throw refusal(
    'usage',
    `One of --external-ca, --external-cert-file, --self-signed and --undo is needed; ${given.length === 0 ? 'none is' : 'several are'} given.`,
    'See the command with --help.',
  );
}
