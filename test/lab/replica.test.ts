/**
 * A cluster of three, from password files and without a terminal: joined, proved, cut in two and healed, shrunk again.
 * Judged by the tools of 389-ds, Dogtag, NSS, OpenLDAP, curl and OpenSSL, not by Capstan's own words.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { issue } from './cluster/certificates.ts';
import {
  capstan,
  carry,
  fqdn,
  joinWords,
  ldapsearch,
  SUFFIXES,
  succeeds,
  until,
  valuesOf,
} from './cluster/hosts.ts';
import { joinSecretTests } from './cluster/join-secrets.ts';
import { leavingTests } from './cluster/leaving.ts';
import { type PeerState, peerState, replicaIds } from './cluster/peers.ts';
import { agreed, agreements, expectGood, expectReplicated, healthy, SOON } from './cluster/proofs.ts';
import { refusalTests } from './cluster/refusals.ts';
import { look, PLACES_OF_SECRETS, secretsOf } from './cluster/remains.ts';
import { troubleTests } from './cluster/trouble.ts';
import type { HostState } from './inventory.ts';
import { hsmToken, keys, tokenListing, trustFlags } from './nss.ts';
import { readyLab } from './ready.ts';
import { sampled, samplesWith, samplesWithSecret } from './sampler.ts';
import { holdersOf, removeLab, SECRETS, sh, unwell, VALUES, value } from './support.ts';

const HOSTS = ['ca1', 'ca2', 'ca3'] as const;
const MASTERS = `cn=masters,cn=ipa,cn=etc,${SUFFIXES[0]}`;
const ON_TOKEN = ['auditSigningCert', 'caSigningCert', 'ocspSigningCert', 'subsystemCert'].map(
  (name) => `${name} cert-pki-ca`,
);

let fingerprint: string;
/** What the second server knew of others before the third had joined. */
let couple: PeerState;
/** The third host before it joined. */
let blank: HostState;

beforeAll(async () => {
  await readyLab('one', { blank: ['ca2', 'ca3'] });
  const shown = await sh('ca1', 'openssl x509 -in /etc/capstan/ca.crt -noout -fingerprint -sha256');
  fingerprint = `sha256:${shown.trim().replace(/.*=/, '').replaceAll(':', '').toLowerCase()}`;
});

afterAll(removeLab);

refusalTests(() => fingerprint);

joinSecretTests();

