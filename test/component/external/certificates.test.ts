/** Certificates and chains made by openssl(1), good ones in every form and order, and bad ones, each with its name. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { certificatesIn, distinct } from '../../../src/external/bundle.ts';
import { judgeCertificates } from '../../../src/external/validate.ts';
import { type Authority, authority, type Party, type Wish } from './authority.ts';

const NOW = new Date('2026-06-01T00:00:00Z');
const SUBJECT = 'CN=Certificate Authority,O=EXAMPLE.TEST';

let folder: string;
let at: Authority;
let root: Party;
let middle: Party;
let ca: Party;
let other: Party;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'capstan-external-'));
  at = authority(folder);
  root = at.party('root', '/O=Corp/CN=Corp Root');
  middle = at.party('middle', '/O=Corp/CN=Corp Issuing');
  ca = at.party('ca', '/O=EXAMPLE.TEST/CN=Certificate Authority');
  other = at.party('other', '/O=EXAMPLE.TEST/CN=Certificate Authority');
  at.certify(root, root);
  at.certify(middle, root, 'middle', { serial: '2000' });
  at.certify(ca, middle, 'ca', { serial: '3000' });
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** The judgement on some files, by name. */
function judge(...names: string[]) {
  const given = names.flatMap((name) => {
    const found = certificatesIn(at.bytes(name));
    if (!found) throw new Error(`${name} cannot be read`);
    return found;
  });
  return judgeCertificates(distinct(given), { subject: SUBJECT, key: at.publicKey(ca) }, NOW);
}

function codes(...names: string[]): string[] {
  return judge(...names)
    .flaws.map(({ code }) => code)
    .toSorted();
}

/** The codes for a CA certificate that the middle issues in another way than a good one. */
function codesWith(name: string, wish: Wish): string[] {
  at.certify(ca, middle, name, { serial: '4000', ...wish });
  return codes(`${name}.crt`, 'middle.crt', 'root.crt');
}

describe('a good chain', () => {
  const good = (...names: string[]) => {
    const { chain, flaws } = judge(...names);
    expect(flaws).toEqual([]);
    expect(chain?.certificate.serialNumber).toBe('3000');
    expect(chain?.above.map(({ subject }) => subject)).toEqual([
      'O=Corp\nCN=Corp Issuing',
      'O=Corp\nCN=Corp Root',
    ]);
    return chain;
  };

  test('in any order, one file each', () => {
    good('ca.crt', 'middle.crt', 'root.crt');
    good('root.crt', 'ca.crt', 'middle.crt');
    good('middle.crt', 'root.crt', 'ca.crt');
  });

  test('in one PEM file with text around, and twice', () => {
    at.openssl(
      'crl2pkcs7',
      '-nocrl',
      '-certfile',
      'middle.crt',
      '-certfile',
      'root.crt',
      '-out',
      'chain.p7b',
    );
    const text = at.openssl('pkcs7', '-in', 'chain.p7b', '-print_certs');
    expect(text).toContain('subject=');
    at.openssl('pkcs7', '-in', 'chain.p7b', '-print_certs', '-out', 'chain.pem');
    good('chain.pem', 'ca.crt', 'root.crt', 'middle.crt');
  });

  test('in PKCS#7, PEM and DER, and in DER', () => {
    at.openssl('pkcs7', '-in', 'chain.p7b', '-outform', 'DER', '-out', 'chain.der');
    at.openssl('x509', '-in', 'ca.crt', '-outform', 'DER', '-out', 'ca.der');
    good('chain.p7b', 'ca.der');
    good('ca.der', 'chain.der');
  });

  test('with a certificate that is not needed, which is told', () => {
    const stranger = at.party('stranger', '/O=Else/CN=Else Root');
    at.certify(stranger, stranger);
    expect(good('ca.crt', 'middle.crt', 'stranger.crt', 'root.crt')?.unused).toHaveLength(1);
  });

  test('past a cross certificate that leads nowhere', () => {
    const lost = at.party('lost', '/O=Corp/CN=Lost Root');
    at.certify(lost, lost);
    at.certify(root, lost, 'cross', { serial: '2500' });
    good('ca.crt', 'middle.crt', 'cross.crt', 'root.crt');
  });

  test('directly under a root, also one that is an RSA key of version 1', () => {
    const old = at.party('old', '/O=Corp/CN=Old Root', ['RSA', '-pkeyopt', 'rsa_keygen_bits:2048']);
    at.openssl('req', '-new', '-key', old.key, '-subj', old.subject, '-out', 'old.csr');
    at.openssl(
      'x509',
      '-req',
      '-in',
      'old.csr',
      '-signkey',
      old.key,
      '-days',
      '3650',
      '-sha1',
      '-out',
      'old.crt',
    );
    at.certify(ca, old, 'under-old');
    const now = new Date();
    const given = [
      ...(certificatesIn(at.bytes('under-old.crt')) ?? []),
      ...(certificatesIn(at.bytes('old.crt')) ?? []),
    ];
    const { flaws } = judgeCertificates(given, { subject: SUBJECT, key: at.publicKey(ca) }, now);
    expect(flaws).toEqual([]);
  });
});

