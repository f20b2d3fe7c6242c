import { Command, Option } from 'commander';
import { refusal, sentenceOf } from '../../src/errors.ts';
import type { Preparation } from '../../src/flow/replica-prepare.ts';
import { parseHostname } from '../../src/names/domain.ts';
import { quoted } from '../../src/names/quoted.ts';
import { type DeadlineValues, deadlineOptions } from '../options/deadline.ts';
import { printable } from '../options/field.ts';
import { parseLifetime } from '../options/join.ts';
import { withHost } from '../session.ts';

const HELP_TAIL = `
What happens: the host is looked up, and the way to it is tried (TCP 636, where this
server will replicate to). Then the directory gets an identity for the host, and a
user that it joins as, with a secret drawn now. Shown are the line to type on the new
host, with the fingerprint by which it knows this cluster, and the secret, which that
line asks for.

The join secret works for one host and for a limited time, which the directory itself
enforces; it is gone when the host has joined, and when the command is run again for
the same host. Until then guard it like the Directory Manager's password: Dogtag lets
who may join learn and do what a server of the cluster can. Send it by another way
than the line.

Examples, on a server with a CA:
  capstan replica-prepare ca2.example.test
  capstan replica-prepare ca2.example.test --revoke

Exit codes: 0 prepared, 1 failed, 2 refused and nothing was changed, 130 interrupted.`;

interface Values extends DeadlineValues {
  lifetime?: string;
  revoke?: boolean;
  output: 'table' | 'json';
}

/** The command `capstan replica-prepare`. */
export function command(): Command {
  const prepare = new Command('replica-prepare')
    .description(
      'Lets a host join the cluster without the password of the Directory Manager: draws a join secret for it, and shows what to type there.',
    )
    .argument('<host>', 'fully qualified name of the host that is to join')
    .addOption(
      new Option(
        '--lifetime <time>',
        'how long the join secret is good, as in 30m, 2d (default: 24h)',
      ).conflicts('revoke'),
    )
    .option('--revoke', 'take it back: the secret is dead, and the host may not join')
    .addOption(new Option('--output <kind>', 'how it is shown').choices(['table', 'json']).default('table'));
  return deadlineOptions(prepare)
    .addHelpText('after', HELP_TAIL)
    .action(async (name: string, { lifetime = '24h', output, revoke, ...deadlines }: Values) => {
      const hostname = parseJoiner(name);
      const seconds = parseLifetime(lifetime);
      const { prepareReplica, revokeReplica } = await import('../../src/flow/replica-prepare.ts');
      const text = await withHost(async (host) => {
        if (revoke) return revokedText(hostname, await revokeReplica(host, hostname), output);
        const prepared = await prepareReplica(host, hostname, seconds);
        return output === 'json' ? jsonOf(prepared) : textOf(prepared);
      }, deadlines);
      process.stdout.write(`${text}\n`);
    });
}

function revokedText(hostname: string, revoked: boolean, output: Values['output']): string {
  if (output === 'json') return JSON.stringify({ hostname, revoked });
  return revoked
    ? `${hostname} may not join any more; its join secret is dead.`
    : `${hostname} had no join secret.`;
}

function parseJoiner(text: string): string {
  try {
    return parseHostname(printable('HOST', text));
  } catch (error) {
    throw refusal(
      'hostname-invalid',
      `${quoted(text)} cannot be the host that joins: ${sentenceOf(error).replace(/^.*?: /, '')}`,
      'Give its fully qualified name, such as ca2.example.test.',
    );
  }
}

/** What is typed on the new host; the secret is asked for there. */
function commandLine({ server, fingerprint }: Preparation): string {
  return `capstan replica-install --server ${server} --ca-fingerprint ${fingerprint} --join-secret`;
}

/** The preparation for a program. It holds the secret: that is what the command is for. */
function jsonOf(prepared: Preparation): string {
  const { hostname, server, fingerprint, secret, expires, address, way } = prepared;
  return JSON.stringify({
    hostname,
    server,
    fingerprint,
    joinSecret: secret.reveal(),
    expires: expires.toISOString(),
    address,
    way,
    command: commandLine(prepared),
  });
}

/** The preparation for a person. */
function textOf(prepared: Preparation): string {
  const { hostname, server, secret, expires } = prepared;
  return [
    `${hostname} may join ${server} until ${expires.toISOString().replace(/\.\d+/, '')}.`,
    ...waySentences(prepared),
    '',
    `On ${hostname}, as root:`,
    '',
    `  ${commandLine(prepared)}`,
    '',
    'It asks for this join secret, which works for that host alone and is shown here only:',
    '',
    `  ${secret.reveal()}`,
  ].join('\n');
}

/** What the try of the way to the host says. */
function waySentences({ hostname, address, way }: Preparation): string[] {
  const at = `${hostname} (${address}) at TCP 636`;
  if (way === 'refused') return [`The way there is open: ${at} answers that nothing listens yet.`];
  if (way === 'open')
    return [`Note: something listens on ${at} already. A host that joins must not have a directory server.`];
  return [
    `Note: ${at} does not answer (${way}). Either it is off, or a firewall is between:`,
    'replication needs TCP 636 both ways, and the new host TCP 8080 and 8443 of this server.',
  ];
}
