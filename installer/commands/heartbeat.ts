import { Command } from 'commander';
import { refusal } from '../../src/errors.ts';
import type { Report } from '../../src/flow/site.ts';
import type { Host } from '../../src/host/host.ts';
import { type DeadlineValues, deadlineOptions } from '../options/deadline.ts';
import { printable } from '../options/field.ts';
import { type OutputValues, outputKindOption } from '../options/output.ts';
import { logFileOf, runSession } from '../session.ts';

const ON = 'heartbeat on';
const OFF = 'heartbeat off';

const HELP_TAIL = `
Each command explains itself: capstan heartbeat on --help`;

const ON_TAIL = `
What happens: a timer of systemd, capstan-heartbeat.timer, runs "capstan health" and
writes what it finds as metrics, where the node exporter of Prometheus reads them
(--collector.textfile.directory): how many faults each check found, how many there are of
each severity, when and how long the server was looked at, and when its certificates
expire. The file is replaced as a whole. Run again, the command sets the heartbeat anew.

"capstan heartbeat off" and "capstan uninstall" remove the timer and its metrics.

Exit codes: 0 on, 1 failed, 2 refused and nothing was changed, 130 interrupted.`;

/** The commands `capstan heartbeat on` and `off`. */
export function command(): Command {
  return new Command('heartbeat')
    .description("Has the server's health looked at every few minutes, as metrics for Prometheus.")
    .addHelpText('after', HELP_TAIL)
    .addCommand(turningOn())
    .addCommand(turningOff());
}

interface Values extends OutputValues, DeadlineValues {
  every: string;
  file?: string;
}

function turningOn(): Command {
  const on = new Command('on')
    .description('Starts the heartbeat, now and at boot.')
    .option('--every <minutes>', 'minutes between two looks, 1 to 1440', '5')
    .option(
      '--file <file>',
      'the metrics file (default: /var/lib/prometheus/node-exporter/capstan.prom, where that folder exists)',
    )
    .addOption(outputKindOption())
    .option('--log-file <file>', `where the run is logged (default: ${logFileOf(ON)})`);
  return deadlineOptions(on)
    .addHelpText('after', ON_TAIL)
    .action(async (values: Values) => {
      const request = {
        minutes: minutesOf(values.every),
        file: values.file === undefined ? undefined : printable('--file', values.file),
      };
      await run(ON, values, async (host) => {
        const { startHeartbeat } = await import('../../src/flow/heartbeat.ts');
        return startHeartbeat(host, request);
      });
    });
}

function turningOff(): Command {
  const off = new Command('off')
    .description('Ends the heartbeat, and removes it with its metrics.')
    .addOption(outputKindOption())
    .option('--log-file <file>', `where the run is logged (default: ${logFileOf(OFF)})`);
  return deadlineOptions(off).action((values: Values) =>
    run(OFF, values, async (host) => {
      const { stopHeartbeat } = await import('../../src/flow/heartbeat.ts');
      return stopHeartbeat(host);
    }),
  );
}

async function run(name: string, values: Values, work: (host: Host) => Promise<Report>): Promise<void> {
  process.exitCode = await runSession(name, values, async (session) => {
    session.view.result(await work(await session.takeHost()));
    return undefined;
  });
}

function minutesOf(text: string): number {
  const minutes = /^\d{1,4}$/.test(printable('--every', text)) ? Number(text) : 0;
  if (minutes >= 1 && minutes <= 1440) return minutes;
  throw refusal('usage', 'The minutes of --every are a whole number from 1 to 1440.', 'As in --every 5.');
}
