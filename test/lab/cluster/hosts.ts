/** A cluster of several hosts: Capstan's commands on each of them, and what its directories say by OpenLDAP's tools. */
import { setTimeout as sleep } from 'node:timers/promises';
import { labPower } from '../../../src/lab/lab.ts';
import { inHost, installOptions, LAB, machine, sh, VALUES } from '../support.ts';

/** The domain's suffix and Dogtag's. */
export const SUFFIXES = ['dc=example,dc=test', 'o=ipaca'] as const;

/** Where a host that is not the first finds the cluster's CA certificate. */
export const CA_FILE = '/root/cluster-ca.crt';

/** Seconds for a server or a replica; they take 80 to 120 on one core. */
const INSTALL_DEADLINE = 1200;

/** Seconds in which the renewal service is done with what it found. */
const SERVICE_DONE = 180;

/** A host's full name. */
export function fqdn(host: string): string {
  return `${host}.example.test`;
}

/** A line of `--output json`. */
export interface ClusterEvent {
  type: string;
  id?: string;
  code?: string;
  exit?: number;
  title?: string;
  message?: string;
  next?: string;
  seconds?: number;
  failures?: { code: string; message: string; next?: string }[];
  steps?: { id: string }[];
}

/** A run of Capstan without a terminal: how it ended, its events, and all that it wrote. */
export interface ClusterRun {
  exit: number;
  events: ClusterEvent[];
  last: ClusterEvent;
  output: string;
}

/** Runs `capstan ... --output json` on a host, with nothing on its standard input. */
export async function capstan(
  host: string,
  words: readonly string[],
  { deadline = INSTALL_DEADLINE, as = [] }: { deadline?: number; as?: readonly string[] } = {},
): Promise<ClusterRun> {
  const argv = [...as, 'capstan', ...words, '--output', 'json'];
  const accept = Array.from({ length: 256 }, (_, code) => code);
  const { stdout, stderr, exitCode } = await inHost(host, argv, { accept, deadline, input: '' });
  const events = stdout
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as ClusterEvent);
  return { exit: exitCode ?? -1, events, last: events.at(-1) ?? { type: 'none' }, output: stdout + stderr };
}

/** As {@link capstan}, and fails with what it said unless it ends with 0. */
export async function succeeds(
  host: string,
  words: readonly string[],
  options: Parameters<typeof capstan>[2] = {},
): Promise<ClusterRun> {
  const run = await capstan(host, words, options);
  if (run.exit === 0) return run;
  throw new Error(`capstan ${words.join(' ')} on ${host} ended with ${run.exit}: ${run.output.slice(-3000)}`);
}

/**
 * What a run says last that is not to begin. What certmonger starts after it saved a certificate may be at work on the host
 * still; that has its turn first.
 */
export async function refusal(host: string, words: readonly string[]): Promise<ClusterEvent> {
  const isOver = ({ last }: ClusterRun) => last.code !== 'already-running';
  return (await until(SERVICE_DONE, () => capstan(host, words), isOver)).found.last;
}

/** Runs Capstan on a host, and kills it some seconds after it has told a certain thing. */
export async function killed(
  host: string,
  words: readonly string[],
  told: string,
  seconds: number,
): Promise<void> {
  const script = `capstan "$@" --output json > /run/killed.json 2>&1 & run=$!
    until grep -q -e '${told}' /run/killed.json; do kill -0 $run; sleep 0.1; done
    sleep ${seconds}; kill -9 $run`;
  await inHost(host, ['bash', '-ec', script, 'killed', ...words], { deadline: INSTALL_DEADLINE });
}

/** The first server from password files. */
export async function firstServer(): Promise<ClusterRun> {
  return succeeds('ca1', ['server-install', '--unattended', ...(await installOptions())]);
}

/** Words and values; `undefined` leaves an option out. */
export type Options = Readonly<Record<string, string | undefined>>;

/** The words of `replica-install`, with the Directory Manager's password; options replace those of the same name. */
export function joinWords(changes: Options = {}, ...more: readonly string[]): string[] {
  const options: Options = {
    '--server': fqdn('ca1'),
    '--ca-cert-file': CA_FILE,
    '--ds-password-file': `${VALUES}/ds-password`,
    '--token-password-file': `${VALUES}/token-password`,
    ...changes,
  };
  return ['replica-install', '--unattended', ...worded(options), ...more];
}

/** Options as words. */
export function worded(options: Options): string[] {
  return Object.entries(options).flatMap(([name, value]) => (value === undefined ? [] : [name, value]));
}

/** Copies a text file from one host to another. */
export async function carry(from: string, path: string, to: string, target = path): Promise<void> {
  const input = await sh(from, `cat ${path}`);
  await inHost(to, ['bash', '-ec', `umask 077; cat > ${target}`], { input });
}

const LDAPI = '-Q -Y EXTERNAL -H ldapi://%2Frun%2Fslapd-EXAMPLE-TEST.socket';

/** What ldapsearch finds on a host, as its root: LDIF without wrapped lines, entries apart by an empty line. */
export function ldapsearch(host: string, base: string, words = ''): Promise<string> {
  return sh(host, `ldapsearch -LLL -o ldif-wrap=no ${LDAPI} -b '${base}' ${words} || test $? = 32`);
}

/** Applies LDIF on a host, as its root. */
export async function ldapmodify(host: string, ldif: string): Promise<void> {
  await inHost(host, ['bash', '-ec', `ldapmodify ${LDAPI}`], { input: ldif });
}

/** The values of an attribute in LDIF. */
export function valuesOf(ldif: string, attribute: string): string[] {
  return [...ldif.matchAll(new RegExp(`^${attribute}: (.*)$`, 'gim'))].map(([, found = '']) => found);
}

/** Looks again and again until what is found is as wanted; the last that was found, and the seconds it took. */
export async function until<T>(
  seconds: number,
  look: () => Promise<T>,
  wanted: (found: T) => boolean,
): Promise<{ found: T; seconds: number }> {
  const begun = performance.now();
  const spent = () => (performance.now() - begun) / 1000;
  for (;;) {
    const found = await look();
    if (wanted(found) || spent() > seconds) return { found, seconds: spent() };
    await sleep(250);
  }
}

/** Lets packets between two hosts vanish, as a broken switch does: nobody is told, callers wait. */
export async function cut(one: string, other: string): Promise<void> {
  for (const [here, there] of [
    [one, other],
    [other, one],
  ] as const) {
    await sh(
      here,
      `ip neigh replace $(getent ahostsv4 ${fqdn(there)} | sed -n '1s/ .*//p') lladdr 02:00:00:00:00:fe dev eth0 nud permanent`,
    );
  }
}

/** Undoes {@link cut}. */
export async function heal(one: string, other: string): Promise<void> {
  for (const [here, there] of [
    [one, other],
    [other, one],
  ] as const) {
    await sh(here, `ip neigh del $(getent ahostsv4 ${fqdn(there)} | sed -n '1s/ .*//p') dev eth0`);
  }
}

/** Takes a host's power, or gives it back. */
export function power(host: string, state: 'kill' | 'off' | 'on'): Promise<void> {
  return labPower(machine, LAB, host, state);
}
