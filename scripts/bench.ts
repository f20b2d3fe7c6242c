/**
 * Measures what Capstan promises: how fast it starts, what a server and its replica cost beyond the bare tools, how
 * long a cluster of two takes from nothing, how much memory Capstan takes for itself, and what a cluster of three by the
 * Ansible collection costs beyond the same commands by hand. Exit code 1 when one is over its limit.
 *
 *   npm run bench -- [--runs N] [--part start|install|replica|playbooks]
 *
 * The part install leaves out the replica, the part replica the start; unless a part is named, all is measured but the
 * playbooks, which take as long as the rest.
 */
import { spawn, spawnSync } from 'node:child_process';
import { createWriteStream, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { failure, refusal } from '../src/errors.ts';
import type { Host } from '../src/host/host.ts';
import { machineName } from '../src/lab/names.ts';
import { watchMemory } from './lib/memory.ts';
import { type ManyWay, timedCluster } from './lib/playbooks.ts';
import { BUNDLE, HOME, quiet, say, script, scriptHost } from './lib/task.ts';
import { makeBundle } from './package.ts';

const CAPSTAN = join(HOME, 'bin/capstan');
const FOLDER = join(HOME, 'build/bench');
const LAB = 'bench';
const FILES = '/etc/capstan/lab';
const KEY_SIZE = '3072';
const FIRST = 'ca1.example.test';

const LIMITS = { startMilliseconds: 120, ratio: 1.1, megabytes: 150, clusterSeconds: 360, playbooks: 1.05 };
const STARTS = 20;

/** How one server is made of a fresh host. */
interface Way {
  /** The command that makes the first server. */
  first: readonly string[];
  /** The command that makes its replica. */
  second: readonly string[];
  /** Files of the first server that its replica needs before it begins, by their paths without the first slash; carried there without being timed. */
  carried: readonly string[];
  /** The folder on the replica's host under which they are put, with their paths. */
  into: string;
}

const UNATTENDED = `--unattended --output plain --token-password-file ${FILES}/token-password`;
const INSTALL = [
  `exec capstan server-install ${UNATTENDED} -r EXAMPLE.TEST -n example.test --key-size ${KEY_SIZE}`,
  `--token-name "$(cat ${FILES}/token-name)" --library-path "$(cat ${FILES}/library-path)"`,
  `--ds-password-file ${FILES}/ds-password --admin-password-file ${FILES}/admin-password`,
].join(' ');
const REPLICA = [
  `exec capstan replica-install ${UNATTENDED} --server ${FIRST}`,
  `--ca-cert-file /root/etc/capstan/ca.crt --ds-password-file ${FILES}/ds-password`,
].join(' ');

const BARE: readonly string[] = [
  ...['bash', '-c', readFileSync(join(HOME, 'scripts/bare-install.sh'), 'utf8')],
  ...['bare-install', 'EXAMPLE.TEST', 'example.test', KEY_SIZE],
];

const WAYS: Readonly<Record<'bare' | 'capstan', Way>> = {
  bare: { first: BARE, second: [...BARE, FIRST], carried: ['etc/dirsrv/ssca', 'root/ca.crt'], into: '/' },
  // Not where it belongs: a host that has it there has a server already.
  capstan: {
    first: ['sh', '-c', INSTALL],
    second: ['sh', '-c', REPLICA],
    carried: ['etc/capstan/ca.crt'],
    into: '/root',
  },
};

/** A line of the table at the end. */
interface Finding {
  what: string;
  measured: string;
  limit: string;
  good: boolean;
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

/** The time from calling the bundle's program to its end, the first call left out: it only warms the disk cache. */
async function measureStart(host: Host): Promise<Finding> {
  await quiet(host, 'tar', ['-C', FOLDER, '-xzf', BUNDLE]);
  const program = join(FOLDER, 'capstan/bin/capstan');
  const times: number[] = [];
  for (let run = 0; run <= STARTS; run += 1) {
    const start = performance.now();
    const { status } = spawnSync(program, ['--help'], { stdio: 'ignore' });
    if (status !== 0) throw failure('bench-broken', `capstan --help ended with exit code ${status}.`);
    if (run > 0) times.push(performance.now() - start);
  }
  const middle = median(times);
  return {
    what: `capstan --help, median of ${STARTS}`,
    measured: `${middle.toFixed(0)} ms (${Math.min(...times).toFixed(0)} to ${Math.max(...times).toFixed(0)})`,
    limit: `${LIMITS.startMilliseconds} ms`,
    good: middle <= LIMITS.startMilliseconds,
  };
}

/** Seconds that a server took, its replica where one was asked for, and everything from booting the hosts. */
interface Times {
  first: number;
  second: number;
  whole: number;
}

/** Builds a server on a fresh lab host with a blank token, and its replica on another. */
async function timedOnFreshHosts(name: string, way: Way, replica: boolean): Promise<Times> {
  const hosts = replica ? ['ca1', 'ca2'] : ['ca1'];
  await lab(`${name}-lab`, ['down', '--lab', LAB]);
  const begun = performance.now();
  await lab(`${name}-lab`, ['up', '--lab', LAB, ...hosts]);
  const first = await timed(`${name}-first`, 'ca1', way.first);
  if (!replica) return { first, second: Number.NaN, whole: Number.NaN };
  await carry(way);
  const second = await timed(`${name}-second`, 'ca2', way.second);
  return { first, second, whole: (performance.now() - begun) / 1000 };
}

async function timed(name: string, host: string, command: readonly string[]): Promise<number> {
  const start = performance.now();
  await lab(name, ['exec', '--lab', LAB, host, '--', ...command]);
  return (performance.now() - start) / 1000;
}

/** Copies files of the first server to the host of its replica, as an administrator's scp would. */
async function carry({ carried, into }: Way): Promise<void> {
  const run = (host: string, words: readonly string[], input?: Buffer) => {
    const argv = ['lab', 'exec', '--lab', LAB, host, '--', ...words];
    const { status, stdout, stderr } = spawnSync(CAPSTAN, argv, { input });
    if (status !== 0) throw failure('bench-broken', `Files were not carried to the replica: ${stderr}`);
    return stdout;
  };
  const packed = run('ca1', ['tar', '-C', '/', '-cf', '-', ...carried]);
  run('ca2', ['tar', '-C', into, '-xf', '-'], packed);
}

/** Runs `capstan lab`, its output in a file. */
function lab(name: string, args: string[]): Promise<void> {
  const file = join(FOLDER, `${name}.log`);
  const log = createWriteStream(file, { flags: 'a' });
  return new Promise((resolve, reject) => {
    const child = spawn(CAPSTAN, ['lab', ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    child.stdout.pipe(log, { end: false });
    child.stderr.pipe(log, { end: false });
    child.once('error', reject);
    child.once('close', (code) => {
      log.end();
      if (code === 0) return resolve();
      const about = `capstan lab ${args[0]} for ${name} ended with exit code ${code}; its output is in ${file}.`;
      reject(failure('bench-broken', about));
    });
  });
}

async function measureInstall(runs: number, replica: boolean): Promise<Finding[]> {
  const times: Record<keyof typeof WAYS, Times[]> = { bare: [], capstan: [] };
  const megabytes: number[] = [];
  for (let run = 1; run <= runs; run += 1) {
    const tell = (what: string, { first, second }: Times, more = '') => {
      const seconds = [first, ...(replica ? [second] : [])].map((one) => `${one.toFixed(1)} s`).join(' and ');
      say(`run ${run} of ${runs}: ${what} took ${seconds}${more}`);
    };
    const bare = await timedOnFreshHosts(`bare-${run}`, WAYS.bare, replica);
    tell('the bare tools', bare);
    const watches = ['ca1', 'ca2'].map((host) =>
      watchMemory('/opt/capstan/bin/node', machineName(LAB, host)),
    );
    const capstan = await timedOnFreshHosts(`capstan-${run}`, WAYS.capstan, replica).finally(() => {
      for (const { end } of watches) end();
    });
    megabytes.push(...watches.map(({ peak }) => peak()));
    tell('capstan', capstan, `, ${Math.max(...megabytes).toFixed(0)} MB`);
    times.bare.push(bare);
    times.capstan.push(capstan);
  }
  await lab('lab', ['down', '--lab', LAB]);
  return [
    ...ratioFindings('server', times, 'first'),
    ...(replica ? [...ratioFindings('replica', times, 'second'), clusterFinding(times.capstan)] : []),
    memoryFinding(megabytes),
  ];
}

/** The medians of both ways, and what they are to each other. */
function ratioFindings(
  what: 'server' | 'replica',
  times: Readonly<Record<keyof typeof WAYS, readonly Times[]>>,
  part: 'first' | 'second',
): Finding[] {
  const [bare, capstan] = [times.bare, times.capstan].map((all) => all.map((one) => one[part]));
  const [usual, ours] = [median(bare ?? []), median(capstan ?? [])];
  return [
    timesFinding(`${what} by the bare tools`, bare),
    timesFinding(`capstan ${what}-install`, capstan),
    ratioFinding(`capstan to the bare tools, ${what}`, ours / usual, LIMITS.ratio),
  ];
}

async function measurePlaybooks(host: Host, runs: number): Promise<Finding[]> {
  const times: Record<ManyWay, number[]> = { 'by hand': [], 'by site.yml': [] };
  for (let run = 1; run <= runs; run += 1) {
    for (const way of Object.keys(times) as ManyWay[]) {
      const seconds = await timedCluster(host, LAB, way);
      times[way].push(seconds);
      say(`run ${run} of ${runs}: a cluster of three ${way} took ${seconds.toFixed(1)} s`);
    }
  }
  await lab('lab', ['down', '--lab', LAB]);
  const ratio = median(times['by site.yml']) / median(times['by hand']);
  return [
    timesFinding('cluster of three by hand', times['by hand']),
    timesFinding('cluster of three by site.yml', times['by site.yml']),
    ratioFinding('site.yml to the commands by hand', ratio, LIMITS.playbooks),
  ];
}

function timesFinding(name: string, all: readonly number[] = []): Finding {
  return {
    what: `${name}, median of ${all.length}`,
    measured: `${median(all).toFixed(1)} s (${Math.min(...all).toFixed(1)} to ${Math.max(...all).toFixed(1)})`,
    limit: '',
    good: true,
  };
}

function ratioFinding(what: string, ratio: number, limit: number): Finding {
  return { what, measured: ratio.toFixed(3), limit: limit.toFixed(2), good: ratio <= limit };
}

function clusterFinding(times: readonly Times[]): Finding {
  const longest = Math.max(...times.map(({ whole }) => whole));
  return {
    what: 'a cluster of two from nothing, the longest',
    measured: `${longest.toFixed(0)} s`,
    limit: `${LIMITS.clusterSeconds} s`,
    good: longest <= LIMITS.clusterSeconds,
  };
}

function memoryFinding(megabytes: number[]): Finding {
  const peak = Math.max(...megabytes);
  return {
    what: "peak memory of capstan's processes",
    measured: peak > 0 ? `${peak.toFixed(0)} MB` : 'no process seen',
    limit: `${LIMITS.megabytes} MB`,
    good: peak > 0 && peak <= LIMITS.megabytes,
  };
}

function table(findings: readonly Finding[]): void {
  const width = Math.max(...findings.map(({ what }) => what.length));
  const middle = Math.max(...findings.map(({ measured }) => measured.length));
  console.log('');
  for (const { what, measured, limit, good } of findings) {
    const verdict = limit === '' ? '' : `limit ${limit.padEnd(7)} ${good ? 'good' : 'OVER THE LIMIT'}`;
    console.log(`${what.padEnd(width)}  ${measured.padEnd(middle)}  ${verdict}`.trimEnd());
  }
}

const PARTS = ['start', 'install', 'replica', 'playbooks'];

await script(async () => {
  const options = { runs: { type: 'string', default: '3' }, part: { type: 'string' } } as const;
  const { runs, part } = parseArgs({ options }).values;
  if (!/^[1-9]\d?$/.test(runs))
    throw failure('bench-runs', `--runs takes a number from 1 to 99, not ${runs}.`);
  if (part !== undefined && !PARTS.includes(part)) {
    throw refusal('bench-part', `There is no part ${part}.`, `Name one of ${PARTS.join(', ')}.`);
  }
  const host = scriptHost();
  await makeBundle(host);
  rmSync(FOLDER, { recursive: true, force: true });
  mkdirSync(FOLDER, { recursive: true });
  const findings: Finding[] = [];
  if (part === undefined || part === 'start') findings.push(await measureStart(host));
  if (part === 'playbooks') findings.push(...(await measurePlaybooks(host, Number(runs))));
  else if (part !== 'start') findings.push(...(await measureInstall(Number(runs), part !== 'install')));
  table(findings);
  return findings.every(({ good }) => good) ? 0 : 1;
});
