/**
 * An installed CA goes below another authority, a KRA and a second server join it there, and both follow it back to its own
 * signature. Judged by OpenSSL, certutil, pkcs11-tool, certmonger and Dogtag's client.
 */
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { issue } from './cluster/certificates.ts';
import { capstan, joinWords, ldapsearch, succeeds, until } from './cluster/hosts.ts';
import { expectGood, SOON } from './cluster/proofs.ts';
import { archive, makeClient, recover } from './cluster/recovery.ts';
import { tracked } from './cluster/renewals.ts';
import { CORP, certifyByOpenssl } from './external/authorities.ts';
import { ABOVE, CA, expectCa, REQUEST, serialAndKey, taken } from './external/places.ts';
import { codesOf, findings } from './health/fault.ts';
import { keyIds, trustFlags } from './nss.ts';
import { readyLab } from './ready.ts';
import { inHost, removeLab, sh, unwell, VALUES } from './support.ts';

const HOSTS = ['ca1', 'ca2'] as const;
const GOOD = [`${CORP}/ca.crt`, `${CORP}/chain.p7b`];
/** Seconds for a run that restarts Dogtag and the directory. */
const RENEWED = { deadline: 600 };

/** What must not change before a certificate is taken in. */
async function standing(): Promise<unknown> {
  const files = await sh(
    'ca1',
    'sha256sum /etc/capstan/ca.crt /etc/pki/pki-tomcat/ca/CS.cfg; ls /var/lib/capstan',
  );
  return [files, await tracked('ca1'), await trustFlags('ca1', 'internal')];
}

/** A feed is tried again within seconds after a directory was restarted. */
async function expectWell(host: string): Promise<void> {
  const faults = async () => [...(await unwell(host)), ...codesOf(await findings(host))];
  const { found } = await until(90, faults, (names) => names.length === 1);
  expect([host, found]).toEqual([host, ['clock-unsynchronised']]);
}

/** The certificates of the CA that are published for clients. */
async function published(host: string): Promise<number> {
  const entry = await ldapsearch(host, 'cn=CAcert,cn=ipa,cn=etc,dc=example,dc=test', '-s base cACertificate');
  return entry.match(/cACertificate;binary::/g)?.length ?? 0;
}

/** What was archived so far, by key id. */
const archived = new Map<string, string>();

/** What one server archives the other recovers, and all that was archived before. */
async function expectRecovery(one: string, other: string): Promise<void> {
  const secret = randomBytes(200).toString('base64');
  // A KRA takes a name once.
  archived.set(await archive(one, `secret-${archived.size}`, secret), secret);
  for (const [id, expected] of archived) {
    const look = () => recover(other, id).catch(String);
    expect((await until(SOON, look, (got) => got === expected)).found).toBe(expected);
  }
}

let keysBefore: string;
let publicKey: string;
/** The serial number of the certificate that the CA has now. */
let serial: string;

beforeAll(async () => {
  await readyLab('one', { blank: ['ca2'] });
  keysBefore = await keyIds('ca1');
  [serial, publicKey] = await serialAndKey('ca1');
});

afterAll(removeLab);

describe('a CA that signs itself', () => {
  let before: unknown;

  test('writes a request for its own key and name, and changes nothing else', async () => {
    before = await standing();
    await succeeds('ca1', ['ca-renew', '--external-ca']);
    const asked = await sh('ca1', `openssl req -in ${REQUEST} -noout -verify -text 2>&1`);
    expect(asked).toMatch(/verify OK/);
    expect(asked).toMatch(/Subject: O = EXAMPLE.TEST, CN = Certificate Authority/);
    expect(asked).toMatch(/CA:TRUE/);
    expect(await sh('ca1', `openssl req -in ${REQUEST} -noout -pubkey`)).toBe(publicKey);
    await certifyByOpenssl('ca1', REQUEST);
    expect(await standing()).toEqual(before);
  });

  test.each([
    ['a certificate for another key', [`${CORP}/other.crt`, GOOD[1]], ['external-key-differs']],
    [
      'one that is for no CA, and weak',
      [`${CORP}/bad.crt`, GOOD[1]],
      ['external-key-usage', 'external-not-ca', 'external-weak-signature'],
    ],
    ['a chain without its root', [`${CORP}/ca.crt`, `${CORP}/middle.crt`], ['external-chain-incomplete']],
  ])('refuses %s, and is as it was', async (_, files, expected) => {
    const { exit, last } = await capstan('ca1', taken(files as string[]));
    expect([exit, last.failures?.map(({ code }) => code).toSorted()]).toEqual([2, expected]);
    expect(await standing()).toEqual(before);
  });

  test('goes below the other authority, though the run is killed while Dogtag stands still', async () => {
    const begun = await tracked('ca1');
    const words = ['capstan', ...taken(GOOD)].join(' ');
    await sh(
      'ca1',
      `${words} > /root/run.log 2>&1 & pid=$!
       for _ in $(seq 1200); do
         systemctl is-active -q pki-tomcatd@pki-tomcat || break
         kill -0 $pid; sleep 0.1
       done
       kill -9 $pid`,
      { deadline: 180 },
    );
    // What certmonger begins by itself, or the timer within the hour.
    await sh('ca1', 'systemctl start capstan-renewal.service', RENEWED);
    [serial] = await serialAndKey('ca1', `${CORP}/ca.crt`);
    const { found } = await until(
      120,
      async () => (await tracked('ca1'))[CA],
      (held) => held === serial,
    );
    expect(found).toBe(serial);
    expect(begun[CA]).not.toBe(serial);
    await expectCa('ca1', serial, `${CORP}/root.crt`, ABOVE);
    expect(await published('ca1')).toBe(3);
    expect((await serialAndKey('ca1'))[1]).toBe(publicKey);
    expect(await keyIds('ca1')).toBe(keysBefore);
    await expectWell('ca1');
  });
});

