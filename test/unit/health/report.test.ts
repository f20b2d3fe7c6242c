import { describe, expect, test } from 'vitest';
import { healthText } from '../../../installer/view/health.ts';
import { metricsText } from '../../../src/health/metrics.ts';
import { CATALOGUE, CHECKS } from '../../../src/health/registry.ts';
import { healthcheckResults } from '../../../src/health/report.ts';
import { judge } from '../../../src/health/run.ts';
import { gathered, known } from './facts.ts';

const WHEN = new Date('2026-01-02T03:04:05.678Z');
const verdict = judge(
  CHECKS,
  gathered({
    memory: known(1024, 0.25),
    leftovers: known(['/run/capstan-1-a', '/run/capstan-2-\u001b[31mb']),
    ldaps: { state: 'blocked', by: 'directory-unreachable' },
  }),
);

describe('healthcheckResults', () => {
  test('are in the shape of ipa-healthcheck', () => {
    const results = healthcheckResults(verdict, WHEN);
    expect(results).toHaveLength(4);
    expect(results[0]).toEqual({
      source: 'capstan.server',
      check: 'leftovers',
      result: 'WARNING',
      uuid: expect.stringMatching(/^[0-9a-f-]{36}$/),
      when: '20260102030405Z',
      duration: '0.500000',
      kw: {
        key: '/run/capstan-1-a',
        msg: 'A run that was killed has left /run/capstan-1-a behind.',
        remedy: expect.stringContaining('Remove'),
      },
    });
    expect(results.at(-1)).toMatchObject({ check: 'look-failed', result: 'SUCCESS', kw: {} });
    expect(new Set(results.map(({ uuid }) => uuid)).size).toBe(4);
  });

  test('can be the faults alone', () => {
    expect(healthcheckResults(verdict, WHEN, { failuresOnly: true }).map(({ result }) => result)).toEqual([
      'WARNING',
      'WARNING',
      'WARNING',
    ]);
  });
});

describe('metricsText', () => {
  const expires = new Date('2028-01-01T00:00:00Z');
  const lifetimes = [{ name: 'a "quoted" \\ name', expires }];
  const text = metricsText({ ...verdict, when: WHEN, seconds: 1.5, lifetimes }, CATALOGUE);

  test('is in the text format of Prometheus', () => {
    for (const line of text.trimEnd().split('\n')) {
      expect(line).toMatch(
        /^(?:# (?:HELP|TYPE) [a-z_]+ .+|[a-z_]+(?:\{[a-z]+="(?:[^"\\]|\\.)*"(?:,[a-z]+="(?:[^"\\]|\\.)*")*\})? [\d.]+)$/,
      );
    }
    expect(text.endsWith('\n')).toBe(true);
  });

  test('counts faults by check and severity; what was not looked at has no sample', () => {
    expect(text).toContain(
      'capstan_health_check_faults{check="leftovers",area="server",severity="warning"} 2\n',
    );
    expect(text).toContain(
      'capstan_health_check_faults{check="memory-low",area="host",severity="warning"} 1\n',
    );
    expect(text).toContain(
      'capstan_health_check_faults{check="look-failed",area="server",severity="error"} 0\n',
    );
    expect(text).not.toContain('check="disk-full"');
    expect(text).toContain('capstan_health_faults{severity="warning"} 3\n');
    expect(text).toContain('capstan_health_faults{severity="critical"} 0\n');
    expect(text).toContain('capstan_health_checks_passed_over 1\n');
    expect(text).toContain('capstan_health_last_run_timestamp_seconds 1767323045\n');
    expect(text).toContain(
      'capstan_certificate_not_after_timestamp_seconds{name="a \\"quoted\\" \\\\ name"} 1830297600\n',
    );
  });
});

describe('healthText', () => {
  const health = {
    ...verdict,
    hostname: 'ca1.example.test',
    realm: 'EXAMPLE.TEST',
    when: WHEN,
    seconds: 1.5,
    lifetimes: [],
  };

  test('tells what is wrong, what to do, and what was passed over', () => {
    expect(healthText(health)).toBe(
      [
        'ca1.example.test (EXAMPLE.TEST): 3 faults (3 checks, 1 could not be made, 1.5 s)',
        '',
        'WARNING leftovers',
        '  A run that was killed has left /run/capstan-1-a behind.',
        '  Remove what is named; a folder under /run or /dev/shm may hold a password.',
        '',
        'WARNING leftovers',
        '  A run that was killed has left /run/capstan-2-b behind.',
        '  Remove what is named; a folder under /run or /dev/shm may hold a password.',
        '',
        'WARNING memory-low',
        '  Only 0 MiB of memory are left on this host.',
        '  Give the host more memory, or end what else runs on it.',
        '',
        'Not looked at because of directory-unreachable: directory-certificate',
      ].join('\n'),
    );
  });

  test('tells with --all what is well, and what there is not', () => {
    const text = healthText(health, true);
    expect(text).toContain('ok  look-failed  Everything could be looked at.');
    expect(text).toMatch(/^Nothing to look at on this server: .*ca-status/m);
  });

  test('one line is enough where all is well', () => {
    const well = { ...health, ...judge(CHECKS, gathered({ leftovers: known([]) })) };
    expect(healthText(well)).toBe('ca1.example.test (EXAMPLE.TEST): all is well (2 checks, 1.5 s)');
    expect(healthText({ ...well, hostname: undefined })).toMatch(/^This host: all is well/);
  });
});
