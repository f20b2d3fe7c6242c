/** A verdict as metrics for Prometheus, in the text format that the node exporter reads from files. */
import { type CheckFacts, SEVERITIES } from './check.ts';
import type { Verdict } from './run.ts';

/** What the metrics tell besides the verdict. */
export interface Measured extends Verdict {
  when: Date;
  seconds: number;
  lifetimes: readonly { name: string; expires: Date }[];
}

/**
 * The text of a metrics file (Prometheus, "Text-based format", 0.0.4). A check that was passed over has no sample; the
 * names of what is wrong are not labels, so that no label has values without end.
 * @param catalogue every check that there is
 */
export function metricsText(measured: Measured, catalogue: readonly CheckFacts[]): string {
  const { results, passedOver, when, seconds, lifetimes } = measured;
  const faults = (code: string) =>
    results.filter((one) => one.code === code && one.result !== 'SUCCESS').length;
  const looked = catalogue.filter(({ code }) => results.some((one) => one.code === code));
  const families: [name: string, help: string, samples: [labels: Labels, value: number][]][] = [
    [
      'capstan_health_check_faults',
      'What a check of the server found: 0 where all is well.',
      looked.map(({ code, area, severity }) => [
        { check: code, area, severity: severity.toLowerCase() },
        faults(code),
      ]),
    ],
    [
      'capstan_health_faults',
      'What all checks found, by severity.',
      SEVERITIES.map((severity) => [
        { severity: severity.toLowerCase() },
        results.filter(({ result }) => result === severity).length,
      ]),
    ],
    [
      'capstan_health_checks_passed_over',
      'Checks that could not be made, because of what others found.',
      [[{}, passedOver.filter(({ because }) => because !== undefined).length]],
    ],
    [
      'capstan_health_last_run_timestamp_seconds',
      'When the server was looked at last.',
      [[{}, Math.floor(when.getTime() / 1000)]],
    ],
    ['capstan_health_duration_seconds', 'How long the look took.', [[{}, seconds]]],
    [
      'capstan_certificate_not_after_timestamp_seconds',
      'When a certificate of the server expires.',
      lifetimes.map(({ name, expires }) => [{ name }, Math.floor(expires.getTime() / 1000)]),
    ],
  ];
  return families.map(([name, help, samples]) => familyText(name, help, samples)).join('');
}

type Labels = Readonly<Record<string, string>>;

function familyText(name: string, help: string, samples: readonly [labels: Labels, value: number][]): string {
  if (samples.length === 0) return '';
  const lines = samples.map(([labels, value]) => `${name}${labelText(labels)} ${value}`);
  return [`# HELP ${name} ${help}`, `# TYPE ${name} gauge`, ...lines, ''].join('\n');
}

function labelText(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escaped(value)}"`);
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

function escaped(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}
