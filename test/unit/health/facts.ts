/** Facts for tests: what is known of a server that is well, with some of it changed. */

import { isGate } from '../../../src/health/check.ts';
import type { FactName, Facts, Gathered, GatheredFacts } from '../../../src/health/facts.ts';
import { CHECKS } from '../../../src/health/registry.ts';

/** A fact that is known. */
export function known<Value>(value: Value, seconds = 0.5): Gathered<Value> {
  return { state: 'known', value, seconds };
}

/** Everything absent but what is given. */
export function gathered(facts: { [Name in FactName]?: Gathered<Facts[Name]> }): GatheredFacts {
  const names = CHECKS.flatMap((check) => (isGate(check) ? [check.gate] : check.needs));
  const absent = Object.fromEntries(names.map((name) => [name, { state: 'absent' }]));
  return { ...absent, ...facts } as unknown as GatheredFacts;
}

/** What the check of a code finds in facts. */
export function found(code: string, facts: Partial<Facts>): string[] {
  const check = CHECKS.find((one) => one.code === code);
  if (!check || isGate(check)) throw new Error(`there is no judgement ${code}`);
  return check
    .look(facts as Facts)
    .map(({ key, message }) => (key === undefined ? message : `${key}: ${message}`));
}
