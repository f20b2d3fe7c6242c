import { type Command, Option } from 'commander';
import { refusal, sentenceOf } from '../../src/errors.ts';
import { parseFingerprint, type TrustSource } from '../../src/flow/trust.ts';
import { parseHostname } from '../../src/names/domain.ts';
import { flawOfPath } from '../../src/names/path.ts';
import { quoted } from '../../src/names/quoted.ts';
import { type GivenPlaces, isGiven, type SecretRequest } from '../../src/secret/sources.ts';
import type { Asker } from '../prompt.ts';
import { printable, readField } from './field.ts';
import { together } from './together.ts';

/** What the options of joining leave behind. */
export interface JoinValues {
  server?: string;
  caCertFile?: string;
  caFingerprint?: string;
  joinSecret?: boolean;
  joinSecretFile?: string;
}

/** The server to join, and why it is trusted. */
export interface JoinTarget {
  server: string;
  trust: TrustSource;
}

/** Adds the options that name the server to join, what it is trusted by, and the secret to join with. */
export function joinOptions(command: Command): Command {
  return command
    .optionsGroup('Joining:')
    .option('--server <name>', 'fully qualified name of a server of the cluster that has a CA')
    .addOption(
      new Option('--ca-cert-file <file>', "the cluster's CA certificate, brought here safely").conflicts(
        'caFingerprint',
      ),
    )
    .option('--ca-fingerprint <sha256:hex>', 'or its fingerprint: the certificate is fetched and compared')
    .option('--join-secret', 'join with a secret of "capstan replica-prepare", which is asked for')
    .option('--join-secret-file <file>', 'the same, from a file; - reads standard input');
}

/**
 * The server to join and what it is trusted by, from options and answers. Without a certificate and a fingerprint a
 * person is shown the fingerprint, and compares; where nobody is there, it is refused.
 * @throws CapstanError `option-missing`, `option-unprintable`, `option-too-long`, `server-invalid`,
 *   `ca-certificate-unreadable`, `ca-fingerprint-invalid`
 */
export async function readJoinTarget(values: JoinValues, asker: Asker | undefined): Promise<JoinTarget> {
  const { server: given } = values;
  return together<JoinTarget>(
    {
      server: () =>
        readField({ option: '--server', what: 'server to join', given, parse: parseServer }, asker),
      trust: () => readTrust(values, asker),
    },
    asker !== undefined,
  );
}

function parseServer(text: string): string {
  try {
    return parseHostname(text);
  } catch (error) {
    throw refusal(
      'server-invalid',
      `${quoted(text)} cannot be the server to join (--server): ${sentenceOf(error).replace(/^.*?: /, '')}`,
      'Give the fully qualified name of a server of the cluster, such as ca1.example.test.',
    );
  }
}

function readTrust({ caCertFile, caFingerprint }: JoinValues, asker: Asker | undefined): TrustSource {
  if (caCertFile !== undefined) return { file: certificatePath(caCertFile) };
  if (caFingerprint !== undefined)
    return { fingerprint: parseFingerprint(printable('--ca-fingerprint', caFingerprint)) };
  if (asker) return { confirm: (found) => confirmCa(asker, found) };
  throw refusal(
    'option-missing',
    '--ca-fingerprint and --ca-cert-file are missing: nothing says that the server to join is what it claims to be, and nobody is there to compare.',
    'Add --ca-fingerprint sha256:..., which "capstan replica-prepare" shows on that server, or --ca-cert-file FILE.',
  );
}

function certificatePath(path: string): string {
  const flaw = flawOfPath(path);
  if (!flaw) return path;
  throw refusal(
    'ca-certificate-unreadable',
    `The file that --ca-cert-file names, ${quoted(path)}, ${flaw}.`,
    'Give the path of the CA certificate, PEM or DER.',
  );
}

/** Shows a certificate, and takes nothing for a yes but the word. */
async function confirmCa(
  asker: Asker,
  { subject, fingerprint, validTo }: { subject: string; fingerprint: string; validTo: string },
): Promise<boolean> {
  const what = [
    'this host has never seen the CA certificate that the server shows:',
    `  ${subject}, valid until ${validTo.slice(0, 10)}`,
    `  ${fingerprint}`,
    'On the server, its own is told by',
    '  openssl x509 -in /etc/capstan/ca.crt -noout -fingerprint -sha256',
    'Is it the same (yes or no)',
  ].join('\n');
  const flaw = (answer: string) => (/^(?:yes|no)$/i.test(answer.trim()) ? undefined : 'Type yes or no.');
  return /^yes$/i.test((await asker.text({ what, flaw })).trim());
}

/** The request for the join secret. */
export function joinSecret({ joinSecretFile }: JoinValues): SecretRequest {
  return { what: 'join secret', option: '--join-secret', file: joinSecretFile };
}

/** Whether the host joins with a join secret; without one it joins with the Directory Manager's password. */
export function joinsBySecret(values: JoinValues, places: GivenPlaces): boolean {
  return values.joinSecret === true || isGiven(joinSecret(values), places);
}

/** Seconds of the units of a lifetime. */
const UNITS: Readonly<Record<string, number>> = { m: 60, h: 3600, d: 86_400 };
/** Seconds: an installation takes minutes, and what lives longer than a week is no short-lived secret. */
const SHORTEST_LIFETIME = 600;
const LONGEST_LIFETIME = 604_800;

/**
 * Reads how long a join secret is good: a whole number of minutes, hours or days, `30m`, `24h`, `2d`.
 * @returns seconds
 * @throws CapstanError `lifetime-invalid`, `option-unprintable`
 */
export function parseLifetime(text: string): number {
  const [, digits = '', unit = ''] = /^(\d{1,5})([mhd])$/.exec(printable('--lifetime', text)) ?? [];
  const seconds = Number(digits) * (UNITS[unit] ?? 0);
  if (seconds >= SHORTEST_LIFETIME && seconds <= LONGEST_LIFETIME) return seconds;
  throw refusal(
    'lifetime-invalid',
    `A join secret cannot be good for ${quoted(text)}: 10 minutes to 7 days are needed.`,
    'Write it as in --lifetime 30m, --lifetime 24h or --lifetime 2d.',
  );
}
