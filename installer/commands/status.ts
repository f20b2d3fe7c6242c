import { Command, Option } from 'commander';
import type { CertificateFinding, Finding, Status } from '../../src/flow/status.ts';
import { type DeadlineValues, deadlineOptions } from '../options/deadline.ts';
import { withHost } from '../session.ts';
import { tableLines } from '../view/table.ts';

const HELP_TAIL = `
What is looked at: the services and whether they start at boot; the token, without a
login; the CA, which must answer, know its certificate profiles and make a signature
with a key on the HSM; the directory over verified LDAPS; the HSM record; and each
system certificate with its token, its tracking by certmonger and its expiry. Nothing
is changed. What is down is brought back by "capstan restart".

Exit codes: 0 all is well, 1 something is unwell or there is no server,
130 interrupted.`;

/** The command `capstan status`. */
export function command(): Command {
  const status = new Command('status')
    .description(
      'Shows how the server on this host is: services, CA, directory, HSM record and certificates.',
    )
    .addOption(new Option('--output <kind>', 'how it is shown').choices(['table', 'json']).default('table'));
  return deadlineOptions(status)
    .addHelpText('after', HELP_TAIL)
    .action(async ({ output, ...deadlines }: DeadlineValues & { output: 'table' | 'json' }) => {
      const { serverStatus } = await import('../../src/flow/status.ts');
      const status = await withHost(serverStatus, deadlines);
      process.stdout.write(output === 'json' ? `${JSON.stringify(status)}\n` : `${statusText(status)}\n`);
      process.exitCode = status.well ? 0 : 1;
    });
}

/** The status as tables for a person. */
export function statusText({ hostname, realm, well, findings, next }: Status): string {
  const certificates = findings.filter((finding): finding is CertificateFinding => 'serial' in finding);
  const others = findings.filter((finding) => !('serial' in finding));
  return [
    `${hostname} (${realm}): ${well ? 'all is well' : 'something is unwell'}`,
    '',
    ...tableLines(others.map(row), ['', 'what', 'found']),
    '',
    ...tableLines(
      certificates.map((one) => [
        mark(one),
        one.name,
        one.token,
        one.serial,
        (one.expires ?? '').slice(0, 10),
        one.detail,
      ]),
      ['', 'certificate', 'token', 'serial', 'expires', 'tracking'],
    ),
    ...(next.length > 0 ? ['', 'Next:', ...next.map((step, index) => `  ${index + 1}. ${step}`)] : []),
  ].join('\n');
}

function row(finding: Finding): string[] {
  return [mark(finding), finding.name, finding.detail];
}

function mark({ well }: Finding): string {
  return well ? 'ok' : 'BAD';
}
