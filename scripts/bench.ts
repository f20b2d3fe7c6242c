/**
 * Measures what Capstan promises: how fast it starts, what an installation costs beyond the bare tools, and how
 * much memory it takes for itself. Exit code 1 when one is over its limit.
 *
 *   npm run bench -- [--runs N] [--part start|install]
 */
import { spawn, spawnSync } from 'node:child_process';
import { createWriteStream, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { failure } from '../src/errors.ts';
import type { Host } from '../src/host/host.ts';
import { machineName } from '../src/lab/names.ts';
import { watchMemory } from './lib/memory.ts';
import { BUNDLE, HOME, quiet, say, script, scriptHost } from './lib/task.ts';
import { makeBundle } from './package.ts';

const CAPSTAN = join(HOME, 'bin/capstan');
const FOLDER = join(HOME, 'build/bench');
const LAB = 'bench';
const FILES = '/etc/capstan/lab';
const KEY_SIZE = '3072';

const LIMITS = { startMilliseconds: 120, ratio: 1.1, megabytes: 150 };
const STARTS = 20;

const INSTALL = [
  'exec capstan server-install --unattended --output plain -r EXAMPLE.TEST -n example.test',
  `--key-size ${KEY_SIZE} --token-name "$(cat ${FILES}/token-name)" --library-path "$(cat ${FILES}/library-path)"`,
  `--token-password-file ${FILES}/token-password --ds-password-file ${FILES}/ds-password`,
  `--admin-password-file ${FILES}/admin-password`,
].join(' ');

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

/** Runs a command line on a fresh lab host with a blank token; the seconds it took. */
async function timedOnFreshHost(name: string, command: string[]): Promise<number> {
  await lab(`${name}-lab`, ['down', '--lab', LAB]);
  await lab(`${name}-lab`, ['up', '--lab', LAB, 'ca1']);
  const start = performance.now();
  await lab(name, ['exec', '--lab', LAB, 'ca1', '--', ...command]);
  return (performance.now() - start) / 1000;
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

async function measureInstall(runs: number): Promise<Finding[]> {
  const bare: string[] = ['bash', '-c', readFileSync(join(HOME, 'scripts/bare-install.sh'), 'utf8')];
  bare.push('bare-install', 'EXAMPLE.TEST', 'example.test', KEY_SIZE);
  const times = { bare: [] as number[], capstan: [] as number[] };
  const megabytes: number[] = [];
  for (let run = 1; run <= runs; run += 1) {
    times.bare.push(await timedOnFreshHost(`bare-${run}`, bare));
    say(`run ${run} of ${runs}: the bare tools took ${times.bare.at(-1)?.toFixed(1)} s`);
    const memory = watchMemory('/opt/capstan/bin/node', machineName(LAB, 'ca1'));
    times.capstan.push(await timedOnFreshHost(`capstan-${run}`, ['sh', '-c', INSTALL]).finally(memory.end));
    megabytes.push(memory.peak());
    say(
      `run ${run} of ${runs}: capstan took ${times.capstan.at(-1)?.toFixed(1)} s, ${memory.peak().toFixed(0)} MB`,
    );
  }
  await lab('lab', ['down', '--lab', LAB]);
  return [...ratioFindings(times, runs), memoryFinding(megabytes)];
}

function ratioFindings(times: { bare: number[]; capstan: number[] }, runs: number): Finding[] {
  const [bare, capstan] = [median(times.bare), median(times.capstan)];
  const spread = (all: number[]) => `${Math.min(...all).toFixed(1)} to ${Math.max(...all).toFixed(1)}`;
  const row = (what: string, middle: number, all: number[]): Finding => ({
    what: `${what}, median of ${runs}`,
    measured: `${middle.toFixed(1)} s (${spread(all)})`,
    limit: '',
    good: true,
  });
  return [
    row('the bare tools by a script', bare, times.bare),
    row('capstan server-install', capstan, times.capstan),
    {
      what: 'capstan to the bare tools',
      measured: (capstan / bare).toFixed(3),
      limit: LIMITS.ratio.toFixed(2),
      good: capstan / bare <= LIMITS.ratio,
    },
  ];
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

await script(async () => {
  const options = { runs: { type: 'string', default: '3' }, part: { type: 'string' } } as const;
  const { runs, part } = parseArgs({ options }).values;
  if (!/^[1-9]\d?$/.test(runs))
    throw failure('bench-runs', `--runs takes a number from 1 to 99, not ${runs}.`);
  const host = scriptHost();
  await makeBundle(host);
  rmSync(FOLDER, { recursive: true, force: true });
  mkdirSync(FOLDER, { recursive: true });
  const findings: Finding[] = [];
  if (part !== 'install') findings.push(await measureStart(host));
  if (part !== 'start') findings.push(...(await measureInstall(Number(runs))));
  table(findings);
  return findings.every(({ good }) => good) ? 0 : 1;
});
