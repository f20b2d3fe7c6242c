/**
 * A CA that another authority signs: the request, a reboot, what is refused of certificates by openssl(1), and the second
 * stage with one by `capstan root` on a token of its own. Judged by OpenSSL, certutil and OpenLDAP.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { labRestore, labSnapshot } from '../../src/lab/lab.ts';
import { capstan, ldapsearch, succeeds } from './cluster/hosts.ts';
import { CORP, certifyByOpenssl, certifyByRoot, OFFLINE } from './external/authorities.ts';
import { flawsOfServer } from './faults/judge.ts';
import { capstan as struck } from './faults/rig.ts';
import { hsmToken, keys, trustFlags } from './nss.ts';
import {
  freshLab,
  holdersOf,
  installOptions,
  LAB,
  machine,
  removeLab,
  SECRETS,
  sh,
  unwell,
  VALUES,
  value,
} from './support.ts';
import { inTerminal } from './terminal.ts';

const REQUEST = '/root/ca-signing.csr';
const CA_KEYS = ['auditSigningCert', 'caSigningCert', 'ocspSigningCert', 'subsystemCert'].map(
  (name) => `${name} cert-pki-ca`,
);
const PASSWORDS = SECRETS.filter((name) => name !== 'so-pin').flatMap((name) => [
  `--${name}-file`,
  `${VALUES}/${name}`,
]);
/** What the token lets one in with; it keeps the others. */
const PIN = ['--token-password-file', `${VALUES}/token-password`];
const SEALED = '/var/lib/capstan/passwords.sealed';
const GOOD = [`${CORP}/ca.crt`, `${CORP}/chain.p7b`];

function certificates(files: readonly string[]): string[] {
  return files.flatMap((file) => ['--external-cert-file', file]);
}

/** The words of the second stage, all passwords given again. */
function secondStage(files: readonly string[], ...more: readonly string[]): string[] {
  return ['server-install', '--unattended', ...PASSWORDS, ...certificates(files), ...more];
}

/** The words of the second stage with the passwords that the token keeps. */
const BY_PIN = ['server-install', ...PIN, ...certificates(GOOD)];

async function codes(words: readonly string[]): Promise<(string | undefined)[]> {
  const { exit, last } = await capstan('ca1', words);
  expect(exit).toBe(2);
  const failures = last.failures?.map(({ code }) => code) ?? [];
  return failures.length > 0 ? failures.toSorted() : [last.code];
}

beforeAll(async () => {
  await freshLab({ hosts: ['ca1'] });
  const options = await installOptions();
  await succeeds('ca1', ['server-install', '--unattended', '--external-ca', '--keep-secrets', ...options]);
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

  test('leaves no password in clear, and those that the token keeps to root', async () => {
    for (const name of SECRETS)
      expect([name, await holdersOf('ca1', `${VALUES}/${name}`)]).toEqual([name, []]);
    expect((await sh('ca1', `stat -c '%a %U' ${SEALED}`)).trim()).toBe('600 root');
  });

  test('leaves a key on the token that opens them, and can do nothing else', async () => {
    const listed = await sh(
      'ca1',
      `pkcs11-tool --module "$(cat ${VALUES}/library-path)" --token-label "$(cat ${VALUES}/token-name)" --login --pin "$(cat ${VALUES}/token-password)" --list-objects --type privkey`,
    );
    const [sealing, ...others] = listed
      .split(/^(?=Private Key Object)/m)
      .filter((one) => one.includes('Capstan'));
    expect(others).toEqual([]);
    expect(sealing).toMatch(/Usage: +decrypt\n/);
    expect(sealing).toMatch(/Access: .*never extractable/);
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
    expect(await codes(BY_PIN)).toEqual(['sealed-passwords-unusable']);
    await sh('ca1', 'cd /var/lib/softhsm; rm -r tokens/*; cp -r /root/away/* tokens; rm -r /root/away');
  });
});

describe('passwords that the token keeps', () => {
  test.each([
    ['a file that was cut off', `truncate -s -20 ${SEALED}`, PIN, 'sealed-passwords-unusable'],
    [
      'a file that was changed',
      `sed -i 's/"text": "../"text": "AA/' ${SEALED}`,
      PIN,
      'sealed-passwords-unusable',
    ],
    ['no file', `rm ${SEALED}`, PIN, 'sealed-passwords-unusable'],
    ['another PIN', 'true', ['--token-password-file', `${VALUES}/admin-password`], 'pin-incorrect'],
  ])('are not opened with %s', async (_, spoil, pin, code) => {
    await sh('ca1', `cp -p ${SEALED} /root/sealed; ${spoil}`);
    expect(await codes(['server-install', '--unattended', ...pin, ...certificates(GOOD)])).toEqual([code]);
    await sh('ca1', `mv /root/sealed ${SEALED}`);
  });

  test('are not asked for at a terminal, where the PIN is', async () => {
    const command = ['capstan', 'server-install', ...certificates([`${CORP}/none.crt`])];
    const pin = `${await value('token-password')}\r`;
    const { output, exit } = await inTerminal('ca1', command, [['oken password', pin]]);
    expect(output).toContain('external-file-unreadable');
    expect(output).not.toMatch(/Directory Manager password|admin password/i);
    expect(exit).toBe(2);
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

/** Whether the administrator's password is the one of the first stage. */
function administratorBinds(): Promise<string> {
  const as = '-x -D uid=admin,ou=people,o=ipaca';
  const secret = `-y <(tr -d '\\n' < ${VALUES}/admin-password)`;
  return sh(
    'ca1',
    `LDAPTLS_CACERT=/etc/capstan/ca.crt ldapwhoami -H ldaps://ca1.example.test ${as} ${secret}`,
  );
}

describe('the second stage', () => {
  test('with a certificate of capstan root on another token, and passwords that are given again', async () => {
    const sum = await sh('ca1', `openssl req -in ${REQUEST} -outform DER | sha256sum | cut -d' ' -f1`);
    await certifyByRoot('ca1', REQUEST, `sha256:${sum.trim()}`);
    await sh('ca1', `truncate -s 100 ${SEALED}`);
    await succeeds('ca1', secondStage([`${OFFLINE}/root.crt`, `${OFFLINE}/ca.crt`]));
    await expectWhole(`${OFFLINE}/root.crt`, 2);
    expect((await capstan('ca1', ['renew', 'caSigningCert cert-pki-ca', '--force'])).last.code).toBe(
      'renewal-external',
    );
  });

  test('by the PIN alone, killed, and gone on with without the files', async () => {
    await labRestore(machine, LAB, 'waiting');
    await certifyByOpenssl('ca1', REQUEST);
    const blow = { signal: 'SIGKILL' } as const;
    const strike = { step: 'certificate-authority', state: 'applying', after: 20_000, blow } as const;
    const { signal, hits } = await struck(BY_PIN, { strikes: [strike] });
    expect([signal, hits.map(({ found }) => found)]).toEqual(['SIGKILL', ['applying']]);
    await sh('ca1', `rm ${GOOD.join(' ')}`);
    await succeeds('ca1', ['server-install', '--unattended', '--resume', ...PIN]);
    await expectWhole(`${CORP}/root.crt`, 3);
    // No password anywhere but where Dogtag and certmonger keep theirs, and nothing on the token but the keys of the CA.
    expect(await flawsOfServer()).toEqual([]);
    expect(await sh('ca1', `ls ${SEALED} 2>/dev/null || true`)).toBe('');
    expect(await administratorBinds()).toContain('uid=admin');
  });
});
