import type { Health } from '../../src/flow/health.ts';
import type { PassedOver, Result } from '../../src/health/run.ts';
import { tableLines } from './table.ts';
import { cleanLine, duration } from './text.ts';

/** The health of a server for a person: what is wrong first, then what could not be looked at, then, if asked, the rest. */
export function healthText(health: Health, all = false): string {
  const faults = health.results.filter(({ result }) => result !== 'SUCCESS');
  const well = health.results.filter(({ result }) => result === 'SUCCESS');
  return [
    cleanLine(headline(health, faults.length)),
    ...faults.flatMap(faultLines),
    ...passedOverLines(health.passedOver, all),
    ...(all ? ['', ...tableLines(well.map(({ code, message }) => ['ok', code, cleanLine(message)]))] : []),
  ].join('\n');
}

function headline({ hostname, realm, results, passedOver, seconds }: Health, faults: number): string {
  const who = hostname === undefined ? 'This host' : `${hostname} (${realm})`;
  const looked = new Set(results.map(({ code }) => code)).size;
  const kept = passedOver.filter(({ because }) => because !== undefined).length;
  const found = faults === 0 ? 'all is well' : `${faults} ${faults === 1 ? 'fault' : 'faults'}`;
  const rest = kept === 0 ? '' : `, ${kept} could not be made`;
  return `${who}: ${found} (${looked} checks${rest}, ${duration(seconds)})`;
}

function faultLines({ result, code, message, remedy }: Result): string[] {
  return ['', `${result} ${code}`, `  ${cleanLine(message)}`, `  ${cleanLine(remedy)}`];
}

function passedOverLines(passedOver: readonly PassedOver[], all: boolean): string[] {
  const causes = Map.groupBy(
    passedOver.filter(({ because }) => because !== undefined),
    ({ because }) => because,
  );
  const lines = [...causes].map(
    ([cause, checks]) => `Not looked at because of ${cause}: ${checks.map(({ code }) => code).join(', ')}`,
  );
  const nothing = passedOver.filter(({ because }) => because === undefined).map(({ code }) => code);
  const shown =
    all && nothing.length > 0
      ? [...lines, `Nothing to look at on this server: ${nothing.join(', ')}`]
      : lines;
  return shown.length > 0 ? ['', ...shown] : [];
}
