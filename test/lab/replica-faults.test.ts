/**
 * A sample of the faults of a host that joins a cluster, another one every day; as test/lab/faults.test.ts does it for
 * the first server, with the same seed.
 */
import { afterAll, expect, test } from 'vitest';
import { drawSample, seedOfDay } from '../../scripts/lib/faults.ts';
import { newContext } from './faults/catalog.ts';
import type { Outcome } from './faults/fault.ts';
import { REPLICA_STEPS, sampledReplicaFaults } from './faults/replicas.ts';
import { removeLab } from './support.ts';

/** Seconds, without the first server, which is built once. */
const BUDGET = 200;

const seed = Number(process.env.CAPSTAN_FAULTS_SEED ?? seedOfDay());
const sample = drawSample(sampledReplicaFaults(), seed, BUDGET);
const outcomes: Outcome[] = [];
const context = newContext(REPLICA_STEPS, undefined, {
  tell: async (outcome) => {
    outcomes.push(outcome);
  },
  say: (line) => console.log(line),
});

console.log(
  `Faults of seed ${seed}: ${sample.map(({ name }) => name).join(', ')}\n` +
    `Again: CAPSTAN_FAULTS_SEED=${seed} vitest run test/lab/replica-faults.test.ts`,
);

afterAll(removeLab);

test.each(sample)('$name', async (fault) => {
  const known = outcomes.length;
  await fault.run(context);
  const mine = outcomes.slice(known);
  expect(mine.length).toBeGreaterThan(0);
  for (const outcome of mine) expect({ ...outcome, flaws: [] }).toEqual(outcome);
});
