/**
 * Key recovery in a cluster of two: refused, added to the first server, cloned with the second, proved through
 * both, cut off from the HSM, and removed again. Judged by the tools of Dogtag, NSS, OpenLDAP, certmonger and OpenSSL.
 */
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  capstan,
  fqdn,
  joinWords,
  ldapsearch,
  SUFFIXES,
  succeeds,
  until,
  valuesOf,
  worded,
} from './cluster/hosts.ts';
import { SOON } from './cluster/proofs.ts';
import { archive, enrolArchived, makeClient, publicKeyOf, recover } from './cluster/recovery.ts';
import { codesOf, faultTests, findings, script, timedatectl } from './health/fault.ts';
import { KRA_FAULTS } from './health/kra.ts';
import { hsmToken, keys, trustFlags } from './nss.ts';
import { announce, type Building, readyLab } from './ready.ts';
import { sampled, samplesWith, samplesWithSecret } from './sampler.ts';
import { holdersOf, installOptions, removeLab, SECRETS, sh, unwell, VALUES, value } from './support.ts';

const CA_KEYS = ['auditSigningCert', 'caSigningCert', 'ocspSigningCert', 'subsystemCert'].map(
  (name) => `${name} cert-pki-ca`,
);
const KRA_KEYS = ['auditSigningCert', 'storageCert', 'transportCert'].map((name) => `${name} cert-pki-kra`);
const MASTERS = `cn=masters,cn=ipa,cn=etc,${SUFFIXES[0]}`;

/** The words of `kra-add`; options replace those of the same name. */
function kraWords(changed: Readonly<Record<string, string | undefined>> = {}, ...more: readonly string[]) {
  const options = {
    '--ds-password-file': `${VALUES}/ds-password`,
    '--token-password-file': `${VALUES}/token-password`,
    ...changed,
  };
  return ['kra-add', '--unattended', ...worded(options), ...more];
}

let building: Building;

beforeAll(async () => {
  building = await announce('two-kra');
  await readyLab('one', { blank: ['ca2'] });
});

afterAll(async () => {
  await building.giveUp();
  await removeLab();
});

describe('before anything changes', () => {
  const refusedWith = async (host: string, words: readonly string[]) => {
    const { exit, last } = await capstan(host, words);
    const { failures = [] } = last;
    return [exit, ...(failures.length > 0 ? failures : [last]).map(({ code }) => code)];
  };

  test('a host without a server, and a token or a library that the CA does not use, are refused', async () => {
    expect(await refusedWith('ca2', kraWords())).toEqual([2, 'not-installed']);
    expect(await refusedWith('ca1', kraWords({ '--token-name': 'another' }))).toEqual([
      2,
      'token-name-differs',
    ]);
    expect(await refusedWith('ca1', kraWords({ '--library-path': '/usr/lib/other.so' }))).toEqual([
      2,
      'library-path-differs',
    ]);
  });

  test('a KRA that is not installed and a name that is taken on the token are told together', async () => {
    const onToken = `pkcs11-tool --module "${await value('library-path')}" --token-label "${await value('token-name')}" --login --pin "$(cat ${VALUES}/token-password)"`;
    // runuser(1) would tell the journal its whole command line.
    await sh(
      'ca1',
      `mv /usr/share/pki/kra /usr/share/pki/kra.away
       setpriv --reuid=pkiuser --regid=pkiuser --init-groups ${onToken} --keypairgen --key-type rsa:2048 --id 77 --label 'storageCert cert-pki-kra' > /dev/null`,
    );
    try {
      const [exit, ...found] = await refusedWith('ca1', kraWords());
      expect([exit, found.toSorted()]).toEqual([2, ['programs-missing', 'token-occupied']]);
    } finally {
      await sh(
        'ca1',
        `mv /usr/share/pki/kra.away /usr/share/pki/kra
         for kind in privkey pubkey; do ${onToken} --delete-object --type $kind --id 77 > /dev/null; done`,
      );
    }
  });

  describe('a Dogtag that cannot wrap by RSA-OAEP is refused where', () => {
    const rehearsed = async (libraryPath: string, as: readonly string[] = []) => {
      const options = await installOptions({ '--library-path': libraryPath, '--hostname': fqdn('ca2') });
      const words = ['server-install', '--unattended', '--dry-run', '--setup-kra', ...options];
      const { exit, last } = await capstan('ca2', words, { as });
      return [exit, ...(last.failures ?? [last]).map(({ code }) => code)];
    };

    test('the HSM knows nothing else', async () => {
      const library = '/opt/nfast/libcknfast.so';
      await sh('ca2', `mkdir /opt/nfast; cp "$(cat ${VALUES}/library-path)" ${library}`);
      expect(await rehearsed(library)).toEqual(expect.arrayContaining([2, 'dogtag-without-oaep']));
      await sh('ca2', 'rm -r /opt/nfast');
    });

    test('the host is in FIPS mode', async () => {
      // Seen by this run alone: the kernel of the lab has no such mode.
      const fips = 'mount --bind /run/fips /proc/sys; exec "$@"';
      await sh('ca2', 'mkdir -p /run/fips/crypto; echo 1 > /run/fips/crypto/fips_enabled');
      const as = ['unshare', '-m', 'bash', '-c', fips, 'fips'];
      const library = await value('library-path');
      expect(await rehearsed(library, as)).toEqual(expect.arrayContaining([2, 'dogtag-without-oaep']));
      await sh('ca2', 'rm -r /run/fips');
      expect(await rehearsed(library)).not.toContain('dogtag-without-oaep');
    });
  });

  test('a rehearsal shows the steps, and changes nothing', async () => {
    const { events } = await succeeds('ca1', kraWords({}, '--dry-run'));
    const plan = events.find(({ type }) => type === 'plan')?.steps?.map(({ id }) => id);
    expect(plan?.[0]).toBe('key-recovery');
    expect(await sh('ca1', 'ls /var/lib/capstan/kra.json 2>&1 || true')).toContain('No such file');
  });
});

