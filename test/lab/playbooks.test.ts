/**
 * A cluster of three with KRAs by the Ansible collection: over SSH from a control host, against blank hosts that have no
 * Capstan. The third host loses its power in the middle of the first run. Judged by the tools of Dogtag, NSS and OpenLDAP.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BUNDLE } from '../../scripts/lib/task.ts';
import { drawnSecret } from '../../src/flow/replica-prepare.ts';
import { issue } from './cluster/certificates.ts';
import { cut, fqdn, heal, ldapsearch, power, SUFFIXES, until, valuesOf } from './cluster/hosts.ts';
import { expectGood } from './cluster/proofs.ts';
import { hsmToken, keyIds, keys } from './nss.ts';
import { CONTROL, Control, LOG, type Played, type Recap } from './playbooks/control.ts';
import { sampled, samplesMatching, samplesWith, samplesWithSecret } from './sampler.ts';
import { freshLab, holdersOf, inHost, LAB, machine, removeLab, SECRETS, sh, VALUES } from './support.ts';

const HOSTS = ['ca1', 'ca2', 'ca3'] as const;
const MASTERS = `cn=masters,cn=ipa,cn=etc,${SUFFIXES[0]}`;
const ON_TOKEN = [
  ...['auditSigningCert', 'caSigningCert', 'ocspSigningCert', 'subsystemCert'].map(
    (name) => `${name} cert-pki-ca`,
  ),
  ...['auditSigningCert', 'storageCert', 'transportCert'].map((name) => `${name} cert-pki-kra`),
].toSorted();
/** Seconds until pkispawn on the third host is in the middle of its work. */
const REACHED = 600;
/** What every join secret looks like, and hardly anything else does. */
const JOIN_SECRET = '([a-z2-9]{5}-){5}[a-z2-9]{5}';

const control = new Control(machine, LAB);

/** What a run came to on each host, where nothing failed anywhere. */
function recaps(played: Played, one: (recap: Recap) => unknown): unknown {
  return [played.exit, Object.fromEntries(HOSTS.map((host) => [host, one(played.recap[host] as Recap)]))];
}

function changed(played: Played): unknown {
  return recaps(played, (recap) => recap.changed > 0);
}

function onAll(value: unknown): unknown {
  return Object.fromEntries(HOSTS.map((host) => [host, value]));
}

function serialOf(host: string): Promise<string> {
  return sh(
    host,
    `certutil -L -d /etc/pki/pki-tomcat/alias -n 'Server-Cert cert-pki-ca' | grep -A1 'Serial Number'`,
  );
}

function holdersOfJoinSecret(host: string): Promise<string> {
  return sh(
    host,
    `grep -rlaE '${JOIN_SECRET}' /etc /home /root /run /srv /tmp /var || true
     journalctl -o export --all | grep -qaE '${JOIN_SECRET}' && echo journal || true`,
  );
}

beforeAll(async () => {
  await freshLab({ hosts: [CONTROL, ...HOSTS], bundle: 'none' });
  await control.prepare({ bundle: BUNDLE, hosts: HOSTS });
});

afterAll(removeLab);

describe('a cluster from one inventory', () => {
  test('is whole on the others when a host loses its power in the middle of pkispawn', async () => {
    const spawning = () =>
      inHost('ca3', ['sh', '-c', 'pgrep -f [/]usr/sbin/pkispawn && test -s /etc/pki/pki-tomcat/ca/CS.cfg'], {
        accept: [0, 1],
      });
    let played: Played | undefined;
    await sampled(CONTROL, () =>
      sampled('ca1', async () => {
        const run = control.play('site', '-vvvv');
        const { found } = await until(REACHED, spawning, ({ exitCode }) => exitCode === 0);
        expect(found.exitCode).toBe(0);
        // What has no power says no farewell to its connections either.
        await cut(CONTROL, 'ca3');
        await power('ca3', 'kill');
        played = await run;
      }),
    );
    expect(played?.exit).not.toBe(0);
    expect(played?.recap).toMatchObject({
      ca1: { failed: 0, unreachable: 0 },
      ca2: { failed: 0, unreachable: 0 },
      ca3: { unreachable: 1 },
    });
    await expectGood((await Promise.all([issue('ca1'), issue('ca2')])).flat(), ['ca1', 'ca2']);
  });

  test('is gone on with by the next run', async () => {
    await power('ca3', 'on');
    await heal(CONTROL, 'ca3');
    const told = JSON.parse(await sh('ca3', 'capstan status --brief --output json || true'));
    expect(told).toMatchObject({ unfinished: { flow: 'replica-install', removing: false } });
    let played: Played | undefined;
    await sampled('ca3', async () => {
      played = await control.play('site', '-vvvv');
    });
    expect(changed(played as Played)).toEqual([0, { ca1: false, ca2: false, ca3: true }]);
  });

  test('has three servers with a CA and a KRA each, whose keys are on the token', async () => {
    const roles = valuesOf(await ldapsearch('ca3', MASTERS, `'(|(cn=CA)(cn=KRA))' dn`), 'dn');
    const wanted = HOSTS.flatMap((host) =>
      ['CA', 'KRA'].map((role) => `cn=${role},cn=${fqdn(host)},${MASTERS}`),
    );
    expect(roles.toSorted()).toEqual(wanted.toSorted());
    const token = await hsmToken();
    for (const host of HOSTS) expect([host, await keys(host, token)]).toEqual([host, ON_TOKEN]);
    await expectGood((await Promise.all(HOSTS.map((host) => issue(host)))).flat(), HOSTS);
  });

  test('is left alone by a run that finds it whole', async () => {
    const played = await control.play('site');
    expect(recaps(played, (recap) => recap.changed)).toEqual([0, onAll(0)]);
  });
});

