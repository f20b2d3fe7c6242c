/** Where the certificate of a CA below another authority is, judged by OpenSSL, certutil and certmonger. */
import { expect } from 'vitest';
import { fqdn } from '../cluster/hosts.ts';
import { serialOf, tracked } from '../cluster/renewals.ts';
import { hsmToken, trustFlags } from '../nss.ts';
import { sh } from '../support.ts';

/** The nickname of the CA. */
export const CA = 'caSigningCert cert-pki-ca';
/** Those of the two above it, which `certifyByOpenssl` makes. */
export const ABOVE = ['externalCACert cert-pki-ca 1', 'externalCACert cert-pki-ca 2'];
/** The request of an installed CA. */
export const REQUEST = '/root/ca-renewal.csr';

/** The words that take certificates in. */
export function taken(files: readonly string[]): string[] {
  return ['ca-renew', '--unattended', ...files.flatMap((file) => ['--external-cert-file', file])];
}

/** The serial number and the public key of a certificate of a host. */
export async function serialAndKey(host: string, file = '/etc/capstan/ca.crt'): Promise<[string, string]> {
  const serial = await sh(host, `openssl x509 -in ${file} -noout -serial`);
  return [serialOf(serial), await sh(host, `openssl x509 -in ${file} -noout -pubkey`)];
}

/**
 * The CA of a host is the one with the serial number, on the token, in the databases, in files and in TLS, and verifies by
 * the certificate of its root alone.
 * @param root a file of the host @param above nicknames of those between
 */
export async function expectCa(
  host: string,
  serial: string,
  root: string,
  above: readonly string[],
): Promise<void> {
  const verify = `openssl verify -CAfile ${root} -untrusted /etc/capstan/ca.crt /etc/capstan/ca.crt`;
  expect([host, await sh(host, verify)]).toEqual([host, '/etc/capstan/ca.crt: OK\n']);
  expect((await sh(host, 'grep -c BEGIN /etc/capstan/ca.crt')).trim()).toBe(String(1 + above.length));
  expect([host, (await serialAndKey(host))[0]]).toEqual([host, serial]);
  for (const port of [8443, 636])
    expect(
      await sh(
        host,
        `openssl s_client -connect ${fqdn(host)}:${port} -CAfile ${root} -verify_return_error </dev/null 2>&1`,
      ),
    ).toContain('Verify return code: 0 (ok)');
  const trusted = await trustFlags(host, 'internal');
  for (const name of [CA, ...above]) expect([host, name, trusted[name]]).toEqual([host, name, 'CT,C,C']);
  expect(Object.keys(trusted).filter((name) => name.startsWith('externalCACert'))).toHaveLength(above.length);
  for (const [name, folder] of [
    [CA, '/etc/pki/pki-tomcat/alias'],
    ['Capstan CA', '/etc/dirsrv/slapd-EXAMPLE-TEST'],
  ] as const) {
    expect(await sh(host, `certutil -V -u L -d ${folder} -n '${name}'`)).toContain('certificate is valid');
    const held = await sh(host, `certutil -L -d ${folder} -n '${name}' -a | openssl x509 -noout -serial`);
    expect([host, folder, serialOf(held)]).toEqual([host, folder, serial]);
  }
  expect(Object.keys(await trustFlags(host, await hsmToken()))).toContain(CA);
  expect((await tracked(host))[CA]).toBe(serial);
}
