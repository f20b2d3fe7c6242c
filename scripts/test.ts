/**
 * All tests, in the order in which they tell most for their time: check, build, bundle, unit and component
 * tests, and, only when these are good, the lab. It ends with one line that counts the tests.
 */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { sentenceOf } from '../src/errors.ts';
import type { Host } from '../src/host/host.ts';
import { closingLine, tallyOf } from './lib/results.ts';
import { HOME, handOver, NODE, say, script, scriptHost, shown, since } from './lib/task.ts';

const RESULTS = join(HOME, 'build/results');

interface Stage {
  title: string;
  /** Resolves to whether it is good. */
  run(host: Host): Promise<boolean>;
}

/** Result files of the Vitest runs so far. */
const runs: string[] = [];

const STAGES: readonly Stage[] = [
  { title: 'check the types', run: (host) => tool(host, 'tsc', ['-p', 'tsconfig.json']) },
  { title: 'check the style', run: (host) => tool(host, 'biome', ['ci', '--error-on-warnings', '.']) },
  { title: 'build and pack the bundle', run: bundle },
  { title: 'unit and component tests', run: () => vitest('quick', ['unit', 'component']) },
  { title: 'lab tests', run: () => vitest('lab', ['lab']) },
];

async function tool(host: Host, name: string, args: string[]): Promise<boolean> {
  await shown(host, NODE, [join(HOME, 'node_modules/.bin', name), ...args]);
  return true;
}

/** Loaded late: a source that does not even load is reported by the checks before it. */
async function bundle(host: Host): Promise<boolean> {
  const { makeBundle } = await import('./package.ts');
  await makeBundle(host);
  return true;
}

async function vitest(name: string, projects: string[]): Promise<boolean> {
  const results = join(RESULTS, `${name}.json`);
  runs.push(results);
  const code = await handOver(NODE, [
    join(HOME, 'node_modules/.bin/vitest'),
    'run',
    ...projects.flatMap((project) => ['--project', project]),
    ...['--reporter=verbose', '--reporter=json', `--outputFile.json=${results}`],
  ]);
  const { passed, failed } = tallyOf([results]);
  return code === 0 && failed === 0 && passed > 0;
}

async function stage(host: Host, { title, run }: Stage, number: number): Promise<boolean> {
  const start = performance.now();
  say(`${number} of ${STAGES.length}: ${title}`);
  let good = false;
  try {
    good = await run(host);
  } catch (error) {
    // What the program said is on the screen already; the first line names it.
    console.error(`[capstan] ${sentenceOf(error).split('\n')[0]}`);
  }
  say(`${number} of ${STAGES.length}: ${title}: ${good ? 'good' : 'FAILED'} (${since(start)})`);
  return good;
}

await script(async () => {
  const start = performance.now();
  const host = scriptHost();
  rmSync(RESULTS, { recursive: true, force: true });
  mkdirSync(RESULTS, { recursive: true });
  let good = true;
  for (const [index, one] of STAGES.entries()) {
    good = await stage(host, one, index + 1);
    if (!good || host.signal.aborted) break;
  }
  const tally = tallyOf(runs);
  console.log(`\nDuration: ${since(start)}`);
  console.log(closingLine(tally));
  return good && tally.failed === 0 && tally.passed > 0 ? 0 : 1;
});
