/** Whether a certificate can follow the one that a CA has, by certificates of openssl(1). */

import type { X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { certificateRequest } from '../../../src/external/request.ts';
import {
  flawsOfSuccessor,
  keyIdentifierIn,
  selfSignedAnew,
  subjectIn,
} from '../../../src/external/successor.ts';
import { judgeCertificates } from '../../../src/external/validate.ts';
import { endsEarly, externalLifetimes } from '../../../src/names/external-chain.ts';
import { derOf, pemOf } from '../../../src/root/x509.ts';
import { type Authority, authority, type Party } from './authority.ts';

const SUBJECT = '/O=EXAMPLE.TEST/CN=Certificate Authority';

let folder: string;
let at: Authority;
let root: X509Certificate;
let ca: Party;
let own: X509Certificate;
let below: X509Certificate;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'capstan-successor-'));
  at = authority(folder);
  const top = at.party('root', '/O=Corp/CN=Corp Root');
  root = at.certify(top, top);
  ca = at.party('ca', SUBJECT, ['RSA', '-pkeyopt', 'rsa_keygen_bits:2048']);
  own = at.certify(ca, ca, 'own', { serial: '01' });
  below = at.certify(ca, top, 'below', { serial: '01' });
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function until(day: string): Date {
  return new Date(`${day}T00:00:00Z`);
}

function codes(certificate: X509Certificate, current: X509Certificate): string[] {
  return flawsOfSuccessor(certificate, current).map(({ code }) => code);
}

describe('a certificate for the same key', () => {
  test('follows one that the CA signed itself, and the other way round, whatever their numbers', () => {
    expect(below.serialNumber).toBe(own.serialNumber);
    expect(codes(below, own)).toEqual([]);
    expect(codes(own, below)).toEqual([]);
  });

  test('does not follow itself', () => {
    expect(codes(below, below)).toEqual(['external-unchanged']);
  });

  test('must have the name in the same encoding, and the same key identifier', () => {
    writeFileSync(
      at.file('printable.cnf'),
      '[req]\ndistinguished_name=d\nprompt=no\nstring_mask=pkix\nx509_extensions=e\n[d]\nO=EXAMPLE.TEST\nCN=Certificate Authority\n[e]\nbasicConstraints=critical,CA:TRUE\nsubjectKeyIdentifier=00112233\n',
    );
    at.openssl(
      ...['req', '-x509', '-config', 'printable.cnf', '-key', ca.key, '-days', '9', '-out', 'printable.crt'],
    );
    const printable = at.certificate('printable.crt');
    expect(printable.subject).toBe(own.subject);
    expect(codes(printable, own)).toEqual(['external-subject-encoding', 'external-key-identifier']);
  });

  test('is found among others, the one that the CA has beside it', () => {
    const wish = { subject: 'CN=Certificate Authority,O=EXAMPLE.TEST', key: at.publicKey(ca), current: own };
    expect(judgeCertificates([own, below, root], wish).chain?.certificate.raw.equals(below.raw)).toBe(true);
    const other = judgeCertificates([below, root], { ...wish, current: below });
    expect(other.flaws.map(({ code }) => code)).toEqual(['external-unchanged']);
    expect(judgeCertificates([own, below, root], { ...wish, current: root }).flaws[0]?.code).toBe(
      'external-certificate-ambiguous',
    );
  });
});

describe('a request for an installed CA', () => {
  test('has the name as its certificate encodes it, and its key identifier', async () => {
    writeFileSync(
      at.file('kept.cnf'),
      '[req]\ndistinguished_name=d\nprompt=no\nstring_mask=pkix\nx509_extensions=e\n[d]\nO=EXAMPLE.TEST\nCN=Certificate Authority\n[e]\nsubjectKeyIdentifier=0011223344\n',
    );
    at.openssl('req', '-x509', '-config', 'kept.cnf', '-key', ca.key, '-days', '9', '-out', 'kept.crt');
    const current = at.certificate('kept.crt');
    const request = await certificateRequest(
      { subject: subjectIn(current), key: current.publicKey, keyIdentifier: keyIdentifierIn(current) },
      { hash: 'SHA-256', sign: async (bytes) => at.sign(ca, bytes) },
    );
    writeFileSync(at.file('made.csr'), pemOf('CERTIFICATE REQUEST', request));
    const text = at.openssl('req', '-in', 'made.csr', '-noout', '-text', '-verify');
    expect(text).toContain('00:11:22:33:44');
    expect(request.includes(derOf(subjectIn(current)))).toBe(true);
  });
});

describe('a CA that signs itself once more', () => {
  test('goes on with its name, its key and its extensions for as long as before', async () => {
    const now = until('2047-03-01');
    const signer = { hash: 'SHA-256', sign: async (bytes: Buffer) => at.sign(ca, bytes) } as const;
    const anew = await selfSignedAnew(own, signer, now);
    expect(codes(anew, own)).toEqual([]);
    expect(anew.serialNumber).not.toBe(own.serialNumber);
    expect(anew.validFromDate).toEqual(now);
    const life = ({ validFromDate, validToDate }: X509Certificate) =>
      Number(validToDate) - Number(validFromDate);
    expect(life(anew)).toBe(life(own));
    const extensions = (file: string) =>
      at.openssl('x509', '-in', file, '-noout', '-ext', 'basicConstraints,keyUsage,subjectKeyIdentifier');
    writeFileSync(at.file('anew.crt'), String(anew));
    expect(extensions('anew.crt')).toBe(extensions('own.crt'));
    // What was issued before verifies with the new one, on a day on which the old one would do no more.
    at.certify(at.party('leaf', '/CN=leaf'), { ...ca, name: 'own' }, 'leaf', { to: '20490101000000Z' });
    const day = String(Number(until('2047-06-01')) / 1000);
    expect(() => at.openssl('verify', '-attime', day, '-CAfile', 'own.crt', 'leaf.crt')).toThrow('expired');
    at.openssl('verify', '-attime', day, '-CAfile', 'anew.crt', 'leaf.crt');
  });
});

describe('the end of what another authority signed', () => {
  test('is told of for the CA and all above it, and for no CA that signs itself', () => {
    const chain = `${below}${root}`;
    expect(externalLifetimes(chain).map(({ subject }) => subject)).toEqual([
      'O=EXAMPLE.TEST,CN=Certificate Authority',
      'O=Corp,CN=Corp Root',
    ]);
    expect(externalLifetimes(String(own))).toEqual([]);
    expect(externalLifetimes('')).toEqual([]);
  });

  test('is told of 90 days before', () => {
    const to = until('2026-06-01');
    expect(endsEarly({ to }, until('2026-03-02'))).toBe(false);
    expect(endsEarly({ to }, until('2026-03-04'))).toBe(true);
    expect(endsEarly({ to }, until('2026-07-01'))).toBe(true);
  });
});
