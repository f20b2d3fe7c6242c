/**
 * A cluster of three, from password files and without a terminal: joined, proved, cut in two and healed, shrunk again.
 * Judged by the tools of 389-ds, Dogtag, NSS, OpenLDAP, curl and OpenSSL, not by Capstan's own words.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { issue, verdict } from './cluster/certificates.ts';
import {
  capstan,
  carry,
  cut,
  firstServer,
  fqdn,
  heal,
  joinWords,
  ldapmodify,
  ldapsearch,
  power,
  SUFFIXES,
  succeeds,
  until,
  valuesOf,
} from './cluster/hosts.ts';
import { joinSecretTests } from './cluster/join-secrets.ts';
import { expectPeer, type PeerState, peerState, replicaIds } from './cluster/peers.ts';
import { agreed, agreements, expectGood, expectReplicated, healthy, SOON } from './cluster/proofs.ts';
import { refusalTests } from './cluster/refusals.ts';
import { changes, type HostState, hostState } from './inventory.ts';
import { hsmToken, keys, trustFlags } from './nss.ts';
import { sampled, samplesWith, samplesWithSecret } from './sampler.ts';
import { freshLab, holdersOf, removeLab, SECRETS, sh, unwell, VALUES, value } from './support.ts';

const HOSTS = ['ca1', 'ca2', 'ca3'] as const;
const MASTERS = `cn=masters,cn=ipa,cn=etc,${SUFFIXES[0]}`;
const CA_FILE = '/root/cluster-ca.crt';
const ON_TOKEN = ['auditSigningCert', 'caSigningCert', 'ocspSigningCert', 'subsystemCert'].map(
  (name) => `${name} cert-pki-ca`,
);
/** Seconds after a cut is healed: 389-ds waits longer after each try that failed. */
const AFTER_A_CUT = 120;

let fingerprint: string;
/** What the first server knew of others before any had joined. */
let pristine: PeerState;
/** What the second server knew of others before the third had joined. */
let couple: PeerState;
/** The third host before it joined. */
let blank: HostState;

const look = (host: string) => hostState((script) => sh(host, script, { deadline: 120 }));

