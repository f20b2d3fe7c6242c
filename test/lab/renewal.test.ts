/**
 * Certificates of a cluster of two are renewed by certmonger, on the server that renews for all and taken over by the other.
 * Judged by certutil, pkcs11-tool, getcert, ldapsearch, curl and OpenSSL, not by Capstan's own words.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { issue } from './cluster/certificates.ts';
import {
  capstan,
  carry,
  firstServer,
  fqdn,
  joinWords,
  ldapsearch,
  succeeds,
  until,
  valuesOf,
} from './cluster/hosts.ts';
import { expectGood } from './cluster/proofs.ts';
import { hsmToken, trustFlags } from './nss.ts';
import { freshLab, removeLab, sh, unwell, VALUES, value } from './support.ts';

const HOSTS = ['ca1', 'ca2'] as const;
const SHARED = ['auditSigningCert', 'caSigningCert', 'ocspSigningCert', 'subsystemCert'].map(
  (name) => `${name} cert-pki-ca`,
);
const ALL = ['Server-Cert cert-pki-ca', ...SHARED].toSorted();
const RENEWALS = 'cn=ca_renewal,cn=ipa,cn=etc,dc=example,dc=test';
/** Seconds for a run that restarts Dogtag and the directory. */
const RENEWED = { deadline: 600 };
/** Seconds for what the service does by itself: certmonger, and one restart of Dogtag. */
const BY_ITSELF = 180;

beforeAll(async () => {
  await freshLab({ hosts: [...HOSTS] });
  await firstServer();
  await carry('ca1', '/etc/capstan/ca.crt', 'ca2', '/root/cluster-ca.crt');
  await succeeds('ca2', joinWords());
});

afterAll(removeLab);

/** The serial numbers that certmonger knows, by nickname; every request must be watched, without an error. */
async function tracked(host: string): Promise<Record<string, string>> {
  const listed = await sh(
    host,
    `c=org.fedorahosted.certmonger
     for request in $(busctl --json=short call $c /org/fedorahosted/certmonger $c get_requests | jq -r '.data[0][]'); do
       for property in cert-nickname serial status ca-error; do
         value=$(busctl --json=short get-property $c $request $c.request $property 2>/dev/null | jq -c .data)
         echo "\${value:-null}"
       done
     done | paste - - - -`,
  );
  const rows = listed
    .trim()
    .split('\n')
    .map((line) => line.split('\t').map((word) => (JSON.parse(word) ?? '') as string));
  expect([host, rows.map(([, , status, error]) => [status, error])]).toEqual([
    host,
    rows.map(() => ['MONITORING', '']),
  ]);
  return Object.fromEntries(rows.map(([nickname, serial]) => [nickname, BigInt(`0x${serial}`).toString(16)]));
}

/** What is on the token, as its tool lists it: keys and certificates, without the handles. */
async function tokenObjects(): Promise<{ keys: string[]; certificates: string[] }> {
  const listed = await sh(
    'ca1',
    `pkcs11-tool --module ${await value('library-path')} --token-label '${await value('token-name')}' --login --pin "$(cat ${VALUES}/token-password)" -O 2>/dev/null`,
  );
  const objects = listed.split(/^(?=\S)/m).map((object) => object.replaceAll(/\s+/g, ' ').trim());
  return {
    keys: objects.filter((object) => object.startsWith('Private Key')).toSorted(),
    certificates: objects.filter((object) => object.startsWith('Certificate')).toSorted(),
  };
}

/** The serial numbers of the copies of the certificates in CS.cfg, by parameter. */
async function configured(host: string): Promise<Record<string, string>> {
  const listed = await sh(
    host,
    `for name in signing ocsp_signing audit_signing subsystem sslserver; do
       serial=$(sed -n "s/^ca.$name.cert=//p" /etc/pki/pki-tomcat/ca/CS.cfg | base64 -d | openssl x509 -inform DER -noout -serial)
       echo "$name \${serial#serial=}"
     done`,
  );
  return Object.fromEntries(
    listed
      .trim()
      .split('\n')
      .map((line) => line.split(' ') as [string, string])
      .map(([name, serial]) => [name, BigInt(`0x${serial}`).toString(16)]),
  );
}

