/**
 * A sample of the faults, another one every day; `npm run faults` tries them all. The seed is printed, and repeats the
 * sample: CAPSTAN_FAULTS_SEED=NUMBER.
 */
import { afterAll, expect, test } from 'vitest';
import { drawSample, seedOfDay } from '../../scripts/lib/faults.ts';
import { newContext, sampledFaults, USUAL_STEPS } from './faults/catalog.ts';
import type { Outcome } from './faults/fault.ts';
import { removeLab } from './support.ts';

/** Seconds: with the hosts that are booted it stays below 8 minutes. */
const BUDGET = 400;

const seed = Number(process.env.CAPSTAN_FAULTS_SEED ?? seedOfDay());
const sample = drawSample(sampledFaults(), seed, BUDGET);
const outcomes: Outcome[] = [];
const context = newContext(USUAL_STEPS, undefined, {
  tell: async (outcome) => {
    outcomes.push(outcome);
  },
  say: (line) => console.log(line),
});

console.log(
  `Faults of seed ${seed}: ${sample.map(({ name }) => name).join(', ')}\n` +
    `Again: CAPSTAN_FAULTS_SEED=${seed} vitest run test/lab/faults.test.ts, or ` +
    `npm run faults -- ${sample.map(({ name }) => `--only ${name}`).join(' ')}`,
);

afterAll(removeLab);

test.each(sample)('$name', async (fault) => {
  const known = outcomes.length;
  await fault.run(context);
  const mine = outcomes.slice(known);
  expect(mine.length).toBeGreaterThan(0);
  for (const outcome of mine) expect({ ...outcome, flaws: [] }).toEqual(outcome);
});
