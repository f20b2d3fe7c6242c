/** The first server on a network HSM: interrupted and taken back, installed, cut off from its HSM, brought back. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { labHsm } from '../../src/lab/lab.ts';
import { changes, hostState } from './inventory.ts';
import {
  freshLab,
  holdersOf,
  inHost,
  installOptions,
  LAB,
  lastEvent,
  machine,
  removeLab,
  SECRETS,
  sh,
  unwell,
  VALUES,
  value,
} from './support.ts';

beforeAll(() => freshLab({ hosts: ['ca1'], hsm: 'network' }));
afterAll(removeLab);

const look = () => hostState((script) => sh('ca1', script, { deadline: 120 }));

test('an interrupted installation takes everything back, the objects on the token as well', async () => {
  const before = await look();
  const options = (await installOptions()).map((word) => `'${word}'`).join(' ');
  await sh(
    'ca1',
    `systemd-run --quiet --unit=install --property=StandardOutput=file:/run/events --property=KillMode=process capstan server-install --unattended --output json ${options}
     for second in $(seq 300); do test "$(pkcs11-tool --module "$(cat ${VALUES}/library-path)" --token-label "$(cat ${VALUES}/token-name)" --login --pin "$(cat ${VALUES}/token-password)" -O 2>/dev/null | grep -c 'Private Key')" = 0 || break; sleep 0.5; done
     systemctl kill --kill-who=main --signal=INT install
     for second in $(seq 240); do systemctl is-active --quiet install || break; sleep 0.5; done`,
    { deadline: 400 },
  );
  const events = await sh('ca1', 'cat /run/events; rm /run/events');
  expect(lastEvent(events)).toMatchObject({ type: 'error', exit: 130 });
  expect(events).not.toContain('"undo-failed"');
  expect(events).toContain('"step-failed","id":"certificate-authority"');
  expect(
    await sh(
      'ca1',
      'systemctl reset-failed install 2>/dev/null || true; pgrep -lx "pkispawn|java|ns-slapd" || true',
    ),
  ).toBe('');
  expect(changes(before, await look())).toEqual([]);
  for (const secret of SECRETS)
    expect([secret, await holdersOf('ca1', `${VALUES}/${secret}`)]).toEqual([secret, []]);
});

test('the CA is built on the network HSM', async () => {
  const { stdout } = await inHost(
    'ca1',
    ['capstan', 'server-install', '--unattended', '--output', 'json', ...(await installOptions())],
    { deadline: 1200 },
  );
  expect(lastEvent(stdout)).toMatchObject({ type: 'result' });
  expect(await sh('ca1', 'capstan config-show')).toContain(await value('library-path'));
  expect(await unwell()).toEqual([]);
});

/** Since when each service runs, and as which process. */
function services(): Promise<string> {
  return sh(
    'ca1',
    'systemctl show -p Id -p MainPID -p ActiveEnterTimestampMonotonic dirsrv@EXAMPLE-TEST pki-tomcatd@pki-tomcat certmonger',
  );
}

async function restart(accept: number): Promise<unknown> {
  const argv = ['capstan', 'restart', '--output', 'json'];
  const { stdout } = await inHost('ca1', argv, { accept: [accept], deadline: 400 });
  return lastEvent(stdout);
}

describe('a CA that lost its HSM, which Dogtag itself calls running', () => {
  test('is told by status, with the reason and the way back', async () => {
    await labHsm(machine, LAB, 'stop');
    expect(await sh('ca1', 'curl -s http://ca1.example.test:8080/ca/admin/ca/getStatus')).toContain(
      '<Status>running</Status>',
    );
    expect(await unwell()).toEqual([`token ${await value('token-name')}`, 'CA signature']);
    expect((await inHost('ca1', ['capstan', 'status'], { accept: [1], deadline: 200 })).stdout).toMatch(
      /1\. Bring the HSM back.*\n.*2\. "capstan restart"/,
    );
  });

  test('is not touched while the HSM is away', async () => {
    const before = await services();
    expect(await restart(2)).toMatchObject({
      type: 'error',
      code: 'preflight-failed',
      failures: [{ code: 'hsm-unavailable' }],
    });
    expect(await services()).toBe(before);
  });

  test('is not restarted with a PIN that the token refuses', async () => {
    const before = await services();
    await labHsm(machine, LAB, 'start');
    await sh(
      'ca1',
      "cp -p /etc/pki/pki-tomcat/password.conf /root/kept; sed -i 's/^hardware-.*/&-wrong/' /etc/pki/pki-tomcat/password.conf",
    );
    expect(await restart(2)).toMatchObject({ type: 'error', failures: [{ code: 'pin-incorrect' }] });
    await sh('ca1', 'mv /root/kept /etc/pki/pki-tomcat/password.conf');
    expect(await services()).toBe(before);
  });

  test('is brought back by restart, which then finds nothing to do', async () => {
    expect(await unwell()).toEqual(['CA signature']);
    expect(await restart(0)).toMatchObject({ type: 'result', title: 'The server ca1.example.test is back.' });
    expect(await unwell()).toEqual([]);
    const before = await services();
    expect(await restart(0)).toMatchObject({
      type: 'result',
      title: 'The server ca1.example.test is well; there was nothing to do.',
    });
    expect(await services()).toBe(before);
  });
});

test('restart brings back a server that was stopped, and a CA that Dogtag disabled', async () => {
  await sh(
    'ca1',
    'systemctl stop pki-tomcatd@pki-tomcat dirsrv@EXAMPLE-TEST certmonger; pki-server subsystem-disable -i pki-tomcat ca',
    { deadline: 120 },
  );
  expect(await restart(0)).toMatchObject({ type: 'result', title: 'The server ca1.example.test is back.' });
  expect(await unwell()).toEqual([]);
});
