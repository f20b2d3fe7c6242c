/** How healthy the server on this host is: what `capstan health` asks, side by side, and changes nothing. */
import type { CheckFacts } from '../health/check.ts';
import type { Facts } from '../health/facts.ts';
import { CATALOGUE, CHECKS } from '../health/registry.ts';
import { judge, type Verdict } from '../health/run.ts';
import type { Host } from '../host/host.ts';
import { gatherFacts } from './health/gather.ts';
import { healthReaders } from './health/readers.ts';
import { requireRoot } from './site.ts';

/** The health of the server on this host. */
export interface Health extends Verdict {
  /** Undefined where there is no server, or its journal cannot be read. */
  hostname: string | undefined;
  realm: string | undefined;
  /** When the look began. */
  when: Date;
  seconds: number;
  /** When its certificates end, as far as that is known. */
  lifetimes: Facts['lifetimes'];
}

/**
 * Looks at everything, each with the deadline `health`. What is wrong, and what cannot be looked at, is told and no error.
 * @throws CapstanError `not-root`, `interrupted`
 */
export async function serverHealth(host: Host): Promise<Health> {
  requireRoot('Only root can look into the health of the server.');
  const when = new Date();
  const begun = performance.now();
  const gathered = await gatherFacts(host, healthReaders(), CHECKS);
  const { server, lifetimes } = gathered;
  return {
    ...judge(CHECKS, gathered),
    hostname: server.state === 'known' ? server.value.hostname : undefined,
    realm: server.state === 'known' ? server.value.realm : undefined,
    when,
    seconds: Math.round(performance.now() - begun) / 1000,
    lifetimes: lifetimes.state === 'known' ? lifetimes.value : [],
  };
}

/** What every check is about, without looking. */
export function healthCatalogue(): readonly CheckFacts[] {
  return CATALOGUE;
}
