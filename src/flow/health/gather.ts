/** Gathers facts side by side: each when what it needs is known, each with a deadline of its own. */
import { CapstanError, failure, isInterruption, sentenceOf } from '../../errors.ts';
import type { HealthCheck } from '../../health/check.ts';
import type { FactName, Facts, Gathered, GatheredFacts } from '../../health/facts.ts';
import { gateCode } from '../../health/run.ts';
import type { Host } from '../../host/host.ts';
import { within } from '../../host/wait.ts';

/** How one fact is come by. */
export interface Reader<Value, Needs extends FactName = FactName, Wants extends FactName = FactName> {
  /** What must be known first; the reader is not called where one of them is not. */
  needs: readonly Needs[];
  /** What it takes into account where it is known. */
  wants?: readonly Wants[];
  read(host: Host, known: Pick<Facts, Needs> & Partial<Pick<Facts, Wants>>): Promise<Value>;
}

/** How every fact is come by. */
export type Readers = { [Name in FactName]: Reader<Facts[Name]> };

/** A reader, whose `read` gets what it names. */
export function reader<Value, Needs extends FactName = never, Wants extends FactName = never>(
  of: Reader<Value, Needs, Wants>,
): Reader<Value> {
  return of as unknown as Reader<Value>;
}

const BLOCKED = 'look-blocked';
const ABSENT = 'look-absent';

/** What a reader throws that cannot look because of a fault that another check finds. @param code of that check */
export function blocked(code: string): CapstanError {
  return failure(BLOCKED, code);
}

/** What a reader throws where there is no such thing on this server. */
export function absent(): CapstanError {
  return failure(ABSENT, 'there is no such thing on this server');
}

/**
 * Gathers all facts. What cannot be read is no error, but told.
 * @throws CapstanError `interrupted`
 */
export async function gatherFacts(
  host: Host,
  readers: Readers,
  checks: readonly HealthCheck[],
): Promise<GatheredFacts> {
  const found = new Map<FactName, Promise<Gathered<unknown>>>();
  const gather = (name: FactName): Promise<Gathered<unknown>> => {
    const known = found.get(name);
    if (known !== undefined) return known;
    const gathered = gatherOne(host, name, readers[name] as Reader<unknown>, gather, checks);
    found.set(name, gathered);
    return gathered;
  };
  const names = Object.keys(readers) as FactName[];
  const all = await Promise.all(names.map(async (name) => [name, await gather(name)] as const));
  return Object.fromEntries(all) as unknown as GatheredFacts;
}

async function gatherOne(
  host: Host,
  name: FactName,
  { needs, wants = [], read }: Reader<unknown>,
  gather: (name: FactName) => Promise<Gathered<unknown>>,
  checks: readonly HealthCheck[],
): Promise<Gathered<unknown>> {
  const known: Record<string, unknown> = {};
  const facts = await Promise.all([...needs, ...wants].map(async (one) => [one, await gather(one)] as const));
  for (const [one, fact] of facts) {
    if (fact.state === 'known') known[one] = fact.value;
    else if (needs.includes(one))
      return fact.state === 'failed' ? { state: 'blocked', by: gateCode(checks, one) } : fact;
  }
  const begun = performance.now();
  const seconds = () => Math.round(performance.now() - begun) / 1000;
  try {
    const value = await within(host, 'health', `the look at ${name}`, (over) =>
      read(host.under(AbortSignal.any([host.signal, over])), known as never),
    );
    return { state: 'known', value, seconds: seconds() };
  } catch (error) {
    if (host.signal.aborted) throw error;
    return unknown(error, seconds());
  }
}

function unknown(error: unknown, seconds: number): Gathered<never> {
  if (!(error instanceof CapstanError))
    return { state: 'failed', error: failure('unreadable', sentenceOf(error), undefined, error), seconds };
  if (error.code === BLOCKED) return { state: 'blocked', by: error.message };
  if (error.code === ABSENT) return { state: 'absent' };
  // What was ended because another look of the same server ended the whole is none of a person's interruptions.
  return isInterruption(error)
    ? { state: 'failed', error: failure('unreadable', error.message), seconds }
    : { state: 'failed', error, seconds };
}