/** The same of what certmonger knows, by the names that CS.cfg has. */
function asConfigured(serials: Readonly<Record<string, string>>): Record<string, string | undefined> {
  return {
    signing: serials['caSigningCert cert-pki-ca'],
    ocsp_signing: serials['ocspSigningCert cert-pki-ca'],
    audit_signing: serials['auditSigningCert cert-pki-ca'],
    subsystem: serials['subsystemCert cert-pki-ca'],
    sslserver: serials['Server-Cert cert-pki-ca'],
  };
}

/** The serial number of the TLS certificate that a server shows. */
async function shown(host: string, port: number): Promise<string> {
  const serial = await sh(
    host,
    `openssl s_client -connect ${fqdn(host)}:${port} -CAfile /etc/capstan/ca.crt -verify_return_error </dev/null 2>/dev/null | openssl x509 -noout -serial`,
  );
  return BigInt(`0x${serial.trim().replace('serial=', '')}`).toString(16);
}

describe('the helper', () => {
  test('is the one that certmonger asks, with the profile of each certificate', async () => {
    for (const host of HOSTS) {
      expect(await sh(host, 'getcert list-cas -c capstan -v')).toMatch(/capstan renewal-helper/);
      const profiles = [...(await sh(host, 'getcert list')).matchAll(/^\tprofile: (.*)$/gm)];
      expect(profiles.map(([, profile]) => profile).toSorted()).toEqual([
        'caCACert',
        'caOCSPCert',
        'caServerCert',
        'caSignedLogCert',
        'caSubsystemCert',
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
});

describe('the renewal master', () => {
  let before: Record<string, string>;
  let after: Record<string, string>;

  test('renews nothing that is not due', async () => {
    before = await tracked('ca1');
    await succeeds('ca1', ['renew'], RENEWED);
    expect(await tracked('ca1')).toEqual(before);
    expect((await capstan('ca1', ['renew', 'ocspSigningCert cert-pki-ca'])).exit).toBe(2);
  });

  test('renews every certificate, with its key', async () => {
    const [objects, flags] = [await tokenObjects(), await trustFlags('ca1', 'internal')];
    await succeeds('ca1', ['renew', '--all', '--force'], RENEWED);
    after = await tracked('ca1');
    expect(Object.keys(after).toSorted()).toEqual(ALL);
    for (const nickname of ALL) expect(after[nickname]).not.toBe(before[nickname]);
    const now = await tokenObjects();
    const ids = (all: string[]) => all.map((one) => /ID: *(\w+)/.exec(one)?.[1]).toSorted();
    expect(ids(now.keys)).toEqual(ids(objects.keys));
    expect(now.certificates).toHaveLength(SHARED.length);
    expect(await trustFlags('ca1', 'internal')).toEqual(flags);
    expect(await trustFlags('ca1', await hsmToken())).toMatchObject({
      'caSigningCert cert-pki-ca': 'CTu,Cu,Cu',
      'auditSigningCert cert-pki-ca': 'u,u,Pu',
      'ocspSigningCert cert-pki-ca': 'u,u,u',
      'subsystemCert cert-pki-ca': 'u,u,u',
    });
    expect(await unwell('ca1')).toEqual([]);
  });

  test('has them in CS.cfg, at the user of the subsystem and in TLS', async () => {
    expect(await configured('ca1')).toEqual(asConfigured(after));
    const user = await ldapsearch(
      'ca1',
      `uid=CA-${fqdn('ca1')}-8443,ou=people,o=ipaca`,
      '-s base description',
    );
    const serial = BigInt(`0x${after['subsystemCert cert-pki-ca']}`);
    expect(valuesOf(user, 'description').some((one) => one.startsWith(`2;${serial};`))).toBe(true);
    expect(await shown('ca1', 8443)).toBe(after['Server-Cert cert-pki-ca']);
    const file = await sh('ca1', 'openssl x509 -in /etc/capstan/ca.crt -noout -serial');
    expect(BigInt(`0x${file.trim().replace('serial=', '')}`).toString(16)).toBe(
      after['caSigningCert cert-pki-ca'],
    );
  });

  test('has published what all share', async () => {
    const look = async () =>
      valuesOf(await ldapsearch('ca2', RENEWALS, "'(userCertificate=*)' cn"), 'cn').toSorted();
    expect((await until(30, look, (found) => found.length === SHARED.length)).found).toEqual(SHARED);
  });

  test('issues, signs and lets its agent in as before', async () => {
    await expectGood(await issue('ca1'), HOSTS);
  });
});

describe('the other server', () => {
  test('takes over what all share, without writing to the token, and renews its own', async () => {
    const objects = await tokenObjects();
    const before = await tracked('ca2');
    await succeeds('ca2', ['renew', '--all', '--force'], RENEWED);
    const [mine, master] = [await tracked('ca2'), await tracked('ca1')];
    for (const nickname of SHARED) expect([nickname, mine[nickname]]).toEqual([nickname, master[nickname]]);
    expect(mine['Server-Cert cert-pki-ca']).not.toBe(before['Server-Cert cert-pki-ca']);
    expect(await tokenObjects()).toEqual(objects);
    expect(await configured('ca2')).toEqual(asConfigured(mine));
    expect(await trustFlags('ca2', 'internal')).toMatchObject({
      'caSigningCert cert-pki-ca': 'CT,C,C',
      'auditSigningCert cert-pki-ca': ',,P',
      'Server-Cert cert-pki-ca': 'u,u,u',
    });
    expect(await unwell('ca2')).toEqual([]);
  });

  test('and both issue, sign, and know the certificates of each other', async () => {
    const issued = await Promise.all(HOSTS.map((host) => issue(host)));
    await expectGood(issued.flat(), HOSTS);
  });
});

describe('certmonger', () => {
  test('renews by itself, and the service puts it in place', async () => {
    const before = await tracked('ca1');
    await sh('ca1', 'getcert resubmit -i capstan-ca-ocsp-signing -w');
    const look = async () => (await configured('ca1')).ocsp_signing;
    const { found } = await until(
      BY_ITSELF,
      look,
      (serial) => serial !== before['ocspSigningCert cert-pki-ca'],
    );
    expect(found).toBe((await tracked('ca1'))['ocspSigningCert cert-pki-ca']);
    const { found: bad } = await until(
      BY_ITSELF,
      () => unwell('ca1'),
      (names) => names.length === 0,
    );
    expect(bad).toEqual([]);
  });

  test('is told to wait on the other server until it is published there', async () => {
    await sh('ca2', 'systemctl stop capstan-renewal.timer; getcert resubmit -i capstan-ca-audit-signing');
    const status = () => sh('ca2', 'getcert list -i capstan-ca-audit-signing | sed -n "s/^\\tstatus: //p"');
    const { found } = await until(60, status, (word) => word.trim() === 'CA_WORKING');
    expect(found.trim()).toBe('CA_WORKING');
    await succeeds('ca1', ['renew', 'auditSigningCert cert-pki-ca', '--force'], RENEWED);
    await sh('ca2', 'systemctl start capstan-renewal.service capstan-renewal.timer', { deadline: 300 });
    const [mine, master] = [await tracked('ca2'), await tracked('ca1')];
    expect(mine['auditSigningCert cert-pki-ca']).toBe(master['auditSigningCert cert-pki-ca']);
    expect(mine['ocspSigningCert cert-pki-ca']).toBe(master['ocspSigningCert cert-pki-ca']);
    for (const host of HOSTS) expect([host, await unwell(host)]).toEqual([host, []]);
  });
});