describe('the second server, by a secret that works once', () => {
  let secret: string;

  test('is prepared for on the first', async () => {
    const { last, output } = await succeeds('ca1', ['replica-prepare', fqdn('ca2')]);
    expect(output).toContain(fingerprint);
    secret = (last as unknown as { joinSecret: string }).joinSecret;
    expect(secret.length).toBeGreaterThanOrEqual(20);
    await sh('ca2', `umask 077; cat > /root/join-secret <<'END'\n${secret}\nEND`);
  });

  test('is built without the Directory Manager’s password of the first', async () => {
    await sampled('ca1', () =>
      sampled('ca2', async () => {
        const { events } = await succeeds(
          'ca2',
          joinWords({
            '--ca-cert-file': undefined,
            '--ca-fingerprint': fingerprint,
            '--join-secret-file': '/root/join-secret',
          }),
        );
        const steps = events.filter(({ type }) => type === 'step-finished').map(({ id }) => id);
        expect(steps).toEqual(events.find(({ type }) => type === 'plan')?.steps?.map(({ id }) => id));
      }),
    );
    expect(await unwell('ca2')).toEqual([]);
    expect(await unwell('ca1')).toEqual([]);
  });

  test('replicates both suffixes both ways, over verified TLS', async () => {
    for (const [host, peer] of [
      ['ca1', 'ca2'],
      ['ca2', 'ca1'],
    ] as const) {
      const { found } = await until(SOON, () => agreements(host), healthy);
      expect(found).toEqual(agreed([peer]));
    }
    await expectReplicated(['ca1', 'ca2']);
  });

  test('issues as the first does, and both see and verify what either issues within seconds', async () => {
    const issued = await Promise.all((['ca1', 'ca2'] as const).map((host) => issue(host)));
    await expectGood(issued.flat(), ['ca1', 'ca2']);
  });

  test('no secret was in any command line or environment of either host, nor is it in any log or file', async () => {
    await sh('ca2', 'rm /root/join-secret');
    expect(await samplesWith('ca2', 'pkispawn')).toBeGreaterThan(0);
    for (const host of ['ca1', 'ca2']) {
      for (const one of SECRETS)
        expect([host, one, await samplesWithSecret(host, one)]).toEqual([host, one, 0]);
      expect([host, await samplesWith(host, secret)]).toEqual([host, 0]);
    }
    expect(await secretsOf('ca2')).toEqual(PLACES_OF_SECRETS);
    await sh('ca2', `umask 077; cat > /run/join-secret <<'END'\n${secret}\nEND`);
    await carry('ca2', '/run/join-secret', 'ca1');
    for (const host of ['ca1', 'ca2']) {
      expect([host, await holdersOf(host, '/run/join-secret')]).toEqual([host, []]);
      await sh(host, 'rm /run/join-secret');
    }
  });

  test('the secret works no more, and the server is not prepared for again', async () => {
    expect(await ldapsearch('ca1', 'o=ipaca', `'(uid=admin-${fqdn('ca2')})' dn`)).toBe('');
    expect((await capstan('ca1', ['replica-prepare', fqdn('ca2')])).exit).toBe(2);
  });
});

describe('the third server, joined to the second, gets its CA later', () => {
  test('is a directory alone at first', async () => {
    couple = await peerState('ca2');
    blank = await look('ca3');
    await succeeds('ca3', joinWords({ '--server': fqdn('ca2') }, '--no-setup-ca'));
    expect(await unwell('ca3')).toEqual([]);
    expect(await sh('ca3', 'ls -d /etc/pki/pki-tomcat 2>/dev/null || true')).toBe('');
    await expectReplicated(HOSTS, [SUFFIXES[0]]);
    expect(Object.keys(await agreements('ca3'))).toEqual([`${SUFFIXES[0]} to ${fqdn('ca2')}`]);
  });

  test('and then a CA like the others', async () => {
    const words = {
      '--ds-password-file': `${VALUES}/ds-password`,
      '--token-password-file': `${VALUES}/token-password`,
    };
    await succeeds('ca3', ['ca-add', '--unattended', ...Object.entries(words).flat()]);
    expect(await unwell('ca3')).toEqual([]);
    expect(await secretsOf('ca3')).toEqual(PLACES_OF_SECRETS);
    await expectReplicated(HOSTS);
  });
});