describe('below the other authority', () => {
  test('the server gets a KRA', async () => {
    const passwords = ['ds-password', 'token-password'].flatMap((name) => [
      `--${name}-file`,
      `${VALUES}/${name}`,
    ]);
    await succeeds('ca1', ['kra-add', '--unattended', ...passwords]);
  });

  test('a second server joins, with a KRA', async () => {
    const chain = await sh('ca1', 'cat /etc/capstan/ca.crt');
    await inHost('ca2', ['bash', '-ec', 'cat > /root/cluster-ca.crt'], { input: chain });
    const root = await sh('ca1', `cat ${CORP}/root.crt`);
    await inHost('ca2', ['bash', '-ec', `mkdir ${CORP}; cat > ${CORP}/root.crt`], { input: root });
    await succeeds('ca2', joinWords({}, '--setup-kra'));
  });

  test('both have the chain everywhere, and are well', async () => {
    for (const host of HOSTS) {
      await expectCa(host, serial, `${CORP}/root.crt`, ABOVE);
      expect([host, await published(host)]).toEqual([host, 3]);
      await expectWell(host);
    }
  });

  test('both issue, and what one archives the other recovers', async () => {
    for (const host of HOSTS) await makeClient(host);
    await expectGood((await Promise.all(HOSTS.map((host) => issue(host)))).flat(), HOSTS);
    await expectRecovery('ca1', 'ca2');
    await expectRecovery('ca2', 'ca1');
  });
});

describe('back to its own signature', () => {
  /** What the directory of a host trusts, of those above the CA before. */
  const former = (host: string) =>
    sh(host, "certutil -L -d /etc/dirsrv/slapd-EXAMPLE-TEST | grep -o '^Capstan CA before [0-9]*' || true");

  test('goes the CA, and its directory feeds the other server on, which follows', async () => {
    const below = serial;
    await succeeds('ca1', ['ca-renew', '--self-signed', '--unattended'], RENEWED);
    [serial] = await serialAndKey('ca1');
    expect(serial).not.toBe(below);
    expect(await former('ca1')).toBe('Capstan CA before 1\nCapstan CA before 2\n');
    // What its timer does within the hour.
    const follow = async () => {
      await sh('ca2', 'systemctl start capstan-renewal.service', RENEWED);
      return (await serialAndKey('ca2'))[0];
    };
    expect((await until(120, follow, (found) => found === serial)).found).toBe(serial);
    await sh('ca1', 'systemctl start capstan-renewal.service', RENEWED);
    for (const host of HOSTS) {
      const own = '/root/own.crt';
      await sh(host, `openssl x509 -in /etc/capstan/ca.crt -out ${own}`);
      await expectCa(host, serial, own, []);
      expect([host, await former(host)]).toEqual([host, '']);
      expect([host, await published(host)]).toEqual([host, 1]);
      expect([host, (await serialAndKey(host))[1]]).toEqual([host, publicKey]);
    }
    for (const host of HOSTS) await expectWell(host);
  });

  test('both issue, and recover what is archived and what was', async () => {
    await expectGood((await Promise.all(HOSTS.map((host) => issue(host)))).flat(), HOSTS);
    await expectRecovery('ca1', 'ca2');
    await expectRecovery('ca2', 'ca1');
  });
});