describe('the first KRA', () => {
  test('is built from password files, without a word about the HSM', async () => {
    await sampled('ca1', async () => {
      const { events } = await succeeds('ca1', kraWords());
      const steps = events.filter(({ type }) => type === 'step-finished').map(({ id }) => id);
      expect(steps).toEqual(events.find(({ type }) => type === 'plan')?.steps?.map(({ id }) => id));
    });
    expect(await unwell()).toEqual([]);
    expect(await capstan('ca1', kraWords())).toMatchObject({ exit: 2, last: { code: 'kra-exists' } });
  });

  test('no secret was in any command line or environment, nor is it in any log or file', async () => {
    expect(await samplesWith('ca1', 'pkispawn')).toBeGreaterThan(0);
    for (const one of SECRETS) expect([one, await samplesWithSecret('ca1', one)]).toEqual([one, 0]);
    expect(await holdersOf('ca1', `${VALUES}/ds-password`)).toEqual(['/etc/pki/pki-tomcat/password.conf']);
    expect(await holdersOf('ca1', `${VALUES}/token-password`)).toEqual([
      '/etc/pki/pki-tomcat/password.conf',
      '/var/lib/certmonger/requests',
    ]);
  });

  test('its administrator is that of the CA, by password and by certificate', async () => {
    const pin = `"$(cat ${VALUES}/admin-password)"`;
    const login = (how: string) =>
      sh(
        'ca1',
        `curl -sS -o /dev/null -w '%{http_code}' --cacert /etc/capstan/ca.crt ${how} https://${fqdn('ca1')}:8443/kra/rest/account/login`,
      );
    expect(await login(`-u admin:${pin}`)).toBe('200');
    expect(await login('--cert /var/lib/capstan/ra-agent.pem --key /var/lib/capstan/ra-agent.key')).toBe(
      '200',
    );
  });
});

describe('the second server with a clone of the KRA', () => {
  test('is built in one run, asked for nothing twice', async () => {
    const { events } = await succeeds('ca2', [...joinWords(), '--setup-kra']);
    const finished = events.filter(({ type, id }) => type === 'step-finished' && id === 'key-recovery');
    expect(finished).toHaveLength(1);
    expect(await unwell('ca2')).toEqual([]);
    expect(await unwell('ca1')).toEqual([]);
    await building.shelve();
  });

  test('uses the keys on the token, as the first does, and has none of its own', async () => {
    const onToken = [...CA_KEYS, ...KRA_KEYS].toSorted();
    for (const host of ['ca1', 'ca2']) {
      expect([host, await keys(host, await hsmToken())]).toEqual([host, onToken]);
      expect([host, await keys(host, 'internal')]).toEqual([host, ['Server-Cert cert-pki-ca']]);
      expect([host, await trustFlags(host, 'internal')]).toMatchObject([
        host,
        { 'auditSigningCert cert-pki-ca': ',,P', 'auditSigningCert cert-pki-kra': ',,P' },
      ]);
    }
  });

  test('is tracked, recorded, in the security domain, and known to both CAs', async () => {
    const roles = await ldapsearch('ca1', MASTERS, "'(cn=KRA)' dn");
    expect(valuesOf(roles, 'dn').toSorted()).toEqual(
      ['ca1', 'ca2'].map((host) => `cn=KRA,cn=${fqdn(host)},${MASTERS}`),
    );
    const domain = await ldapsearch('ca2', 'cn=KRAList,ou=Security Domain,o=ipaca', '-s one dn');
    expect(valuesOf(domain, 'dn')).toHaveLength(2);
    for (const host of ['ca1', 'ca2']) {
      const listed = await sh(host, 'getcert list');
      expect([host, listed.match(/^\tstatus: MONITORING$/gm)?.length]).toEqual([host, 8]);
      const tracked = listed.match(/nickname='\w+ cert-pki-kra',token='[^']+'/g) ?? [];
      expect([host, new Set(tracked).size]).toEqual([host, 3]);
      const known = await sh(host, 'sed -n s/^ca.connector.KRA.host=//p /etc/pki/pki-tomcat/ca/CS.cfg');
      // The one beside it first.
      const order = host === 'ca1' ? ['ca1', 'ca2'] : ['ca2', 'ca1'];
      expect([host, known.trim()]).toEqual([host, order.map((kra) => `${fqdn(kra)}:8443`).join(' ')]);
    }
    // Who put the KRAs into the security domain was there for that alone.
    expect(await ldapsearch('ca1', 'ou=people,o=ipaca', "'(uid=capstan-kra-*)' dn")).toBe('');
  });
});

