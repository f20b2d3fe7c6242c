import { Command, Option } from 'commander';
import type { Brief } from '../../src/flow/brief.ts';
import type { CertificateFinding, Finding, Status } from '../../src/flow/status.ts';
import type { ClusterStatus } from '../../src/flow/status-all.ts';
import { type DeadlineValues, deadlineOptions } from '../options/deadline.ts';
import { withHost } from '../session.ts';
import { tableLines } from '../view/table.ts';
import { cleanLine } from '../view/text.ts';
import { topologyLines } from '../view/topology.ts';

const HELP_TAIL = `
What is looked at: the services and whether they start at boot; the token, without a
login; the CA, which must answer, know its certificate profiles and make a signature
with a key on the HSM; the directory over verified LDAPS; the HSM record; and each
system certificate with its token, its tracking by certmonger and its expiry. Nothing
is changed. What is down is brought back by "capstan restart".

With --all every server of the cluster is asked at the same time: its directory over
LDAPS, as the server on this host; its CA for its state and for a signature; and how far
each has what the others have. However many are silent, that takes half a minute and a
few seconds; --deadline cluster=SECONDS changes it. The full look at one server's
services, token and certificates is "capstan status" on that server.

With --brief no daemon is asked: it tells what Capstan's journals say was installed here,
and whether a run did not come to its end. The exit code is 0 where there is a server.

Exit codes: 0 all is well, 1 something is unwell or there is no server,
130 interrupted.`;

/** The command `capstan status`. */
export function command(): Command {
  const status = new Command('status')
    .description(
      'Shows how the server on this host is: services, CA, directory, HSM record and certificates.',
    )
    .option('--all', 'ask every server of the cluster, and draw which feeds which')
    .addOption(
      new Option('--brief', 'only what was installed here, without asking any daemon').conflicts('all'),
    )
    .addOption(new Option('--output <kind>', 'how it is shown').choices(['table', 'json']).default('table'));
  return deadlineOptions(status)
    .addHelpText('after', HELP_TAIL)
    .action(async ({ output, all, brief, ...deadlines }: Values) => {
      const json = output === 'json';
      const ask = all ? askAll : brief ? askJournals : askHere;
      const { well, text } = await ask(deadlines, json);
      process.stdout.write(`${text}\n`);
      process.exitCode = well ? 0 : 1;
    });
}

interface Values extends DeadlineValues {
  output: 'table' | 'json';
  all?: boolean;
  brief?: boolean;
}

async function askHere(deadlines: DeadlineValues, json: boolean) {
  const { serverStatus } = await import('../../src/flow/status.ts');
  const status = await withHost(serverStatus, deadlines);
  return { well: status.well, text: json ? JSON.stringify(status) : statusText(status) };
}

async function askAll(deadlines: DeadlineValues, json: boolean) {
  const { clusterStatus } = await import('../../src/flow/status-all.ts');
  const status = await withHost(clusterStatus, deadlines);
  return { well: status.well, text: json ? JSON.stringify(status) : clusterText(status) };
}

async function askJournals(_deadlines: DeadlineValues, json: boolean) {
  const { briefStatus } = await import('../../src/flow/brief.ts');
  const brief = await briefStatus();
  return { well: true, text: json ? JSON.stringify(brief) : briefText(brief) };
}

function briefText({ hostname, realm, roles, unfinished }: Brief): string {
  const what = `${hostname} (${realm}): ${['directory', ...roles].join(', ')}`;
  return unfinished
    ? [what, '', `A run of "capstan ${unfinished.flow}" did not come to its end. ${unfinished.story}`].join(
        '\n',
      )
    : what;
}

/** The status as tables for a person. */
export function statusText({ hostname, realm, well, findings, next }: Status): string {
  const certificates = findings.filter((finding): finding is CertificateFinding => 'serial' in finding);
  const others = findings.filter((finding) => !('serial' in finding));
  return [
    `${hostname} (${realm}): ${well ? 'all is well' : 'something is unwell'}`,
    '',
    ...tableLines(others.map(row), ['', 'what', 'found']),
    ...(certificates.length > 0 ? ['', ...certificateLines(certificates)] : []),
    ...nextLines(next),
  ].join('\n');
}

function certificateLines(certificates: readonly CertificateFinding[]): string[] {
  return tableLines(
    certificates.map((one) => [
      mark(one),
      one.name,
      one.token,
      one.serial,
      (one.expires ?? '').slice(0, 10),
      (one.renewed ?? 'never').slice(0, 10),
      one.detail,
    ]),
    ['', 'certificate', 'token', 'serial', 'expires', 'renewed', 'tracking'],
  );
}

/** The status of a cluster as a drawing and tables for a person. */
export function clusterText(status: ClusterStatus): string {
  const { hostname, realm, well, servers, next } = status;
  const findings = servers.flatMap((server) =>
    server.findings.map((one) => [mark(one), server.hostname, one.name, cleanLine(one.detail)]),
  );
  return [
    `${realm}, seen from ${hostname}: ${well ? 'all is well' : 'something is unwell'}`,
    '',
    ...topologyLines(status),
    '',
    ...tableLines(findings, ['', 'server', 'what', 'found']),
    ...nextLines(next),
  ].join('\n');
}

function nextLines(next: readonly string[]): string[] {
  return next.length > 0 ? ['', 'Next:', ...next.map((step, index) => `  ${index + 1}. ${step}`)] : [];
}

function row(finding: Finding): string[] {
  return [mark(finding), finding.name, finding.detail];
}

function mark({ well }: Finding): string {
  return well ? 'ok' : 'BAD';
}
