/** Judges what was gathered by the checks of the registry. */
import { sentenceOf } from '../errors.ts';
import {
  type CheckFacts,
  type Fault,
  type HealthCheck,
  isGate,
  type Judgement,
  SEVERITIES,
  type Severity,
} from './check.ts';
import type { FactName, Facts, Gathered, GatheredFacts } from './facts.ts';

/** What one check found: one fault, or that there is none. */
export interface Result extends CheckFacts {
  result: 'SUCCESS' | Severity;
  key: string | undefined;
  /** The sentence for a person: of the fault, or what holds. */
  message: string;
  /** Seconds that it took to know what the check needs. */
  seconds: number;
}

/** A check that was passed over. */
export interface PassedOver {
  code: string;
  /** The code of the check whose fault kept it from being made; undefined where it has nothing to look at. */
  because: string | undefined;
}

/** The health of a server. */
export interface Verdict {
  results: Result[];
  passedOver: PassedOver[];
}

/** The check that finds a fault where something cannot be looked at that has no check of its own. */
export const LOOK_FAILED: CheckFacts = {
  code: 'look-failed',
  area: 'server',
  severity: 'ERROR',
  holds: 'Everything could be looked at.',
  remedy:
    'The message names what could not be read, and why; "capstan support-bundle" collects what helps to find the cause.',
};

/** Judges what was gathered. The faults come first, the worst at the top; then what is well, in the order of the checks. */
export function judge(checks: readonly HealthCheck[], gathered: GatheredFacts): Verdict {
  const passedOver: PassedOver[] = [];
  const results: Result[] = [];
  for (const check of checks) {
    const found = isGate(check) ? throughGate(check.gate, gathered) : judged(check, gathered, checks);
    if ('because' in found) passedOver.push({ code: check.code, because: found.because });
    else results.push(...resultsOf(check, found.faults, found.seconds));
  }
  results.push(...unlooked(checks, gathered));
  return { results: results.toSorted(bySeverity), passedOver };
}

type Found = { faults: Fault[]; seconds: number } | { because: string | undefined };

function throughGate(name: FactName, gathered: GatheredFacts): Found {
  const fact = gathered[name];
  if (fact.state === 'known') return { faults: [], seconds: fact.seconds };
  if (fact.state === 'failed') return { faults: [faultOf(fact)], seconds: fact.seconds };
  return { because: fact.state === 'blocked' ? fact.by : undefined };
}

function judged({ needs, look }: Judgement, gathered: GatheredFacts, checks: readonly HealthCheck[]): Found {
  for (const name of needs) {
    const fact = gathered[name];
    if (fact.state === 'known') continue;
    if (fact.state === 'failed') return { because: gateCode(checks, name) };
    return { because: fact.state === 'blocked' ? fact.by : undefined };
  }
  const seconds = Math.max(0, ...needs.map((name) => secondsOf(gathered[name])));
  return { faults: look(valuesOf(needs, gathered)), seconds };
}

/** The code of the fault that is found when a fact cannot be gathered. */
export function gateCode(checks: readonly HealthCheck[], name: FactName): string {
  return checks.find((check) => isGate(check) && check.gate === name)?.code ?? LOOK_FAILED.code;
}

function valuesOf(needs: readonly FactName[], gathered: GatheredFacts): Facts {
  const known = needs.map((name) => [name, (gathered[name] as { value: unknown }).value]);
  return Object.fromEntries(known) as Facts;
}

function secondsOf(fact: Gathered<unknown>): number {
  return fact.state === 'known' || fact.state === 'failed' ? fact.seconds : 0;
}

function faultOf({ error }: Extract<Gathered<unknown>, { state: 'failed' }>): Fault {
  return { message: sentenceOf(error), remedy: error.next };
}

function resultsOf(check: CheckFacts, faults: readonly Fault[], seconds: number): Result[] {
  const { code, area, severity, holds, remedy } = check;
  const base = { code, area, severity, holds, remedy, seconds };
  if (faults.length === 0) return [{ ...base, result: 'SUCCESS', key: undefined, message: holds }];
  return faults.map((fault) => ({
    ...base,
    result: severity,
    key: fault.key,
    message: fault.message,
    remedy: fault.remedy ?? remedy,
  }));
}

/** What could not be looked at and has no check of its own. */
function unlooked(checks: readonly HealthCheck[], gathered: GatheredFacts): Result[] {
  const guarded = new Set(checks.filter(isGate).map(({ gate }) => gate));
  const names = (Object.keys(gathered) as FactName[]).filter((name) => !guarded.has(name));
  const faults = names.flatMap((name) => {
    const fact = gathered[name];
    return fact.state === 'failed' ? [{ ...faultOf(fact), key: name }] : [];
  });
  return resultsOf(LOOK_FAILED, faults, 0);
}

function bySeverity(one: Result, other: Result): number {
  return rank(one) - rank(other);
}

function rank({ result }: Result): number {
  return result === 'SUCCESS' ? SEVERITIES.length : SEVERITIES.indexOf(result);
}
