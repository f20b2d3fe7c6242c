/** How a server without a CA keeps its one certificate, and that of the CA, renewed: ca2, beside ca1. */
import { describe, expect, test } from 'vitest';
import { fqdn, ldapmodify, ldapsearch, succeeds, until, valuesOf } from '../cluster/hosts.ts';
import { sh } from '../support.ts';
import { codesOf, findings } from './fault.ts';

const REQUESTS = 'cn=ca_renewal,cn=ipa,cn=etc,dc=example,dc=test';
const SHOWN = (host: string, words: string) =>
  sh(
    'ca1',
    `openssl s_client -connect ${fqdn(host)}:636 < /dev/null 2>/dev/null | openssl x509 -noout ${words}`,
  );
/** Verified by a client that trusts what the other server has in its file. */
const VERIFIED = `openssl s_client -connect ca2.example.test:636 -CAfile /etc/capstan/ca.crt -verify_return_error < /dev/null > /dev/null 2>&1 && echo verified`;

/** A request for the name of a server, with a key that is not that of its directory. */
function forged(name: string): string {
  return `openssl req -new -newkey rsa:2048 -nodes -keyout /dev/null -subj '/O=EXAMPLE.TEST/CN=${name}' -outform DER 2>/dev/null | base64 -w0`;
}

/** Puts a request into the directory, as somebody could who may write there. */
async function slip(host: string, name: string): Promise<void> {
  const request = await sh(host, forged(name));
  await ldapmodify(
    host,
    `dn: cn=${name},${REQUESTS}\nchangetype: add\nobjectClass: top\nobjectClass: nsContainer\nobjectClass: pkiUser\nobjectClass: ipaConfigObject\ncn: ${name}\nipaConfigString: request ${request}\n`,
  );
}

/** What is asked for, and its answers, in an order that does not depend on the host. */
async function answers(host: string): Promise<string> {
  const told = await ldapsearch(
    host,
    REQUESTS,
    "'(ipaConfigString=request *)' ipaConfigString userCertificate",
  );
  return told.split('\n').toSorted().join('\n');
}

function caCertificate(host: string): Promise<string> {
  return ldapsearch(host, 'cn=CAcert,cn=ipa,cn=etc,dc=example,dc=test', "-s base 'cACertificate;binary'");
}

/** What is written on one host arrives on the other within a moment. */
async function alike(look: (host: string) => Promise<string>): Promise<void> {
  const both = () => Promise.all(['ca1', 'ca2'].map(look));
  const { found } = await until(20, both, ([one, other]) => one === other);
  expect(found[0]).toBe(found[1]);
}

/** What the timer does. */
async function serviceRuns(host: string): Promise<void> {
  await sh(host, 'systemctl start capstan-renewal.service', { deadline: 300 });
}

/** A feed to a directory that was started anew is tried again within half a minute. */
async function expectWell(): Promise<void> {
  for (const host of ['ca1', 'ca2']) {
    const { found } = await until(
      60,
      async () => codesOf(await findings(host)),
      (codes) => codes.length === 0,
    );
    expect([host, found]).toEqual([host, []]);
  }
}

/** The tests; for a describe() of two servers that have no fault. */
export function withoutCaTests(): void {
  describe('renewal', () => {
    test('gives nothing to a request of another key, or of no server of the cluster', async () => {
      const before = await SHOWN('ca2', '-serial');
      await slip('ca2', 'ca2.example.test');
      await slip('ca1', 'www.example.test');
      await slip('ca1', 'ca1.example.test');
      await alike(answers);
      const { output } = await succeeds('ca1', ['renew']);
      expect(output.match(/Refused a certificate/g)?.length).toBe(3);
      const told = await answers('ca1');
      expect(valuesOf(told, 'userCertificate:')).toEqual([]);
      expect(told).toMatch(/refused The request is for another key/);
      expect(told).toMatch(/refused www\.example\.test is no server/);
      expect(told).toMatch(/refused ca1\.example\.test has a CA/);
      for (const name of ['www', 'ca1'])
        await ldapmodify('ca1', `dn: cn=${fqdn(name)},${REQUESTS}\nchangetype: delete\n`);
      expect(await SHOWN('ca2', '-serial')).toBe(before);
    });

    test('of the certificate of its directory is asked of the other server, and comes back', async () => {
      const [serial, key] = [await SHOWN('ca2', '-serial'), await SHOWN('ca2', '-pubkey')];
      const { last } = await succeeds('ca2', ['renew', 'directory', '--force']);
      expect(JSON.stringify(last)).toMatch(/ca2\.example\.test waits for .*; ca1\.example\.test issues it/);
      await alike(answers);
      expect(await sh('ca2', 'capstan status || true')).toMatch(/asked for; ca1\.example\.test issues it/);
      await succeeds('ca1', ['renew']);
      await alike(answers);
      await succeeds('ca2', ['renew']);
      expect(await SHOWN('ca2', '-serial')).not.toBe(serial);
      expect(await SHOWN('ca2', '-pubkey')).toBe(key);
      expect(await sh('ca1', VERIFIED)).toBe('verified\n');
      expect(await answers('ca2')).not.toContain('request');
      await expectWell();
    });

    test('of the CA is followed by its timer', async () => {
      await succeeds('ca1', ['renew', 'caSigningCert cert-pki-ca', '--force']);
      const renewed = await sh('ca1', 'cat /etc/capstan/ca.crt');
      expect(await sh('ca2', 'cat /etc/capstan/ca.crt')).not.toBe(renewed);
      await alike(caCertificate);
      await serviceRuns('ca2');
      expect(await sh('ca2', 'cat /etc/capstan/ca.crt')).toBe(renewed);
      expect(await sh('ca2', VERIFIED)).toBe('verified\n');
      expect(await sh('ca2', 'systemctl is-enabled capstan-renewal.timer')).toBe('enabled\n');
      await expectWell();
    });
  });
}