beforeAll(async () => {
  await freshLab({ hosts: [...HOSTS] });
  await firstServer();
  for (const host of ['ca2', 'ca3']) await carry('ca1', '/etc/capstan/ca.crt', host, CA_FILE);
  const shown = await sh('ca1', 'openssl x509 -in /etc/capstan/ca.crt -noout -fingerprint -sha256');
  fingerprint = `sha256:${shown.trim().replace(/.*=/, '').replaceAll(':', '').toLowerCase()}`;
  pristine = await peerState('ca1');
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
    const holders = await Promise.all(
      SECRETS.map(async (one) => [one, await holdersOf('ca2', `${VALUES}/${one}`)]),
    );
    expect(Object.fromEntries(holders)).toEqual({
      'token-password': ['/etc/pki/pki-tomcat/password.conf', '/var/lib/certmonger/requests'],
      'so-pin': [],
      'ds-password': ['/etc/pki/pki-tomcat/password.conf'],
      'admin-password': [],
    });
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
    const objects = await sh(
      'ca1',
      `pkcs11-tool --module ${await value('library-path')} --token-label '${await value('token-name')}' --login --pin "$(cat ${VALUES}/token-password)" -O 2>/dev/null | grep -c ' Object'`,
    );
    expect(objects).toBe('12\n');
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

describe('the cluster in trouble', () => {
  test('cut between two servers serves on both sides, tells it, and is one again when it is healed', async () => {
    await cut('ca1', 'ca2');
    let issued: string[];
    try {
      const [one = [], other = []] = await Promise.all([issue('ca1'), issue('ca2')]);
      issued = [...one, ...other];
      await expectGood(one, ['ca1']);
      await expectGood(other, ['ca2', 'ca3']);
      expect(await verdict('ca2', one[0] ?? '')).toBe('unknown');
      expect(await verdict('ca1', other[0] ?? '')).toBe('unknown');
      const begun = performance.now();
      const { exit, output } = await capstan('ca1', ['status', '--all'], { deadline: 120 });
      expect([exit, output.includes(fqdn('ca2'))]).toEqual([1, true]);
      expect(performance.now() - begun).toBeLessThan(60_000);
    } finally {
      await heal('ca1', 'ca2');
    }
    await expectGood(issued, HOSTS, AFTER_A_CUT);
    await expectReplicated(HOSTS);
  });

  test('becomes a ring by an agreement more', async () => {
    await succeeds('ca2', ['topology', 'add', fqdn('ca1'), fqdn('ca3')]);
    for (const host of HOSTS) {
      const peers = HOSTS.filter((other) => other !== host);
      expect((await until(SOON, () => agreements(host), healthy)).found).toEqual(agreed(peers));
    }
    const { output } = await succeeds('ca1', ['topology', 'list']);
    for (const host of HOSTS) expect(output).toContain(fqdn(host));
  });

  test('without the first server the others issue, and tell that it is away; it catches up', async () => {
    await power('ca1', 'kill');
    let issued: string[];
    try {
      issued = (await Promise.all([issue('ca2'), issue('ca3')])).flat();
      await expectGood(issued, ['ca2', 'ca3']);
      await expectReplicated(['ca2', 'ca3']);
      const begun = performance.now();
      const { exit, output } = await capstan('ca3', ['status', '--all'], { deadline: 120 });
      expect([exit, output.includes(fqdn('ca1'))]).toEqual([1, true]);
      expect(performance.now() - begun).toBeLessThan(60_000);
    } finally {
      await power('ca1', 'on');
    }
    await expectGood(issued, HOSTS, 180);
    expect(
      (
        await until(
          AFTER_A_CUT,
          () => unwell('ca1'),
          (all) => all.length === 0,
        )
      ).found,
    ).toEqual([]);
  });

  test('is not cut in two by topology remove', async () => {
    await succeeds('ca1', ['topology', 'remove', fqdn('ca1'), fqdn('ca3')]);
    expect(await agreements('ca1')).toEqual(agreed(['ca2']));
    const before = await peerState('ca2');
    const { exit, last } = await capstan('ca1', ['topology', 'remove', fqdn('ca2'), fqdn('ca3')]);
    expect([exit, last.type]).toEqual([2, 'error']);
    expect(await peerState('ca2')).toEqual(before);
  });
});

/** Which hosts generate CRLs by their configuration. */
async function crlGenerators(): Promise<string[]> {
  const found = await Promise.all(
    HOSTS.map((host) =>
      sh(
        host,
        'sed -n s/^ca.crl.MasterCRL.enableCRLUpdates=//p /etc/pki/pki-tomcat/ca/CS.cfg 2>/dev/null || true',
      ),
    ),
  );
  return HOSTS.filter((_, index) => found[index] === 'true\n');
}

describe('roles and leaving', () => {
  const leave = (host: string, ...more: string[]) => capstan(host, ['uninstall', '--unattended', ...more]);

  test('the renewal master and the generator of CRLs do not leave', async () => {
    const { exit, last } = await leave('ca1');
    expect([exit, last.failures?.map(({ code }) => code)]).toEqual([2, ['renewal-master', 'crl-generator']]);
    expect(await unwell('ca1')).toEqual([]);
  });

  test('the last CA does not leave servers that have none', async () => {
    const others = await ldapsearch('ca1', MASTERS, "'(&(cn=CA)(!(ipaConfigString=caRenewalMaster)))'");
    const deletions = valuesOf(others, 'dn').map((dn) => `dn: ${dn}\nchangetype: delete\n`);
    expect(deletions).toHaveLength(2);
    await ldapmodify('ca1', deletions.join('\n'));
    try {
      const { exit, last } = await leave('ca1');
      expect([exit, last.failures?.map(({ code }) => code)]).toEqual([2, ['last-ca']]);
    } finally {
      await ldapmodify('ca1', others.replaceAll(/^dn: .*$/gm, '$&\nchangetype: add'));
    }
  });

  test('roles move, and there is one of each at any time', async () => {
    await succeeds('ca2', ['role', 'move', 'renewal-master', fqdn('ca2')]);
    for (const host of ['ca1', 'ca2']) await succeeds(host, ['role', 'move', 'crl', fqdn('ca2')]);
    expect(await crlGenerators()).toEqual(['ca2']);
    const marks = await ldapsearch('ca3', MASTERS, "'(ipaConfigString=caRenewalMaster)' dn");
    expect(valuesOf(marks, 'dn')).toEqual([
      `cn=CA,cn=${fqdn('ca2')},cn=masters,cn=ipa,cn=etc,${SUFFIXES[0]}`,
    ]);
    for (const host of ['ca1', 'ca2']) expect([host, await unwell(host)]).toEqual([host, []]);
  });

  test('a server that leaves takes all that its peers know of it, and leaves its host as it was', async () => {
    await succeeds('ca3', ['uninstall', '--unattended']);
    await expectPeer('ca2', couple);
    expect(changes(blank, await look('ca3'))).toEqual([]);
    expect(await unwell('ca2')).toEqual([]);
  });

  test('and so does the next, when its roles have moved', async () => {
    expect((await leave('ca2')).exit).toBe(2);
    await succeeds('ca1', ['role', 'move', 'renewal-master', fqdn('ca1')]);
    for (const host of ['ca2', 'ca1']) await succeeds(host, ['role', 'move', 'crl', fqdn('ca1')]);
    await succeeds('ca2', ['uninstall', '--unattended']);
    await expectPeer('ca1', pristine);
    expect(await unwell('ca1')).toEqual([]);
    await expectGood(await issue('ca1'), ['ca1']);
  });
});
