/**
 * The health of real servers: each check has a test that makes its fault for real, sees exactly that check find it, and
 * takes it back. That a fault was taken back shows in the next test, which sees its own alone.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { capstan, joinWords, succeeds, until } from './cluster/hosts.ts';
import { codesOf, faultTests, findings, script, timedatectl } from './health/fault.ts';
import { CLUSTER_FAULTS, SERVER_FAULTS } from './health/faults.ts';
import { withoutCaTests } from './health/without-ca.ts';
import { readyLab } from './ready.ts';
import { sampled, samplesWith, samplesWithSecret } from './sampler.ts';
import { inHost, removeLab, SECRETS, sh, value } from './support.ts';

beforeAll(async () => {
  await readyLab('one', { blank: ['ca2'] });
  await script('ca1', timedatectl('yes'));
});

afterAll(removeLab);

test('a server has no fault', async () => {
  const found = await findings('ca1');
  expect({ codes: codesOf(found), found }).toMatchObject({ codes: [] });
});

describe('a fault is found by its check alone', () => {
  for (const [name, faults] of SERVER_FAULTS) describe(name, () => faultTests(faults));
});

describe('the look itself', () => {
  test('is quick, changes nothing, and shows no secret to anybody', async () => {
    const state = `find /etc /var/lib/capstan /var/lib/certmonger /root -xdev -type f -newer /run/before ! -name 'cert9.db*' ! -name '*.lock' | grep -v -e /dse.ldif -e /etc/capstan/lab || true`;
    await sh('ca1', 'touch /run/before; sleep 1');
    await sampled('ca1', async () => {
      const begun = performance.now();
      const { stdout } = await inHost('ca1', ['capstan', 'health', '--all'], { accept: [0, 1] });
      expect((performance.now() - begun) / 1000).toBeLessThan(15);
      expect(stdout).toMatch(/^ca1\.example\.test \(EXAMPLE\.TEST\): /);
      const secrets = await Promise.all(SECRETS.map((name) => value(name)));
      for (const secret of secrets) expect(stdout).not.toContain(secret);
    });
    expect(await samplesWith('ca1', 'certutil')).toBeGreaterThan(0);
    for (const secret of SECRETS)
      expect([secret, await samplesWithSecret('ca1', secret)]).toEqual([secret, 0]);
    expect(await sh('ca1', state)).toBe('');
  });

  test('is for root alone', async () => {
    const { stderr } = await inHost('ca1', ['runuser', '-u', 'nobody', '--', 'capstan', 'health'], {
      accept: [2],
    });
    expect(stderr).toContain('root');
  });
});

const METRICS = '/var/lib/prometheus/node-exporter/capstan.prom';

describe('the heartbeat', () => {
  test('needs a folder that the node exporter reads', async () => {
    const { exit, last } = await capstan('ca1', ['heartbeat', 'on']);
    expect({ exit, code: last.code }).toEqual({ exit: 2, code: 'metrics-folder-missing' });
    expect(await sh('ca1', 'ls /etc/systemd/system')).not.toContain('heartbeat');
  });

  test('keeps the result of a look as metrics, and tells of a fault with the next one', async () => {
    await sh('ca1', 'mkdir -p /var/lib/prometheus/node-exporter');
    await succeeds('ca1', ['heartbeat', 'on', '--every', '1']);
    const well = await sh('ca1', `cat ${METRICS}`);
    expect(well).toMatch(
      /^capstan_health_check_faults\{check="ca-signature",area="ca",severity="critical"\} 0$/m,
    );
    expect(well).toMatch(
      /^capstan_certificate_not_after_timestamp_seconds\{name="caSigningCert cert-pki-ca"\} \d{10}$/m,
    );
    expect(well.match(/^capstan_health_check_faults\{.*\} 0$/gm)?.length).toBeGreaterThan(60);
    expect(await sh('ca1', `stat -c '%a %U' ${METRICS}; ls /var/lib/prometheus/node-exporter`)).toBe(
      '644 root\ncapstan.prom\n',
    );
    await sh('ca1', 'systemctl stop certmonger');
    const { found } = await until(
      100,
      () => sh('ca1', `cat ${METRICS}`),
      (text) => /check="service-stopped".* 1$/m.test(text),
    );
    await sh('ca1', 'systemctl start certmonger');
    expect(found).toMatch(/^capstan_health_faults\{severity="critical"\} 1$/m);
    expect(await sh('ca1', 'systemctl show -p Result --value capstan-heartbeat.service')).toBe('success\n');
  });

  test('is removed with its metrics', async () => {
    await succeeds('ca1', ['heartbeat', 'off']);
    expect(
      await sh('ca1', 'ls /etc/systemd/system /etc/systemd/system/timers.target.wants 2>/dev/null || true'),
    ).not.toContain('heartbeat');
    expect(await sh('ca1', 'ls /var/lib/prometheus/node-exporter')).toBe('');
    await succeeds('ca1', ['heartbeat', 'off']);
  });
});

describe('of two servers, one of them without a CA,', () => {
  beforeAll(async () => {
    await succeeds('ca2', joinWords({}, '--no-setup-ca'));
    await script('ca2', timedatectl('yes'));
  });

  test('none has a fault', async () => {
    expect(codesOf(await findings('ca1'))).toEqual([]);
    expect(codesOf(await findings('ca2'))).toEqual([]);
  });

  withoutCaTests();

  for (const [name, faults] of CLUSTER_FAULTS) describe(name, () => faultTests(faults));

  test('the heartbeat goes with its server, of which no fault is left to tell but that there is none', async () => {
    await succeeds('ca2', ['heartbeat', 'on', '--file', '/run/capstan.prom']);
    expect(await sh('ca2', 'cat /run/capstan.prom')).toContain('check="directory-unreachable"');
    await succeeds('ca2', ['uninstall', '--unattended']);
    expect(await sh('ca2', 'ls /etc/systemd/system /run')).not.toMatch(/capstan-|capstan\.prom/);
    expect(codesOf(await findings('ca2'))).toEqual(['not-installed']);
    expect(codesOf(await findings('ca1'))).toEqual([]);
  });
});
