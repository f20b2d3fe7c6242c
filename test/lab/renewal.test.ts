/**
 * The system certificates of a cluster of two with key recovery are renewed by certmonger by itself, on the server that
 * renews for all and taken over by the other; and again on the other one when the first is lost. Judged by certutil,
 * pkcs11-tool, getcert, ldapsearch, curl, OpenSSL, AuditVerify and Dogtag's client, not by Capstan's own words.
 */
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { issue } from './cluster/certificates.ts';
import { capstan, fqdn, ldapsearch, power, succeeds, until, valuesOf } from './cluster/hosts.ts';
import { expectGood, SOON } from './cluster/proofs.ts';
import { archive, enrolArchived, makeClient, publicKeyOf, recover } from './cluster/recovery.ts';
import {
  ALL,
  approachEnd,
  auditSignatures,
  configured,
  isRenewed,
  OWN,
  responder,
  SHARED,
  serialOf,
  signAuditLogs,
  tokenObjects,
  tracked,
  usualEnd,
  type Words,
} from './cluster/renewals.ts';
import { codesOf, findings } from './health/fault.ts';
import { hsmToken, trustFlags } from './nss.ts';
import { readyLab } from './ready.ts';
import { sampled, samplesWith, samplesWithSecret } from './sampler.ts';
import { holdersOf, removeLab, SECRETS, sh, unwell, VALUES } from './support.ts';

const HOSTS = ['ca1', 'ca2'] as const;
const RENEWALS = 'cn=ca_renewal,cn=ipa,cn=etc,dc=example,dc=test';
/** Seconds for a run that restarts Dogtag and the directory. */
const RENEWED = { deadline: 600 };
/** Seconds for what happens by itself: eight renewals, and one or two restarts of Dogtag. */
const BY_ITSELF = 600;

/** What was archived before anything was renewed, and its key id. */
const OLD_SECRET = randomBytes(200).toString('base64');
let oldId: string;
let begin: { serials: Words; keys: Words };

beforeAll(async () => {
  await readyLab('two-kra');
  for (const host of HOSTS) await makeClient(host);
  oldId = await archive('ca1', 'before', OLD_SECRET);
  begin = await configured('ca1');
});

afterAll(removeLab);

/** The serial number of the TLS certificate that a server shows. */
async function shown(host: string, port: number): Promise<string> {
  return serialOf(
    await sh(
      host,
      `openssl s_client -connect ${fqdn(host)}:${port} -CAfile /etc/capstan/ca.crt -verify_return_error </dev/null 2>/dev/null | openssl x509 -noout -serial`,
    ),
  );
}

/** When the certificate of the CA ends that a host trusts, in seconds. */
async function authorityEnd(host: string): Promise<number> {
  const read = `date -d "$(openssl x509 -in /etc/capstan/ca.crt -noout -enddate | cut -d= -f2)" +%s`;
  return Number(await sh(host, read));
}

/** Whether a server takes over what another has renewed, in some of the runs that its timer makes every hour. */
async function followed(host: string, before: Words): Promise<boolean> {
  for (let run = 1; run <= 4; run += 1) {
    await sh(host, 'systemctl start --no-block capstan-renewal.service');
    const { found } = await until(BY_ITSELF / 4, () => isRenewed(host, before), Boolean);
    if (found) return true;
  }
  return false;
}

/** What is archived through one server is recovered through another, with keys that the CA passes on as well. */
async function expectRecovery(one: string, other: string, uid: string): Promise<void> {
  const secret = randomBytes(500).toString('base64');
  const id = await archive(one, `${uid}-secret`, secret);
  const later = (key: string) => () => recover(other, key).catch(String);
  const { found } = await until(SOON, later(id), (got) => got === secret);
  expect(found).toBe(secret);
  const passed = await enrolArchived(one, uid);
  const { found: key } = await until(SOON, later(passed.id), (got) => !got.includes(' '));
  expect(await publicKeyOf(other, key)).toBe(passed.publicKey);
}

