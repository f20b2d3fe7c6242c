/**
 * A CA that another authority signs: the request, a reboot, what is refused of certificates by openssl(1), and the second
 * stage with one by `capstan root` on a token of its own. Judged by OpenSSL, certutil and OpenLDAP.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { labSnapshot } from '../../src/lab/lab.ts';
import { capstan, ldapsearch, succeeds } from './cluster/hosts.ts';
import { CORP, certifyByOpenssl, certifyByRoot, OFFLINE } from './external/authorities.ts';
import { hsmToken, keys, trustFlags } from './nss.ts';
import { freshLab, installOptions, LAB, machine, removeLab, SECRETS, sh, unwell, VALUES } from './support.ts';

const REQUEST = '/root/ca-signing.csr';
const CA_KEYS = ['auditSigningCert', 'caSigningCert', 'ocspSigningCert', 'subsystemCert'].map(
  (name) => `${name} cert-pki-ca`,
);
const PASSWORDS = SECRETS.filter((name) => name !== 'so-pin').flatMap((name) => [
  `--${name}-file`,
  `${VALUES}/${name}`,
]);
const GOOD = [`${CORP}/ca.crt`, `${CORP}/chain.p7b`];

/** The words of the second stage. */
function secondStage(files: readonly string[], ...more: readonly string[]): string[] {
  const given = files.flatMap((file) => ['--external-cert-file', file]);
  return ['server-install', '--unattended', ...PASSWORDS, ...given, ...more];
}

async function codes(words: readonly string[]): Promise<(string | undefined)[]> {
  const { exit, last } = await capstan('ca1', words);
  expect(exit).toBe(2);
  const failures = last.failures?.map(({ code }) => code) ?? [];
  return failures.length > 0 ? failures.toSorted() : [last.code];
}

beforeAll(async () => {
  await freshLab({ hosts: ['ca1'] });
  const options = await installOptions({ '--admin-password-file': undefined });
  await succeeds('ca1', ['server-install', '--unattended', '--external-ca', ...options]);
  // Stops the host and boots it.
  await labSnapshot(machine, LAB, 'waiting');
});

afterAll(removeLab);

describe('the first stage', () => {
  test('leaves a request for a CA, and a key on the token that cannot leave it', async () => {
    const text = await sh('ca1', `openssl req -in ${REQUEST} -noout -text -verify 2>&1`);
    expect(text).toMatch(/verify OK/);
    expect(text).toMatch(/CA:TRUE/);
    expect(text).toMatch(/Subject: O = EXAMPLE.TEST, CN = Certificate Authority/);
    expect(text).toMatch(/Certificate Sign, CRL Sign/);
  });

  test('is known to status after a reboot, with the fingerprint of the request', async () => {
    const sum = await sh('ca1', `openssl req -in ${REQUEST} -outform DER | sha256sum | cut -d' ' -f1`);
    const { exit, output } = await capstan('ca1', ['status']);
    expect(exit).toBe(1);
    expect(output).toContain(`sha256:${sum.trim()}`);
    expect(output).toContain('waits for the certificate of its CA');
    expect(output).toContain('--external-cert-file');
  });

  test('keeps no password', async () => {
    for (const name of ['ds-password', 'token-password']) {
      const found = await sh(
        'ca1',
        `grep -rlaFf ${VALUES}/${name} /root /var/lib/capstan /var/log/capstan || true`,
      );
      expect(found).toBe('');
    }
  });
});

describe('between the stages is refused', () => {
  beforeAll(() => certifyByOpenssl('ca1', REQUEST));

  test.each([
    ['another run', [], ['waiting-for-certificate']],
    ['a certificate for another key', [`${CORP}/other.crt`, GOOD[1]], ['external-key-differs']],
    ['a chain without its root', [`${CORP}/ca.crt`, `${CORP}/middle.crt`], ['external-chain-incomplete']],
    ['a file that is not there', [`${CORP}/none.crt`], ['external-file-unreadable']],
    [
      'all that is wrong, at once',
      [`${CORP}/bad.crt`, `${CORP}/root.crt`],
      ['external-chain-incomplete', 'external-key-usage', 'external-not-ca', 'external-weak-signature'],
    ],
  ])('%s', async (_, files, expected) => {
    expect(await codes(secondStage(files as string[]))).toEqual(expected);
  });

  test('an option that is not as it was, and another token', async () => {
    for (const more of [
      ['--key-size', '4096'],
      ['--token-name', 'other'],
      ['--external-ca-type', 'ms-cs', '--external-ca'],
    ])
      expect(await codes(secondStage(GOOD, ...more))).toEqual(['resume-differs']);
  });

  test('a token of the same name without the key, whose serial is another', async () => {
    await sh(
      'ca1',
      `cd /var/lib/softhsm; cp -r tokens /root/away; rm -r tokens/*
       softhsm2-util --init-token --free --label "$(cat ${VALUES}/token-name)" --pin "$(cat ${VALUES}/token-password)" --so-pin 12345678`,
    );
    expect(await codes(secondStage(GOOD))).toEqual(['token-changed']);
    await sh('ca1', 'cd /var/lib/softhsm; rm -r tokens/*; cp -r /root/away/* tokens; rm -r /root/away');
  });
});

/** What must be true of a server that is done. @param root the file of the root alone @param length of the whole chain */
async function expectWhole(root: string, length: number): Promise<void> {
  expect(await unwell()).toEqual([]);
  expect(
    await sh('ca1', `openssl verify -CAfile ${root} -untrusted /etc/capstan/ca.crt /etc/capstan/ca.crt`),
  ).toContain('OK');
  expect((await sh('ca1', 'grep -c BEGIN /etc/capstan/ca.crt')).trim()).toBe(String(length));
  for (const port of [8443, 636])
    expect(
      await sh(
        'ca1',
        `openssl s_client -connect ca1.example.test:${port} -CAfile ${root} -verify_return_error </dev/null 2>&1`,
      ),
    ).toContain('Verify return code: 0 (ok)');
  expect(await keys('ca1', await hsmToken())).toEqual(CA_KEYS);
  expect(await keys('ca1', 'internal')).toEqual(['Server-Cert cert-pki-ca']);
  const trusted = await trustFlags('ca1', 'internal');
  const above = Array.from({ length: length - 1 }, (_, index) => `externalCACert cert-pki-ca ${index + 1}`);
  for (const name of ['caSigningCert cert-pki-ca', ...above])
    expect([name, trusted[name]]).toEqual([name, 'CT,C,C']);
  const certutil = 'certutil -V -u L -d /etc/pki/pki-tomcat/alias -n "caSigningCert cert-pki-ca"';
  expect(await sh('ca1', certutil)).toContain('certificate is valid');
  const published = await ldapsearch(
    'ca1',
    'cn=CAcert,cn=ipa,cn=etc,dc=example,dc=test',
    '-s base cACertificate',
  );
  expect(published.match(/cACertificate;binary::/g)).toHaveLength(length);
}

test('the second stage, with a certificate of capstan root on another token', async () => {
  const sum = await sh('ca1', `openssl req -in ${REQUEST} -outform DER | sha256sum | cut -d' ' -f1`);
  await certifyByRoot('ca1', REQUEST, `sha256:${sum.trim()}`);
  await succeeds('ca1', secondStage([`${OFFLINE}/root.crt`, `${OFFLINE}/ca.crt`]));
  await expectWhole(`${OFFLINE}/root.crt`, 2);
  expect((await capstan('ca1', ['renew', 'caSigningCert cert-pki-ca', '--force'])).last.code).toBe(
    'renewal-external',
  );
});