describe('the cluster', () => {
  test('has its keys on the token, and each internal token the key of its TLS server alone', async () => {
    const token = await hsmToken();
    for (const host of HOSTS) {
      expect([host, await keys(host, token)]).toEqual([host, ON_TOKEN]);
      expect([host, await keys(host, 'internal')]).toEqual([host, ['Server-Cert cert-pki-ca']]);
    }
    const objects = await tokenListing('ca1');
    expect(objects.match(/ Object/g)?.length).toBe(12);
  });

  // Dogtag's own CI of 11.x counts 4 certificates on the token and 3 in a clone's internal one: the CA's, the audit
  // certificate and the TLS server's. Dogtag 10.10 adds the issuer of the directory's certificate under a name of its
  // own unless it is told that of the CA.
  test('trusts the same certificates in both tokens on every host', async () => {
    const token = await hsmToken();
    for (const host of HOSTS) {
      const { 'auditSigningCert cert-pki-ca': audit, ...others } = await trustFlags(host, token);
      expect([host, others]).toEqual([
        host,
        {
          'caSigningCert cert-pki-ca': 'CTu,Cu,Cu',
          'ocspSigningCert cert-pki-ca': 'u,u,u',
          'subsystemCert cert-pki-ca': 'u,u,u',
        },
      ]);
      // The flag of peers is the NSS database's own; a clone keeps it beside the copy in its internal token.
      expect(['u,u,Pu', 'u,u,u']).toContain(audit);
      expect([host, await trustFlags(host, 'internal')]).toMatchObject([
        host,
        {
          'caSigningCert cert-pki-ca': 'CT,C,C',
          'auditSigningCert cert-pki-ca': ',,P',
          'Server-Cert cert-pki-ca': 'u,u,u',
        },
      ]);
    }
  });

  test('tells one record, one CRL generator, one renewal master, and the roles of all', async () => {
    const roles = await ldapsearch('ca3', MASTERS, "'(cn=CA)' ipaConfigString");
    expect(valuesOf(roles, 'dn').toSorted()).toEqual(
      HOSTS.map((host) => `cn=CA,cn=${fqdn(host)},${MASTERS}`),
    );
    const marks = valuesOf(roles, 'ipaConfigString');
    expect(marks.filter((mark) => mark === 'enabledService')).toHaveLength(3);
    expect(marks.filter((mark) => mark === 'caRenewalMaster')).toHaveLength(1);
    expect(marks.filter((mark) => mark === 'crlGenerator')).toHaveLength(1);
    const generators = await Promise.all(
      HOSTS.map((host) =>
        sh(host, 'sed -n s/^ca.crl.MasterCRL.enableCRLUpdates=//p /etc/pki/pki-tomcat/ca/CS.cfg'),
      ),
    );
    expect(generators).toEqual(['true\n', 'false\n', 'false\n']);
    for (const host of HOSTS) {
      expect(await sh(host, 'capstan config-show --output json')).toContain(await value('token-name'));
    }
  });

  test('is one security domain', async () => {
    for (const host of HOSTS) {
      const info = await sh(
        host,
        `curl -sS --fail --cacert /etc/capstan/ca.crt -H 'Accept: application/json' https://${fqdn(host)}:8443/ca/rest/securityDomain/domainInfo`,
      );
      const names = [...info.matchAll(/"(?:Hostname|hostname)":"([^"]+)"/g)].map(([, name]) => name);
      expect([host, [...new Set(names)].toSorted()]).toEqual([host, HOSTS.map(fqdn)]);
    }
  });

  test('tracks five certificates on every host', async () => {
    for (const host of HOSTS) {
      const listed = await sh(host, 'getcert list');
      expect([host, listed.match(/^\tstatus: MONITORING$/gm)?.length]).toEqual([host, 5]);
      expect(listed).not.toContain('ca-error');
    }
  });

  test('issues on every host at the same time, and all see and verify all within seconds', async () => {
    const issued = await Promise.all(HOSTS.map((host) => issue(host, 2)));
    const serials = issued.flat();
    expect(new Set(serials).size).toBe(6);
    await expectGood(serials, HOSTS);
  });

  test('has a replica id of its own for every server, and no two changelogs of one', async () => {
    const ids = await replicaIds('ca1');
    for (const host of ['ca2', 'ca3']) expect([host, await replicaIds(host)]).toEqual([host, ids]);
    for (const suffix of SUFFIXES) {
      const mine = ids.filter((line) => line.startsWith(`${suffix} `));
      expect(mine).toHaveLength(3);
      expect(new Set(mine.map((line) => line.split(' ')[1])).size).toBe(3);
    }
  });

  test('is told and drawn by status --all, on every host', async () => {
    for (const host of HOSTS) {
      const { last } = await succeeds(host, ['status', '--all']);
      expect(last).toMatchObject({ well: true });
      const drawn = await sh(host, 'capstan status --all', { deadline: 120 });
      for (const other of HOSTS) expect(drawn).toContain(fqdn(other));
    }
  });
});

troubleTests(HOSTS);

leavingTests(HOSTS, () => ({ couple, blank }));
