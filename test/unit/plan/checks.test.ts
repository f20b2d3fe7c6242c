import { beforeEach, describe, expect, it } from 'vitest';
import { CapstanError, PreflightError, refusal } from '../../../src/errors.ts';
import { runChecks } from '../../../src/plan/run.ts';
import type { Check, PlanEvent } from '../../../src/plan/step.ts';

let told: PlanEvent[];
/** The checks that ran, in order. */
let deeds: string[];
beforeEach(() => {
  told = [];
  deeds = [];
});

const listen = (event: PlanEvent) => told.push(event);
const heard = () => told.map((event) => ('id' in event ? `${event.type} ${event.id}` : event.type));

describe('runChecks', () => {
  const check = (id: string, ...errors: unknown[]): Check => ({
    id,
    title: `Check ${id}`,
    run: async () => {
      deeds.push(id);
      if (errors.length === 1) throw errors[0];
      if (errors.length > 1) throw new PreflightError(errors as CapstanError[]);
      return id === 'fact' ? 'a fact' : undefined;
    },
  });
  const failuresOf = async (checks: Check[]) => {
    const error = await runChecks(checks, listen).then(
      () => undefined,
      (thrown: PreflightError) => thrown,
    );
    return error?.failures.map(({ code }) => code);
  };

  it('runs all in order, and tells of each', async () => {
    await runChecks([check('one'), check('fact')], listen);
    expect(deeds).toEqual(['one', 'fact']);
    expect(told).toEqual([
      { type: 'checks', total: 2 },
      { type: 'check-started', id: 'one', title: 'Check one' },
      { type: 'check-passed', id: 'one', title: 'Check one' },
      { type: 'check-started', id: 'fact', title: 'Check fact' },
      { type: 'check-passed', id: 'fact', title: 'Check fact', fact: 'a fact' },
    ]);
  });

  it('goes on after a failure, and reports all failures together', async () => {
    const checks = [
      check('root', refusal('not-root', 'No root.', 'Use sudo.')),
      check('fine'),
      check('token', refusal('pin-locked', 'Locked.'), refusal('token-occupied', 'Occupied.')),
    ];
    expect(await failuresOf(checks)).toEqual(['not-root', 'pin-locked', 'token-occupied']);
    expect(deeds).toEqual(['root', 'fine', 'token']);
    expect(told.filter(({ type }) => type === 'check-failed')).toEqual([
      expect.objectContaining({ id: 'root', code: 'not-root', message: 'No root.', next: 'Use sudo.' }),
      expect.objectContaining({ id: 'token', code: 'pin-locked' }),
      expect.objectContaining({ id: 'token', code: 'token-occupied' }),
    ]);
  });

  it('reports once what two checks found, and twice what only has the same code', async () => {
    const missing = (what: string) => refusal('dogtag-missing', `${what} is not installed.`);
    const checks = [check('one', missing('CA')), check('two', missing('CA')), check('three', missing('KRA'))];
    expect(await failuresOf(checks)).toEqual(['dogtag-missing', 'dogtag-missing']);
    expect(heard()).toContain('check-failed two');
  });

  it('reports what it does not expect as a failure, with the cause', async () => {
    const cause = new TypeError('x is undefined');
    await expect(runChecks([check('one', cause)], listen)).rejects.toMatchObject({
      failures: [expect.objectContaining({ code: 'unexpected', cause })],
    });
  });

  it('stops at an interruption, which is no finding', async () => {
    const interrupted = new CapstanError({ code: 'command-interrupted', message: 'Stopped.', exit: 130 });
    const checks = [check('one', refusal('not-root', 'No root.')), check('two', interrupted), check('three')];
    await expect(runChecks(checks, listen)).rejects.toBe(interrupted);
    expect(deeds).toEqual(['one', 'two']);
  });
});
