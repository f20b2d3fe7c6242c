/**
 * Strikes installations of first servers, of replicas and of KRAs in a lab in every way of the list, and prints how often each
 * was survived: whether the resumed server equals one that nothing befell, or the host the one it was before. Exit code 1
 * when one was not survived. The whole list takes about four hours.
 *
 *   npm run faults -- [--lab NAME] [--only NAME]... [--list] [--quick] [--stop] [--again] [--built]
 *
 * --only takes a name of --list, or what several begin with before a slash; --quick leaves out the undisturbed server
 * that the others are compared with; --stop ends at the first that is not survived, and leaves its lab; --again goes on
 * in the lab that --stop left, with the servers of its snapshots, and leaves it, too; --built takes the bundle that is
 * there.
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { refusal } from '../src/errors.ts';
import { faultTable } from './lib/faults.ts';
import { HOME, say, script, scriptHost, since } from './lib/task.ts';
import { makeBundle } from './package.ts';

const FOLDER = join(HOME, 'build/faults');

const OPTIONS = {
  lab: { type: 'string', default: 'faults' },
  only: { type: 'string', multiple: true },
  list: { type: 'boolean' },
  quick: { type: 'boolean' },
  stop: { type: 'boolean' },
  again: { type: 'boolean' },
  built: { type: 'boolean' },
} as const;

await script(async () => {
  const { lab, only, list, quick, stop, again, built } = parseArgs({ options: OPTIONS }).values;
  // What the lab tests share takes the lab's name from here.
  process.env.CAPSTAN_TEST_LAB = lab;
  const { allFaults, stepFaults, USUAL_STEPS } = await import('../test/lab/faults/catalog.ts');
  const { externalFaults } = await import('../test/lab/faults/external.ts');
  const { kraFaults, kraStepFaults } = await import('../test/lab/faults/kra.ts');
  const { replicaFaults, replicaStepFaults } = await import('../test/lab/faults/replicas.ts');
  const { goOn } = await import('../test/lab/faults/cluster.ts');
  const wanted = (name: string) => only?.some((one) => name === one || name.startsWith(`${one}/`)) ?? true;
  const all = [...allFaults(USUAL_STEPS), ...replicaFaults(), ...kraFaults(), ...externalFaults()];
  const faults = all.filter(({ name }) => wanted(name));
  const parts = [...stepFaults(USUAL_STEPS), ...replicaStepFaults(), ...kraStepFaults()];
  faults.push(...parts.filter(({ name }) => only?.includes(name)));
  if (list) {
    for (const { name, seconds } of faults)
      console.log(`${name.padEnd(50)} ${seconds.toFixed(0).padStart(5)} s`);
    return 0;
  }
  if (faults.length === 0) {
    throw refusal('fault-unknown', `There is no fault ${only?.join(', ')}.`, 'Look at them with --list.');
  }
  const start = performance.now();
  if (!built) await makeBundle(scriptHost());
  rmSync(FOLDER, { recursive: true, force: true });
  mkdirSync(FOLDER, { recursive: true });
  if (again) goOn();
  const { strikeAll } = await import('../test/lab/faults/strike.ts');
  const outcomes = await strikeAll(faults, {
    reference: !quick,
    stop: stop ?? false,
    leave: again ?? false,
    say,
    keepEvidence: (name, evidence) => writeFileSync(join(FOLDER, `${name}.tar`), evidence),
  });
  writeFileSync(join(FOLDER, 'outcomes.json'), `${JSON.stringify(outcomes, undefined, 2)}\n`);
  console.log('');
  for (const line of faultTable(outcomes)) console.log(line);
  console.log('');
  say(`done (${since(start)}); the details are in build/faults/outcomes.json`);
  return outcomes.length > 0 && outcomes.every(({ flaws }) => flaws.length === 0) ? 0 : 1;
});
