/** Tests of some of the faults, others every day; `npm run faults` tries all of them. */
import { afterAll, expect, test } from 'vitest';
import { drawSample, seedOfDay } from '../../../scripts/lib/faults.ts';
import { removeLab } from '../support.ts';
import { newContext } from './catalog.ts';
import type { Fault, Outcome, UsualStep } from './fault.ts';

/** What a sample is drawn from. */
export interface Sampling {
  /** The test file, for who wants to repeat it. */
  file: string;
  draws: readonly Draw[];
  /** The steps of the flow that is struck. */
  steps: readonly UsualStep[];
}

/** A list of which some are drawn every day. */
export interface Draw {
  faults: readonly Fault[];
  /** Seconds that what is drawn takes together at most. */
  budget: number;
}

/** Registers the tests of a sample. The seed is printed, and repeats it: CAPSTAN_FAULTS_SEED=NUMBER. */
export function sampleTests({ file, draws, steps }: Sampling): void {
  const seed = Number(process.env.CAPSTAN_FAULTS_SEED ?? seedOfDay());
  const sample = draws.flatMap(({ faults, budget }) => drawSample(faults, seed, budget));
  const tooLong = draws.flatMap(({ faults, budget }) => faults.filter(({ seconds }) => seconds > budget));
  const outcomes: Outcome[] = [];
  const context = newContext(steps, undefined, {
    tell: async (outcome) => {
      outcomes.push(outcome);
    },
    say: (line) => console.log(line),
  });

  console.log(
    `Faults of seed ${seed}: ${sample.map(({ name }) => name).join(', ')}\n` +
      `Again: CAPSTAN_FAULTS_SEED=${seed} vitest run ${file}, or ` +
      `npm run faults -- ${sample.map(({ name }) => `--only ${name}`).join(' ')}\n` +
      `Never in this sample, for they take too long: ${tooLong.map(({ name }) => name).join(', ') || 'none'}`,
  );

  afterAll(removeLab);

  test.each(sample)('$name', async (fault) => {
    const known = outcomes.length;
    await fault.run(context);
    const mine = outcomes.slice(known);
    expect(mine.length).toBeGreaterThan(0);
    for (const outcome of mine) expect({ ...outcome, flaws: [] }).toEqual(outcome);
  });
}
