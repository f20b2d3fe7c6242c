import { Command, Option } from 'commander';
import type { Health } from '../../src/flow/health.ts';
import { type DeadlineValues, deadlineOptions } from '../options/deadline.ts';
import { printable } from '../options/field.ts';
import { withHost } from '../session.ts';
import { tableLines } from '../view/table.ts';

const HELP_TAIL = `
What happens: everything that makes the server on this host is looked at side by side,
and nothing is changed. Each check has a code, a severity (CRITICAL, ERROR, WARNING), a
sentence and a remedy: --list shows all of them. What a fault keeps from being looked at
is told, and is no fault of its own.

No password is asked for. The token is logged in to once, with the PIN that Dogtag keeps,
and only while it counts no wrong tries; a PIN that it refused is not tried again.

With --json the results are an array as ipa-healthcheck writes it, for the same tools.

Exit codes: 0 all is well, 1 a check found something, 2 refused, 130 interrupted.`;

/** The command `capstan health`. */
export function command(): Command {
  const health = new Command('health')
    .description('Looks whether the server on this host is healthy, and says what to do where it is not.')
    .addOption(new Option('--all', 'show also what is well').conflicts('json'))
    .option('--json', 'write the results as ipa-healthcheck does')
    .option('--failures-only', 'with --json: leave out what is well')
    .option(
      '--prometheus-file <file>',
      'write metrics to this file (*.prom) for the node exporter, and show nothing',
    )
    .option('--list', 'show every check, and look at nothing');
  return deadlineOptions(health)
    .addHelpText('after', HELP_TAIL)
    .action(async (values: Values) => {
      if (values.list) process.stdout.write(`${await catalogueText(values.json ?? false)}\n`);
      else process.exitCode = await look(values);
    });
}

interface Values extends DeadlineValues {
  all?: boolean;
  json?: boolean;
  failuresOnly?: boolean;
  prometheusFile?: string;
  list?: boolean;
}

async function look({ prometheusFile, ...values }: Values): Promise<number> {
  const { serverHealth } = await import('../../src/flow/health.ts');
  if (prometheusFile !== undefined) {
    const { requireMetricsFile, writeMetrics } = await import('../../src/flow/heartbeat.ts');
    const file = await requireMetricsFile(printable('--prometheus-file', prometheusFile));
    const health = await withHost(serverHealth, values);
    await writeMetrics(file, health);
    return exitOf(health);
  }
  const health = await withHost(serverHealth, values);
  process.stdout.write(`${await text(health, values)}\n`);
  return exitOf(health);
}

function exitOf({ results }: Health): number {
  return results.every(({ result }) => result === 'SUCCESS') ? 0 : 1;
}

async function text(health: Health, { json, failuresOnly = false, all = false }: Values): Promise<string> {
  if (json) {
    const { healthcheckResults } = await import('../../src/health/report.ts');
    return JSON.stringify(healthcheckResults(health, health.when, { failuresOnly }), undefined, 2);
  }
  const { healthText } = await import('../view/health.ts');
  return healthText(health, all);
}

async function catalogueText(json: boolean): Promise<string> {
  const { healthCatalogue } = await import('../../src/flow/health.ts');
  const checks = healthCatalogue().map(({ code, area, severity, holds, remedy }) => ({
    ...{ code, area, severity, holds, remedy },
  }));
  if (json) return JSON.stringify(checks, undefined, 2);
  return tableLines(
    checks.map(({ code, severity, holds }) => [code, severity, holds]),
    ['check', 'severity', 'what holds when all is well'],
  ).join('\n');
}
