/** The proof that a token holds the keys of a CA, on SoftHSM tokens that pkcs11-tool fills. */
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { withModule } from '../../../src/hsm/module.ts';
import { type KeyFinding, lookForKeys } from '../../../src/hsm/possession.ts';
import { selectToken } from '../../../src/hsm/token.ts';
import {
  hostWithLog,
  pin,
  removeWorkspace,
  run,
  SOFTHSM,
  type SoftTokens,
  softTokens,
  workspace,
} from './support.ts';

const CA = 'caSigningCert cert-pki-ca';
const OCSP = 'ocspSigningCert cert-pki-ca';
const AUDIT = 'auditSigningCert cert-pki-ca';
const LABEL = 'hsm';

let directory: string;
let tokens: SoftTokens;
let ca: X509Certificate;

const file = (name: string) => join(directory, name);

/** Puts a certificate over the key of an id on the token, issued by an authority, as Dogtag leaves it. */
function certify(id: string, nickname: string, authority: string): void {
  tokens.tool(LABEL, '--read-object', '--type', 'pubkey', '--id', id, '--output-file', file(`${id}.pub`));
  run('openssl', ['pkey', '-pubin', '-inform', 'DER', '-in', file(`${id}.pub`), '-out', file(`${id}.pem`)]);
  run('openssl', [
    ...['x509', '-new', '-force_pubkey', file(`${id}.pem`), '-subj', `/CN=${id}`, '-days', '30'],
    ...['-CA', file(`${authority}.crt`), '-CAkey', file(`${authority}.key`)],
    ...['-outform', 'DER', '-out', file(`${id}.der`)],
  ]);
  tokens.tool(LABEL, '--write-object', file(`${id}.der`), '--type', 'cert', '--label', nickname, '--id', id);
}

/** The keys that are looked for: the CA's with its certificate, the others by what is on the token. */
async function look(certificate = ca): Promise<KeyFinding[]> {
  return withModule(hostWithLog().host, { libraryPath: SOFTHSM, env: tokens.env }, async (module) => {
    const { slot } = selectToken(await module.tokens(), LABEL);
    await module.login(slot, pin);
    const sought = [{ nickname: CA, certificate: certificate.raw }, { nickname: OCSP }, { nickname: AUDIT }];
    return lookForKeys(module, slot, sought, certificate);
  });
}

beforeAll(() => {
  directory = workspace();
  tokens = softTokens(directory, 'store');
  tokens.add(LABEL);
  for (const name of ['ca', 'other']) {
    run('openssl', [
      ...[
        'req',
        '-x509',
        '-newkey',
        'rsa:2048',
        '-nodes',
        '-subj',
        '/O=EXAMPLE.TEST/CN=Certificate Authority',
      ],
      ...['-addext', 'basicConstraints=critical,CA:TRUE', '-keyout', file(`${name}.key`)],
      ...['-out', file(`${name}.crt`)],
    ]);
  }
  ca = new X509Certificate(readFileSync(file('ca.crt')));
  run('openssl', ['rsa', '-in', file('ca.key'), '-outform', 'DER', '-traditional', '-out', file('ca.der')]);
});
afterAll(() => removeWorkspace(directory));

test('an empty token has none', async () => {
  expect(await look()).toEqual([
    { nickname: CA, state: 'no-key' },
    { nickname: OCSP, state: 'no-certificate' },
    { nickname: AUDIT, state: 'no-certificate' },
  ]);
});

test('a key that signs for its certificate is possessed, an imported one too', async () => {
  tokens.tool(LABEL, '--write-object', file('ca.der'), '--type', 'privkey', '--label', CA, '--id', 'a1');
  tokens.tool(LABEL, '--keypairgen', '--key-type', 'rsa:2048', '--label', OCSP, '--id', 'b2');
  certify('b2', OCSP, 'ca');
  tokens.tool(LABEL, '--keypairgen', '--key-type', 'rsa:2048', '--label', AUDIT, '--id', 'c3');
  certify('c3', AUDIT, 'ca');
  const serialNumber = new X509Certificate(readFileSync(file('b2.der'))).serialNumber;
  expect(await look()).toEqual([
    { nickname: CA, state: 'possessed', id: 'a1', serialNumber: ca.serialNumber },
    { nickname: OCSP, state: 'possessed', id: 'b2', serialNumber },
    expect.objectContaining({ nickname: AUDIT, state: 'possessed', id: 'c3' }),
  ]);
});

test('a CA of the same name and another key is not this one', async () => {
  const other = new X509Certificate(readFileSync(file('other.crt')));
  expect(await look(other)).toEqual([
    { nickname: CA, state: 'no-key' },
    { nickname: OCSP, state: 'foreign-certificate', issuer: other.subject },
    { nickname: AUDIT, state: 'foreign-certificate', issuer: other.subject },
  ]);
});

test('a certificate without its key is no key', async () => {
  tokens.tool(LABEL, '--delete-object', '--type', 'privkey', '--id', 'b2');
  expect((await look())[1]).toEqual({ nickname: OCSP, state: 'no-key' });
});

test('of two certificates of a name the one that the CA issued counts, and a renewed key', async () => {
  tokens.tool(LABEL, '--keypairgen', '--key-type', 'rsa:2048', '--label', OCSP, '--id', 'd4');
  certify('d4', OCSP, 'other');
  expect((await look())[1]).toEqual({ nickname: OCSP, state: 'no-key' });
  tokens.tool(LABEL, '--keypairgen', '--key-type', 'rsa:2048', '--label', '', '--id', 'e5');
  certify('e5', OCSP, 'ca');
  expect((await look())[1]).toMatchObject({ nickname: OCSP, state: 'possessed', id: 'e5' });
});