describe('the secrets', () => {
  test('were in no command line and environment, of the control host neither', async () => {
    expect(await samplesWith(CONTROL, 'capstan.cluster.site')).toBeGreaterThan(0);
    for (const host of ['ca1', 'ca3']) expect(await samplesWith(host, 'pkispawn')).toBeGreaterThan(0);
    for (const host of [CONTROL, 'ca1', 'ca3']) {
      for (const one of SECRETS)
        expect([host, one, await samplesWithSecret(host, one)]).toEqual([host, one, 0]);
      expect([host, await samplesMatching(host, JOIN_SECRET)]).toEqual([host, 0]);
    }
  });

  test('are not in what Ansible tells with -vvvv, a join secret neither', async () => {
    expect(drawnSecret().reveal()).toMatch(new RegExp(`^${JOIN_SECRET}$`));
    // The connection's own words, which held one once, are told.
    expect(await sh(CONTROL, `grep -c 'ESTABLISH SSH CONNECTION' ${LOG}`)).not.toBe('0\n');
    expect(await sh(CONTROL, `grep -c 'Let the host join' ${LOG}`)).not.toBe('0\n');
    expect(await holdersOfJoinSecret(CONTROL)).toBe('');
  });
});

describe('the other playbooks', () => {
  test('renew a certificate of one server, and on all of them nothing that is not due', async () => {
    const before = await serialOf('ca1');
    const asked = { capstan_renew_certificate: 'Server-Cert cert-pki-ca', capstan_renew_force: true };
    const played = await control.play('renew', '--limit', 'ipaserver', '-e', JSON.stringify(asked));
    expect([played.exit, played.recap]).toMatchObject([0, { ca1: { changed: 1, failed: 0 } }]);
    expect(await serialOf('ca1')).not.toBe(before);
    expect(changed(await control.play('renew'))).toEqual([0, onAll(false)]);
  });

  test('find the fault of one server, and fail for it', async () => {
    await sh('ca2', 'systemctl stop certmonger');
    const played = await control.play('health');
    await sh('ca2', 'systemctl start certmonger');
    expect(played.exit).not.toBe(0);
    expect(recaps(played, (recap) => recap.failed)).toEqual([played.exit, { ca1: 0, ca2: 1, ca3: 0 }]);
    expect(played.output).toContain('certmonger');
  });

  test('remove everything, and nothing more the second time', async () => {
    expect(await keyIds('ca1')).not.toBe('');
    const purge = ['-e', JSON.stringify({ capstan_purge_token: true })];
    expect(changed(await control.play('uninstall', ...purge))).toEqual([0, onAll(true)]);
    expect(await keyIds('ca1')).toBe('');
    for (const host of HOSTS) {
      const left = await sh(
        host,
        'ls -d /opt/capstan /etc/pki/pki-tomcat /etc/dirsrv/slapd-* 2>/dev/null || true',
      );
      expect([host, left]).toEqual([host, '']);
    }
    const again = await control.play('uninstall', ...purge);
    expect(recaps(again, (recap) => recap.changed)).toEqual([0, onAll(0)]);
  });

  test('leave no secret in a file or log of any host', async () => {
    const canaries = '/run/canaries';
    for (const host of [CONTROL, ...HOSTS]) {
      await sh(host, `umask 077; cat ${SECRETS.map((one) => `${VALUES}/${one}`).join(' ')} > ${canaries}`);
      expect([host, await holdersOf(host, canaries)]).toEqual([host, []]);
      expect([host, await holdersOfJoinSecret(host)]).toEqual([host, '']);
    }
  });
});