describe('the helper', () => {
  test('is the one that certmonger asks, with the profile of each certificate', async () => {
    for (const host of HOSTS) {
      expect(await sh(host, 'getcert list-cas -c capstan -v')).toMatch(/capstan renewal-helper/);
      const profiles = [...(await sh(host, 'getcert list')).matchAll(/^\tprofile: (.*)$/gm)];
      expect(profiles.map(([, profile]) => profile).toSorted()).toEqual([
        'caAuditSigningCert',
        'caCACert',
        'caOCSPCert',
        'caServerCert',
        'caSignedLogCert',
        'caStorageCert',
        'caSubsystemCert',
        'caTransportCert',
      ]);
    }
  });

  // The quickest of nine: the others tell how busy the machine is.
  test('starts within 200 ms and 80 MB', async () => {
    const measured = await sh(
      'ca1',
      `python3 - <<'END'
import os, resource, subprocess, time
environment = dict(os.environ, CERTMONGER_OPERATION='IDENTIFY')
times = []
for _ in range(9):
    begun = time.monotonic()
    subprocess.run(['capstan', 'renewal-helper'], env=environment, check=True, stdout=subprocess.DEVNULL)
    times.append(time.monotonic() - begun)
print(min(times), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)
END`,
    );
    const [seconds = 9, megabytes = 999] = measured.trim().split(' ').map(Number);
    expect(seconds).toBeLessThan(0.2);
    expect(megabytes).toBeLessThan(80);
  });

  test('nothing is renewed that is not due', async () => {
    const before = await tracked('ca1');
    await succeeds('ca1', ['renew'], RENEWED);
    expect(await tracked('ca1')).toEqual(before);
    expect((await capstan('ca1', ['renew', 'ocspSigningCert cert-pki-ca'])).exit).toBe(2);
  });
});

describe('when their end comes near, certmonger by itself', () => {
  let objects: Awaited<ReturnType<typeof tokenObjects>>;
  let flags: Words[];
  let end: number;

  test('renews all on the renewal master, and the other server takes over what all share', async () => {
    objects = await tokenObjects('ca1');
    flags = [await trustFlags('ca1', 'internal'), await trustFlags('ca2', 'internal')];
    end = await authorityEnd('ca1');
    const before = { ca1: await tracked('ca1'), ca2: await tracked('ca2') };
    const renewed = async (host: 'ca1' | 'ca2') =>
      (await until(BY_ITSELF, () => isRenewed(host, before[host]), Boolean)).found;
    for (const host of HOSTS) await signAuditLogs(host);
    await sampled('ca1', () =>
      sampled('ca2', async () => {
        for (const host of HOSTS) await approachEnd(host);
        expect(await renewed('ca1')).toBe(true);
        for (const host of HOSTS) await usualEnd(host);
        expect(await followed('ca2', before.ca2)).toBe(true);
      }),
    );
    const [master, other] = [await tracked('ca1'), await tracked('ca2')];
    expect(Object.keys(master).toSorted()).toEqual(ALL);
    expect(Object.keys(other).toSorted()).toEqual(ALL);
    for (const nickname of SHARED) expect([nickname, other[nickname]]).toEqual([nickname, master[nickname]]);
    expect(other[OWN]).not.toBe(master[OWN]);
  });

  test('with the keys that they had, each once on the token, and with the flags that they had', async () => {
    const now = await tokenObjects('ca1');
    expect(now.keys).toEqual(objects.keys);
    expect(now.certificates).toHaveLength(objects.certificates.length);
    const found = [await trustFlags('ca1', 'internal'), await trustFlags('ca2', 'internal')];
    expect(found).toEqual(flags);
    expect(await trustFlags('ca1', await hsmToken())).toMatchObject({
      'caSigningCert cert-pki-ca': 'CTu,Cu,Cu',
      'auditSigningCert cert-pki-ca': 'u,u,Pu',
      'ocspSigningCert cert-pki-ca': 'u,u,u',
      'subsystemCert cert-pki-ca': 'u,u,u',
      'auditSigningCert cert-pki-kra': 'u,u,Pu',
      'storageCert cert-pki-kra': 'u,u,u',
      'transportCert cert-pki-kra': 'u,u,u',
    });
  });

  test('and they are in CS.cfg, at the users of Dogtag, in TLS, and published', async () => {
    for (const host of HOSTS) {
      const mine = await tracked(host);
      const { serials, keys } = await configured(host);
      expect([host, serials]).toEqual([host, mine]);
      const shared = (words: Words) => SHARED.map((nickname) => words[nickname]);
      expect([host, shared(keys)]).toEqual([host, shared(begin.keys)]);
      const user = await ldapsearch(host, 'uid=pkidbuser,ou=people,o=ipaca', '-s base description');
      const subsystem = BigInt(`0x${mine['subsystemCert cert-pki-ca']}`);
      expect(valuesOf(user, 'description').some((one) => one.startsWith(`2;${subsystem};`))).toBe(true);
      expect(await shown(host, 8443)).toBe(mine[OWN]);
      const file = await sh(host, 'openssl x509 -in /etc/capstan/ca.crt -noout -serial');
      expect(serialOf(file)).toBe(mine['caSigningCert cert-pki-ca']);
      expect(await authorityEnd(host)).toBeGreaterThan(end);
      const published = valuesOf(await ldapsearch(host, RENEWALS, "'(userCertificate=*)' cn"), 'cn');
      expect(published.toSorted()).toEqual(SHARED);
    }
  });

  test('and no secret was in any command line or environment, nor is it in any other file', async () => {
    for (const host of HOSTS) {
      expect(await samplesWith(host, 'renewal-helper')).toBeGreaterThan(0);
      for (const secret of SECRETS)
        expect([host, secret, await samplesWithSecret(host, secret)]).toEqual([host, secret, 0]);
      expect([host, await holdersOf(host, `${VALUES}/token-password`)]).toEqual([
        host,
        ['/etc/pki/pki-tomcat/password.conf', '/var/lib/certmonger/requests'],
      ]);
    }
  });
});