describe('is refused by its name:', () => {
  test('a certificate for another key', () => {
    at.certify(other, middle, 'other');
    expect(codes('other.crt', 'middle.crt', 'root.crt')).toEqual(['external-key-differs']);
  });

  test('a chain without the certificate of the CA', () => {
    expect(codes('middle.crt', 'root.crt')).toEqual(['external-certificate-missing']);
  });

  test('two certificates for the key', () => {
    at.certify(ca, root, 'second', { serial: '5000' });
    expect(codes('ca.crt', 'second.crt', 'middle.crt', 'root.crt')).toEqual([
      'external-certificate-ambiguous',
    ]);
  });

  test('another subject', () => {
    at.certify({ ...ca, subject: '/O=EXAMPLE.TEST/CN=Certificate Authority 2' }, middle, 'renamed');
    expect(codes('renamed.crt', 'middle.crt', 'root.crt')).toEqual(['external-subject-differs']);
  });

  test('one that the CA issued itself', () => {
    at.certify(ca, ca, 'self');
    expect(codes('self.crt', 'root.crt')).toEqual(['external-self-issued']);
  });

  test('one that is not of a CA, by CA:FALSE and by no word of it', () => {
    expect(codesWith('false', { basicConstraints: 'critical,CA:FALSE' })).toEqual(['external-not-ca']);
    expect(codesWith('none', { basicConstraints: undefined })).toEqual(['external-not-ca']);
  });

  test('a key usage without CRLs, without certificates, and none', () => {
    for (const keyUsage of ['critical,keyCertSign', 'critical,cRLSign', 'digitalSignature', undefined])
      expect(codesWith('usage', { keyUsage })).toEqual(['external-key-usage']);
  });

  test('an extended key usage without TLS', () => {
    expect(codesWith('mail', { more: ['extendedKeyUsage=emailProtection'] })).toEqual([
      'external-extended-key-usage',
    ]);
    expect(codesWith('any', { more: ['extendedKeyUsage=anyExtendedKeyUsage'] })).toEqual([]);
  });

  test('a critical extension that nobody knows', () => {
    expect(codesWith('odd', { more: ['1.2.3.4.5=critical,ASN1:NULL'] })).toEqual([
      'external-critical-extension',
    ]);
  });

  test('a time that has not come, and one that is over', () => {
    expect(codesWith('early', { from: '20300101000000Z' })).toEqual(['external-not-yet-valid']);
    expect(codesWith('late', { to: '20260101000000Z' })).toEqual(['external-expired']);
  });

  test('a chain of which one is over, or has not begun', () => {
    at.certify(middle, root, 'middle-late', { serial: '2000', to: '20260101000000Z' });
    expect(codes('ca.crt', 'middle-late.crt', 'root.crt')).toEqual(['external-chain-expired']);
    at.certify(middle, root, 'middle-early', { serial: '2000', from: '20300101000000Z' });
    expect(codes('ca.crt', 'middle-early.crt', 'root.crt')).toEqual(['external-chain-not-yet-valid']);
  });

  test('a chain without its root, and without what is between', () => {
    expect(codes('ca.crt', 'middle.crt')).toEqual(['external-chain-incomplete']);
    expect(codes('ca.crt', 'root.crt')).toEqual(['external-chain-incomplete']);
    expect(codes('ca.crt')).toEqual(['external-chain-incomplete']);
  });

  test('an issuer of the right name with another key', () => {
    const impostor = at.party('impostor', middle.subject);
    at.certify(impostor, root);
    expect(codes('ca.crt', 'impostor.crt', 'root.crt')).toEqual(['external-chain-signature']);
  });

  test('a certificate of which a bit was changed', () => {
    const [certificate] = certificatesIn(at.bytes('ca.crt')) ?? [];
    const bytes = Buffer.from(certificate?.raw ?? '');
    bytes[bytes.length - 3] = (bytes.at(-3) ?? 0) ^ 1;
    const given = [...(certificatesIn(bytes) ?? []), ...(certificatesIn(at.bytes('middle.crt')) ?? [])];
    const { flaws } = judgeCertificates(given, { subject: SUBJECT, key: at.publicKey(ca) }, NOW);
    expect(flaws.map(({ code }) => code)).toEqual(['external-chain-signature']);
  });

  test('an authority that is none', () => {
    at.certify(middle, root, 'middle-leaf', { serial: '2000', basicConstraints: 'CA:FALSE' });
    expect(codes('ca.crt', 'middle-leaf.crt', 'root.crt')).toEqual(['external-chain-not-ca']);
  });

  test('an authority whose key may not sign certificates', () => {
    at.certify(middle, root, 'middle-crl', { serial: '2000', keyUsage: 'critical,cRLSign' });
    expect(codes('ca.crt', 'middle-crl.crt', 'root.crt')).toEqual(['external-chain-key-usage']);
  });

  test('a path that is longer than an authority allows', () => {
    at.certify(middle, root, 'middle-0', { serial: '2000', basicConstraints: 'critical,CA:TRUE,pathlen:0' });
    expect(codes('ca.crt', 'middle-0.crt', 'root.crt')).toEqual(['external-path-length']);
    at.certify(root, root, 'root-1', { basicConstraints: 'critical,CA:TRUE,pathlen:1' });
    expect(codes('ca.crt', 'middle.crt', 'root-1.crt')).toEqual(['external-path-length']);
    at.certify(root, root, 'root-2', { basicConstraints: 'critical,CA:TRUE,pathlen:2' });
    expect(codes('ca.crt', 'middle.crt', 'root-2.crt')).toEqual([]);
  });

  test('a signature with SHA-1', () => {
    expect(codesWith('sha1', { digest: 'sha1' })).toEqual(['external-weak-signature']);
  });

  test('an authority with a weak key', () => {
    const weak = at.party('weak', '/O=Corp/CN=Weak Root', ['RSA', '-pkeyopt', 'rsa_keygen_bits:1024']);
    at.certify(weak, weak);
    at.certify(ca, weak, 'under-weak');
    expect(codes('under-weak.crt', 'weak.crt')).toEqual(['external-weak-key']);
  });

  test('all that is wrong, at once', () => {
    at.certify(ca, middle, 'wrong', {
      ...{ basicConstraints: 'CA:FALSE', keyUsage: 'digitalSignature', digest: 'sha1' },
      to: '20260101000000Z',
    });
    expect(codes('wrong.crt', 'middle.crt')).toEqual([
      'external-chain-incomplete',
      'external-expired',
      'external-key-usage',
      'external-not-ca',
      'external-weak-signature',
    ]);
  });

  test('a file of which nothing can be read', () => {
    expect(certificatesIn(Buffer.from('no certificate'))).toBeUndefined();
    expect(certificatesIn(Buffer.alloc(0))).toBeUndefined();
    expect(certificatesIn(at.bytes('ca.key'))).toBeUndefined();
    const [certificate] = certificatesIn(at.bytes('ca.crt')) ?? [];
    expect(certificatesIn(certificate?.raw.subarray(0, 100) ?? Buffer.alloc(0))).toBeUndefined();
    const damaged = at
      .bytes('ca.crt')
      .toString()
      .replace(/\n[A-Za-z0-9+/]{20}/, '\n!!!!!!!!!!!!!!!!!!!!');
    expect(certificatesIn(Buffer.from(damaged))).toBeUndefined();
  });
});
