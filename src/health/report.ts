/** A verdict for programs that read ipa-healthcheck's output. */
import { randomUUID } from 'node:crypto';
import type { Result, Verdict } from './run.ts';

/** One result as ipa-healthcheck writes it (freeipa-healthcheck, `core/output.py`; every value of `kw` a string here). */
export interface HealthcheckResult {
  source: string;
  check: string;
  result: string;
  uuid: string;
  /** `20260102030405Z` */
  when: string;
  /** Seconds, with six decimals. */
  duration: string;
  kw: Record<string, string>;
}

/** What ipa-healthcheck would write: an array, without the checks that were passed over. */
export function healthcheckResults(
  { results }: Verdict,
  when: Date,
  { failuresOnly = false }: { failuresOnly?: boolean } = {},
): HealthcheckResult[] {
  return results
    .filter(({ result }) => !failuresOnly || result !== 'SUCCESS')
    .map((one) => ({
      source: `capstan.${one.area}`,
      check: one.code,
      result: one.result,
      uuid: randomUUID(),
      when: `${when.toISOString().replaceAll(/[-:T]|\.\d+Z$/g, '')}Z`,
      duration: one.seconds.toFixed(6),
      kw: details(one),
    }));
}

/** Of what is well, nothing is told but its name; that is how ipa-healthcheck does it. */
function details({ result, code, key, message, remedy }: Result): Record<string, string> {
  if (result === 'SUCCESS') return {};
  return { key: key ?? code, msg: message, remedy };
}