describe('with renewed certificates', () => {
  test('both servers are well', async () => {
    for (const host of HOSTS) {
      const { found } = await until(
        60,
        () => unwell(host),
        (names) => names.length === 0,
      );
      expect([host, found]).toEqual([host, []]);
      const codes = codesOf(await findings(host)).filter((code) => code !== 'clock-unsynchronised');
      expect([host, codes]).toEqual([host, []]);
    }
  });

  test('both issue, and answer OCSP queries with the renewed certificate', async () => {
    const issued = (await Promise.all(HOSTS.map((host) => issue(host)))).flat();
    await expectGood(issued, HOSTS);
    for (const host of HOSTS)
      expect([host, await responder(host)]).toEqual([
        host,
        (await tracked(host))['ocspSigningCert cert-pki-ca'],
      ]);
  });

  test('what was archived before is recovered, and what is archived on one server on the other', async () => {
    for (const host of HOSTS) expect([host, await recover(host, oldId)]).toEqual([host, OLD_SECRET]);
    await expectRecovery('ca1', 'ca2', 'afterwards');
  });

  test('the audit logs of both subsystems are signed, and verify with the renewed certificate', async () => {
    for (const host of HOSTS) {
      for (const subsystem of ['ca', 'kra'] as const) {
        const { valid, invalid } = await auditSignatures(host, subsystem);
        expect([host, subsystem, invalid]).toEqual([host, subsystem, 0]);
        expect(valid).toBeGreaterThan(0);
      }
    }
  });
});

describe('when the renewal master is lost', () => {
  test('its role is moved, and the other server renews all', async () => {
    const before = await tracked('ca2');
    const objects = await tokenObjects('ca2');
    await power('ca1', 'kill');
    // While the timer's run is at work, others would be refused.
    await sh('ca2', 'systemctl stop capstan-renewal.timer capstan-renewal.service', RENEWED);
    await succeeds('ca2', ['role', 'move', 'renewal-master', 'ca2']);
    await succeeds('ca2', ['role', 'move', 'crl', 'ca2', '--force'], RENEWED);
    await succeeds('ca2', ['topology', 'forget', fqdn('ca1')], RENEWED);
    await succeeds('ca2', ['renew', '--all', '--force'], RENEWED);
    const after = await tracked('ca2');
    expect(Object.keys(after).toSorted()).toEqual(ALL);
    for (const nickname of ALL) expect([nickname, after[nickname]]).not.toEqual([nickname, before[nickname]]);
    expect((await tokenObjects('ca2')).keys).toEqual(objects.keys);
    const { serials, keys } = await configured('ca2');
    expect(serials).toEqual(after);
    for (const nickname of SHARED)
      expect([nickname, keys[nickname]]).toEqual([nickname, begin.keys[nickname]]);
  });

  test('and issues, answers, recovers and signs its logs as before', async () => {
    await sh('ca2', 'systemctl start capstan-renewal.timer');
    expect(await unwell('ca2')).toEqual([]);
    await expectGood(await issue('ca2'), ['ca2']);
    expect(await responder('ca2')).toBe((await tracked('ca2'))['ocspSigningCert cert-pki-ca']);
    expect(await recover('ca2', oldId)).toBe(OLD_SECRET);
    await expectRecovery('ca2', 'ca2', 'alone');
    const { valid, invalid } = await auditSignatures('ca2', 'ca');
    expect(invalid).toBe(0);
    expect(valid).toBeGreaterThan(0);
  });
});
