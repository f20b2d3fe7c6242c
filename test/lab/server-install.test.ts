/**
 * The first server, from a blank host to its removal, by the installed program; judged by the tools of Dogtag,
 * NSS, OpenSC, OpenLDAP, certmonger, curl and OpenSSL, not by Capstan's own words.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { labPower, labTokenReset } from '../../src/lab/lab.ts';
import { keys, tokenListing, trustFlags } from './nss.ts';
import { sampled, samplesWith, samplesWithSecret } from './sampler.ts';
import { supportBundleTests } from './server/support-bundle.ts';
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

const INSTALL_DEADLINE = 1200;
const ON_TOKEN = ['auditSigningCert', 'caSigningCert', 'ocspSigningCert', 'subsystemCert'].map(
  (name) => `${name} cert-pki-ca`,
);

let label: string;
let library: string;

beforeAll(async () => {
  await freshLab({ hosts: ['ca1'] });
  label = await value('token-name');
  library = await value('library-path');
});

afterAll(removeLab);

async function install(changes: Record<string, string> = {}, accept = [0]) {
  const argv = [
    'capstan',
    'server-install',
    '--unattended',
    '--output',
    'json',
    ...(await installOptions(changes)),
  ];
  return inHost('ca1', argv, { deadline: INSTALL_DEADLINE, accept });
}

describe('server-install', () => {
  test('builds a CA, showing each step', async () => {
    await sampled('ca1', async () => {
      const { stdout } = await install();
      const events = stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line));
      expect(events.at(-1)).toMatchObject({ type: 'result' });
      const steps = events.filter(({ type }) => type === 'step-finished');
      expect(steps.map(({ id }) => id)).toEqual(
        events.find(({ type }) => type === 'plan').steps.map(({ id }: { id: string }) => id),
      );
      expect(events.filter(({ type }) => type === 'step-line').length).toBeGreaterThan(20);
    });
  });

  test('the four keys are on the token, sensitive, made there and not extractable', async () => {
    const objects = (await tokenListing('ca1')).split(
      /^(?=Private Key Object|Public Key Object|Certificate Object)/m,
    );
    const privateKeys = objects.filter((object) => object.startsWith('Private Key Object'));
    expect(privateKeys).toHaveLength(4);
    for (const key of privateKeys) {
      expect(key).toMatch(/sensitive, always sensitive, never extractable, local/);
    }
    expect(await keys('ca1', { label })).toEqual(ON_TOKEN);
  });

  test('the internal token holds the key of the TLS server and no other', async () => {
    expect(await keys('ca1', 'internal')).toEqual(['Server-Cert cert-pki-ca']);
  });

  test('trust flags are those of Dogtag on an HSM', async () => {
    expect(await trustFlags('ca1', { label })).toEqual({
      'caSigningCert cert-pki-ca': 'CTu,Cu,Cu',
      'ocspSigningCert cert-pki-ca': 'u,u,u',
      'auditSigningCert cert-pki-ca': 'u,u,Pu',
      'subsystemCert cert-pki-ca': 'u,u,u',
    });
    expect(await trustFlags('ca1', 'internal')).toMatchObject({
      'caSigningCert cert-pki-ca': 'CT,C,C',
      'auditSigningCert cert-pki-ca': ',,P',
      'Server-Cert cert-pki-ca': 'u,u,u',
    });
  });

  test('the HSM record is in the directory, read over verified LDAPS', async () => {
    const record = await sh(
      'ca1',
      `LDAPTLS_CACERT=/etc/capstan/ca.crt LDAPTLS_REQCERT=demand ldapsearch -LLL -o ldif-wrap=no -x -H ldaps://ca1.example.test \
        -D 'cn=Directory Manager' -y <(tr -d '\\n' < ${VALUES}/ds-password) -b cn=ipa,cn=cas,cn=ca,dc=example,dc=test ipaCaHSMConfiguration ipaCaSubjectDN ipaCaId`,
    );
    expect(record).toContain(`ipaCaHSMConfiguration: ${label};${library}\n`);
    expect(record).toContain('ipaCaSubjectDN: CN=Certificate Authority,O=EXAMPLE.TEST\n');
    expect(record).toMatch(/^ipaCaId: [0-9a-f-]{36}$/m);
  });

  test('anybody can read the CA certificate in the directory', async () => {
    const read = await sh(
      'ca1',
      `LDAPTLS_CACERT=/etc/capstan/ca.crt ldapsearch -LLL -o ldif-wrap=no -x -H ldaps://ca1.example.test -s base -b cn=CAcert,cn=ipa,cn=etc,dc=example,dc=test 'cACertificate;binary' \
        | sed -n 's/^cACertificate;binary:: //p' | base64 -d | openssl x509 -inform DER -noout -subject`,
    );
    expect(read).toContain('CN = Certificate Authority');
  });

  test('certmonger tracks five certificates, four of them on the token', async () => {
    const requests = (await sh('ca1', 'getcert list')).split(/^Request ID /m).slice(1);
    expect(requests).toHaveLength(5);
    for (const request of requests) {
      expect(request).toMatch(/^\tstatus: MONITORING$/m);
      expect(request).not.toContain('ca-error');
    }
    const tokens = requests.map((request) => [
      /nickname='([^']*)'/.exec(request)?.[1],
      /token='([^']*)'/.exec(request)?.[1],
    ]);
    expect(Object.fromEntries(tokens)).toEqual({
      ...Object.fromEntries(ON_TOKEN.map((nickname) => [nickname, label])),
      'Server-Cert cert-pki-ca': 'NSS Certificate DB',
    });
  });

  test('key-token and cert-token are on D-Bus as they were asked for', async () => {
    const listed = await sh(
      'ca1',
      `c=org.fedorahosted.certmonger
       for request in $(busctl --json=short call $c /org/fedorahosted/certmonger $c get_requests | jq -r '.data[0][]'); do
         for property in cert-nickname key-token cert-token; do
           busctl --json=short get-property $c $request $c.request $property | jq -c .data
         done
       done | paste - - -`,
    );
    const rows = listed
      .trim()
      .split('\n')
      .map((line) => line.split('\t').map((word) => JSON.parse(word)));
    // certmonger itself writes NSS's name of the internal token where none was asked for.
    expect(rows.toSorted()).toEqual(
      [
        ...ON_TOKEN.map((nickname) => [nickname, label, label]),
        ['Server-Cert cert-pki-ca', 'NSS Certificate DB', 'NSS Certificate DB'],
      ].toSorted(),
    );
  });

  test('REST answers, the administrator can log in, and a new certificate verifies', async () => {
    const curl = 'curl -sS --fail --cacert /etc/capstan/ca.crt -H "Accept: application/json"';
    expect(await sh('ca1', `${curl} https://ca1.example.test:8443/ca/rest/certs/0x1`)).toContain(
      'CN=Certificate Authority,O=EXAMPLE.TEST',
    );
    await sh(
      'ca1',
      `umask 077; printf 'user = "admin:%s"\\n' "$(sed 's/[\\\\"]/\\\\&/g' ${VALUES}/admin-password)" > /run/curlrc`,
    );
    expect(
      JSON.parse(
        await sh(
          'ca1',
          `${curl} -K /run/curlrc https://ca1.example.test:8443/ca/rest/account/login; rm /run/curlrc`,
        ),
      ),
    ).toMatchObject({ id: 'admin' });
    await sh(
      'ca1',
      'openssl verify -CAfile /etc/capstan/ca.crt <(openssl s_client -connect ca1.example.test:636 </dev/null 2>/dev/null)',
    );
    const subject = await sh(
      'ca1',
      'openssl s_client -connect ca1.example.test:636 </dev/null 2>/dev/null | openssl x509 -noout -subject -issuer -ext subjectAltName',
    );
    expect(subject).toMatch(/issuer=O = EXAMPLE.TEST, CN = Certificate Authority/);
    expect(subject).toContain('DNS:ca1.example.test');
  });

  test("the agent's PKCS#12 file opens with the administrator's password", async () => {
    const listed = await sh(
      'ca1',
      `openssl pkcs12 -in /root/ca-agent.p12 -passin file:${VALUES}/admin-password -nokeys | openssl x509 -noout -subject`,
    );
    expect(listed).toContain('CN = ipa-ca-agent');
  });

  test('no secret was in any command line or environment, nor is it in any log or file', async () => {
    expect(await samplesWith('ca1', 'pkispawn')).toBeGreaterThan(0);
    for (const secret of SECRETS)
      expect([secret, await samplesWithSecret('ca1', secret)]).toEqual([secret, 0]);
    const holders = await Promise.all(
      SECRETS.map(async (secret) => [secret, await holdersOf('ca1', `${VALUES}/${secret}`)]),
    );
    // Dogtag's own store of passwords, and certmonger's store of requests: the two that need them to run.
    expect(Object.fromEntries(holders)).toEqual({
      'token-password': ['/etc/pki/pki-tomcat/password.conf', '/var/lib/certmonger/requests'],
      'so-pin': [],
      'ds-password': ['/etc/pki/pki-tomcat/password.conf'],
      'admin-password': [],
    });
    expect(
      await sh('ca1', 'stat -c "%a %U" /var/log/capstan/server-install.log /var/lib/capstan/server.json'),
    ).toBe('600 root\n600 root\n');
  });

  test("what was generated stays where it belongs: the internal token's password, the agent's key", async () => {
    await sh(
      'ca1',
      'umask 077; mkdir /run/generated; sed -n s/^internal=//p /etc/pki/pki-tomcat/password.conf > /run/generated/internal; sed -n 5p /var/lib/capstan/ra-agent.key > /run/generated/key',
    );
    expect(await holdersOf('ca1', '/run/generated/internal')).toEqual([
      '/etc/pki/pki-tomcat/password.conf',
      '/var/lib/certmonger/requests',
    ]);
    expect(await holdersOf('ca1', '/run/generated/key')).toEqual(['/var/lib/capstan/ra-agent.key']);
    await sh('ca1', 'rm -r /run/generated');
  });
});

supportBundleTests(() => ({ label, library }));

describe('the server afterwards', () => {
  test('status and config-show agree with what is there', async () => {
    const status = JSON.parse(await sh('ca1', 'capstan status --output json'));
    expect(status).toMatchObject({ well: true, hostname: 'ca1.example.test' });
    expect(status.findings.length).toBeGreaterThanOrEqual(13);
    expect(JSON.parse(await sh('ca1', 'capstan config-show --output json'))).toEqual({
      tokenName: label,
      libraryPath: library,
    });
  });

  test('a second installation is refused and changes nothing', async () => {
    const before = await sh(
      'ca1',
      'cat /var/lib/capstan/server.json; getcert list; ls -laR --full-time /etc/pki/pki-tomcat /etc/dirsrv',
    );
    const { stdout } = await install({}, [2]);
    expect(lastEvent(stdout).failures?.map(({ code }) => code)).toEqual(
      expect.arrayContaining(['already-installed', 'ports-in-use', 'tracking-exists', 'token-occupied']),
    );
    expect(
      await sh(
        'ca1',
        'cat /var/lib/capstan/server.json; getcert list; ls -laR --full-time /etc/pki/pki-tomcat /etc/dirsrv',
      ),
    ).toBe(before);
  });

  test('status says that the CA is down', async () => {
    await sh('ca1', 'systemctl stop pki-tomcatd@pki-tomcat');
    expect(await unwell()).toEqual([
      'pki-tomcatd@pki-tomcat.service',
      'CA status',
      'CA profiles',
      'CA signature',
    ]);
  });

  test('a reboot brings everything back', async () => {
    await labPower(machine, LAB, 'ca1', 'off');
    await labPower(machine, LAB, 'ca1', 'on');
    const until = Date.now() + 180_000;
    while ((await unwell()).length > 0 && Date.now() < until) await sleep(2000);
    expect(await unwell()).toEqual([]);
    expect(await sh('ca1', 'curl -sS http://ca1.example.test:8080/ca/admin/ca/getStatus')).toContain(
      '<Status>running</Status>',
    );
    const ca = '/etc/capstan/ca.crt';
    const { stderr } = await inHost('ca1', [
      'openssl',
      'ocsp',
      '-issuer',
      ca,
      '-serial',
      '1',
      '-CAfile',
      ca,
      '-url',
      'http://ca1.example.test:8080/ca/ocsp',
    ]);
    expect(stderr).toContain('Response verify OK');
    expect((await sh('ca1', 'getcert list')).match(/^\tstatus: MONITORING$/gm)).toHaveLength(5);
    // Tomcat waits for the directory by the order of the units, not by luck.
    expect(await sh('ca1', 'systemctl show -p After pki-tomcatd@pki-tomcat')).toContain(
      'dirsrv@EXAMPLE-TEST.service',
    );
  });

  test('status says that a certificate is not tracked', async () => {
    await sh('ca1', 'getcert stop-tracking -i capstan-subsystem');
    expect(await unwell()).toEqual(['subsystemCert cert-pki-ca']);
  });
});

describe('uninstall', () => {
  test('leaves the keys on the token and nothing else', async () => {
    const before = await tokenListing('ca1');
    await inHost('ca1', ['capstan', 'uninstall', '--unattended'], { deadline: 300 });
    expect(await tokenListing('ca1')).toBe(before);
    const remains = await sh(
      'ca1',
      'ls -d /etc/pki/pki-tomcat /var/lib/pki/pki-tomcat /etc/dogtag/tomcat/pki-tomcat /etc/default/pki-tomcat /etc/dirsrv/slapd-EXAMPLE-TEST /var/lib/dirsrv/slapd-EXAMPLE-TEST /etc/dirsrv/ssca /etc/capstan/ca.crt /root/ca-agent.p12 /root/.dogtag /var/lib/capstan/* /etc/pki/nssdb 2>/dev/null || true',
    );
    expect(remains).toBe('');
    expect(await sh('ca1', 'getcert list; getcert list-cas')).not.toMatch(/pki-tomcat|capstan/);
    expect(
      await sh('ca1', 'ss -Hltn "( sport = :389 or sport = :636 or sport = :8080 or sport = :8443 )"'),
    ).toBe('');
    expect(
      await sh('ca1', 'systemctl is-enabled pki-tomcatd.target dirsrv@EXAMPLE-TEST || true'),
    ).not.toMatch(/^enabled/m);
    expect((await inHost('ca1', ['capstan', 'status'], { accept: [1] })).stderr).toContain(
      'capstan server-install',
    );
  });

  test('with --purge-token deletes exactly what the installation made, after a second one that works', async () => {
    await labTokenReset(machine, LAB);
    const tool = `pkcs11-tool --module ${library} --token-label '${label}' --login --pin "$(cat ${VALUES}/token-password)"`;
    await sh(
      'ca1',
      `${tool} --keypairgen --key-type rsa:2048 --id ff01 --label 'somebody else' >/dev/null 2>&1`,
    );
    const foreign = await tokenListing('ca1');
    expect(foreign).toContain('somebody else');
    // Passwords that are hard to carry: through an answer file, a deployment configuration, password.conf and LDAP.
    await sh(
      'ca1',
      `umask 077; printf '%s' 'Dirécteur %(x)s;#="1"' > /run/ds; printf '%s' "Ädmin'%d;# =2" > /run/admin`,
    );
    await install({ '--ds-password-file': '/run/ds', '--admin-password-file': '/run/admin' });
    expect(await sh('ca1', 'capstan status')).toContain('all is well');
    await sh('ca1', 'systemctl restart pki-tomcatd@pki-tomcat; sleep 20', { deadline: 120 });
    expect(await sh('ca1', 'capstan status')).toContain('all is well');
    await inHost('ca1', ['capstan', 'uninstall', '--unattended', '--purge-token'], { deadline: 300 });
    expect(await tokenListing('ca1')).toBe(foreign);
  });
});