describe('what is archived through one server is recovered through the other', () => {
  test('a secret, byte for byte, both ways', async () => {
    for (const host of ['ca1', 'ca2']) await makeClient(host);
    // The longer one is more than Dogtag takes of itself.
    for (const [one, other, length] of [
      ['ca1', 'ca2', 200],
      ['ca2', 'ca1', 30_000],
    ] as const) {
      const secret = randomBytes(length).toString('base64');
      const id = await archive(one, `secret-${one}`, secret);
      const { found } = await until(
        SOON,
        () => recover(other, id).catch(String),
        (got) => got === secret,
      );
      expect([one, found]).toEqual([one, secret]);
    }
  });

  test('a private key that a client generated and the CA passed on', async () => {
    const { id, publicKey } = await enrolArchived('ca2', 'somebody');
    const { found } = await until(
      SOON,
      () => recover('ca1', id).catch(() => ''),
      (got) => got !== '',
    );
    expect(await publicKeyOf('ca1', found)).toBe(publicKey);
  });
});

/** The codes of what `capstan health` finds on the first server. */
async function faultsFound(): Promise<string[]> {
  return codesOf(await findings('ca1'));
}

describe('its health', () => {
  test('has no fault on either server', async () => {
    for (const host of ['ca1', 'ca2']) {
      await script(host, timedatectl('yes'));
      expect([host, await findings(host)]).toEqual([host, []]);
    }
  });

  faultTests(KRA_FAULTS);
});

describe('without its HSM', () => {
  const AWAY = 'mount -t tmpfs -o mode=0777 tmpfs /var/lib/softhsm/tokens';
  const BACK = 'umount /var/lib/softhsm/tokens';

  test('the KRA is told to be unwell, and is not made worse', async () => {
    await sh('ca1', AWAY);
    expect(await unwell()).toEqual(
      expect.arrayContaining([expect.stringMatching(/^token /), 'CA signature', 'KRA recovery']),
    );
    expect(await faultsFound()).toEqual(['hsm-unreachable']);
    expect(await capstan('ca1', ['restart'])).toMatchObject({ exit: 2 });
  });

  test('started without it Dogtag disables the KRA, and "restart" brings it back when the HSM is there', async () => {
    await sh('ca1', 'systemctl restart pki-tomcatd@pki-tomcat', { deadline: 120 });
    const { found } = await until(
      90,
      () => sh('ca1', 'ls /etc/pki/pki-tomcat/Catalina/localhost'),
      (names) => !names.includes('kra.xml'),
    );
    expect(found).not.toContain('kra.xml');
    expect(await faultsFound()).toEqual(expect.arrayContaining(['hsm-unreachable', 'kra-disabled']));
    await sh('ca1', BACK);
    expect(await faultsFound()).toEqual(expect.arrayContaining(['kra-disabled']));
    await succeeds('ca1', ['restart']);
    expect(await faultsFound()).toEqual([]);
    expect(await unwell()).toEqual([]);
  });
});

describe('when a server leaves', () => {
  test('the other goes on alone, and its CA sends no keys there any more', async () => {
    await succeeds('ca2', ['uninstall', '--unattended']);
    expect(await sh('ca1', 'sed -n s/^ca.connector.KRA.host=//p /etc/pki/pki-tomcat/ca/CS.cfg')).toBe(
      `${fqdn('ca1')}\n`,
    );
    const { found } = await until(
      SOON,
      () => ldapsearch('ca1', 'o=ipaca', `'(|(uid=*${fqdn('ca2')}*)(cn=${fqdn('ca2')}:8443))' dn`),
      (ldif) => ldif === '',
    );
    expect(found).toBe('');
    expect(await unwell()).toEqual([]);
    const id = await archive('ca1', 'afterwards', Buffer.from('still here').toString('base64'));
    expect(Buffer.from(await recover('ca1', id), 'base64').toString()).toBe('still here');
  });
});
