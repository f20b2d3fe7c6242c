import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { AsnConvert, OctetString } from '@peculiar/asn1-schema';
import {
  AlgorithmIdentifier,
  BasicConstraints,
  Certificate,
  CRLDistributionPoints,
  DistributionPoint,
  DistributionPointName,
  Extension,
  GeneralName,
  KeyUsage,
  KeyUsageFlags,
  Name,
  SubjectKeyIdentifier,
  type TBSCertificate,
  Time,
} from '@peculiar/asn1-x509';
import { describe, expect, test } from 'vitest';
import { rsaKey } from '../../../src/hsm/public-key.ts';
import {
  authorityKey,
  type CertificateWish,
  signCertificate,
  toBeSigned,
} from '../../../src/root/certificate.ts';
import { lint, RULES } from '../../../src/root/lint.ts';
import { derOf, EXTENSIONS, extension, nameOf, type Signer, spkiOf } from '../../../src/root/x509.ts';

const rootPair = generateKeyPairSync('rsa', { modulusLength: 2048 });
const caPair = generateKeyPairSync('rsa', { modulusLength: 2048 });
const ROOT = nameOf('CN=Root,O=Example,C=DE');
const ISSUING = nameOf('CN=Issuing,O=Example,C=DE');

const signer: Signer = {
  hash: 'SHA-256',
  sign: async (bytes) => sign('SHA256', bytes, rootPair.privateKey),
};

function rootWish(changes: Partial<CertificateWish> = {}): CertificateWish {
  return {
    serial: Buffer.from('40'.padEnd(32, '5'), 'hex'),
    subject: ROOT,
    issuer: ROOT,
    notBefore: new Date('2026-01-01T00:00:00Z'),
    notAfter: new Date('2045-12-31T23:59:59Z'),
    key: rootPair.publicKey,
    issuerKey: rootPair.publicKey,
    pathLength: 1,
    hash: 'SHA-256',
    ...changes,
  };
}

function issuingWish(changes: Partial<CertificateWish> = {}): CertificateWish {
  return rootWish({
    subject: ISSUING,
    key: caPair.publicKey,
    notAfter: new Date('2035-12-31T23:59:59Z'),
    pathLength: 0,
    addresses: { crlUrls: ['http://a.test/r.crl'], certificateUrls: [], ocspUrls: [] },
    ...changes,
  });
}

const root = await signCertificate(toBeSigned(rootWish()), signer);

function codesOf(tbs: TBSCertificate, issuer?: Buffer): string[] {
  return lint(derOf(tbs), { hash: 'SHA-256', issuer }).map(({ code }) => code);
}

/** The root's own certificate with something changed in it before it is signed. */
function broken(change: (tbs: TBSCertificate) => void): string[] {
  const tbs = toBeSigned(rootWish());
  change(tbs);
  return codesOf(tbs);
}

/** The same of a certificate that the root issues. */
function brokenBelow(
  changes: Partial<CertificateWish>,
  change: (tbs: TBSCertificate) => void = () => {},
): string[] {
  const tbs = toBeSigned(issuingWish(changes));
  change(tbs);
  return codesOf(tbs, root);
}

function withExtension(name: keyof typeof EXTENSIONS, change: (one: Extension) => Extension | undefined) {
  return broken((tbs) => {
    const at = tbs.extensions?.findIndex(({ extnID }) => extnID === EXTENSIONS[name]) ?? -1;
    const [old] = tbs.extensions?.splice(at, 1) ?? [];
    const other = old && change(old);
    if (other) tbs.extensions?.splice(at, 0, other);
  });
}

function serialOf(hex: string): (tbs: TBSCertificate) => void {
  return (tbs) => {
    tbs.serialNumber = Uint8Array.from(Buffer.from(hex, 'hex')).buffer;
  };
}

function keyed(key: KeyObject): string[] {
  return codesOf(toBeSigned(rootWish({ key, issuerKey: key })));
}

test('what is made as it should be has no findings, planned and signed', async () => {
  expect(codesOf(toBeSigned(rootWish()))).toEqual([]);
  expect(lint(root, { hash: 'SHA-256' })).toEqual([]);
  const below = await signCertificate(toBeSigned(issuingWish()), signer);
  expect(lint(below, { hash: 'SHA-256', issuer: root })).toEqual([]);
});

const points = (url: string) =>
  new CRLDistributionPoints([
    new DistributionPoint({
      distributionPoint: new DistributionPointName({
        fullName: [new GeneralName({ uniformResourceIdentifier: url })],
      }),
    }),
  ]);
const modulus = (hex: string) => rsaKey(`c${hex.repeat(511).slice(0, 510)}1`, '10001');
const small = generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey;

/** Each rule with what breaks it. */
const CASES: Record<string, () => string[] | Promise<string[]>> = {
  'version-3': () => broken((tbs) => void Object.assign(tbs, { version: 1 })),
  'serial-positive': () => broken(serialOf('00')),
  'serial-length': () => broken(serialOf('40'.padEnd(42, '1'))),
  'serial-entropy': () => broken(serialOf('4011111111111111')),
  'signature-algorithm': () =>
    broken((tbs) => {
      tbs.signature = new AlgorithmIdentifier({ algorithm: '1.2.840.113549.1.1.5', parameters: null });
    }),
  'subject-empty': () => broken((tbs) => void Object.assign(tbs, { subject: new Name() })),
  'subject-complete': () =>
    codesOf(toBeSigned(rootWish({ subject: nameOf('CN=R'), issuer: nameOf('CN=R') }))),
  'issuer-matches': () => broken((tbs) => void Object.assign(tbs, { issuer: ISSUING })),
  'subject-differs': () => brokenBelow({ subject: ROOT }),
  'validity-order': () => codesOf(toBeSigned(rootWish({ notAfter: new Date('2025-01-01T00:00:00Z') }))),
  'validity-encoding': () =>
    broken((tbs) => {
      tbs.validity.notAfter = new Time({ generalTime: new Date('2045-12-31T23:59:59Z') });
    }),
  'validity-nested': () => brokenBelow({ notAfter: new Date('2046-01-01T00:00:00Z') }),
  'validity-length': () => codesOf(toBeSigned(rootWish({ notAfter: new Date('2027-01-01T00:00:00Z') }))),
  'rsa-modulus-size': () => keyed(small),
  'rsa-modulus-factors': () => keyed(rsaKey((3n ** 1292n).toString(16), '10001')),
  'rsa-exponent': () => keyed(rsaKey(modulusHex(), '3')),
  'key-differs': () => brokenBelow({ key: rootPair.publicKey }),
  'extensions-once': () => broken((tbs) => void tbs.extensions?.push(tbs.extensions[0] as Extension)),
  'extensions-known': () =>
    broken((tbs) => {
      tbs.extensions?.push(new Extension({ extnID: '1.2.3.4', extnValue: new OctetString([5, 0]) }));
    }),
  'basic-constraints-ca': () =>
    withExtension('basicConstraints', () => extension('basicConstraints', true, new BasicConstraints())),
  'basic-constraints-critical': () =>
    withExtension('basicConstraints', () =>
      extension('basicConstraints', false, new BasicConstraints({ cA: true })),
    ),
  'path-length': () => brokenBelow({ pathLength: 1 }),
  'key-usage': () =>
    withExtension('keyUsage', () => extension('keyUsage', true, new KeyUsage(KeyUsageFlags.keyCertSign))),
  'key-usage-critical': () =>
    withExtension('keyUsage', () =>
      extension('keyUsage', false, new KeyUsage(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign)),
    ),
  'extended-key-usage': () =>
    broken((tbs) => {
      tbs.extensions?.push(
        new Extension({ extnID: EXTENSIONS.extendedKeyUsage, extnValue: new OctetString([48, 0]) }),
      );
    }),
  'subject-key-identifier': () =>
    withExtension('subjectKeyIdentifier', () =>
      extension('subjectKeyIdentifier', false, new SubjectKeyIdentifier(Buffer.alloc(20))),
    ),
  'authority-key-identifier': () => withExtension('authorityKeyIdentifier', () => undefined),
  'identifiers-critical': () =>
    withExtension(
      'authorityKeyIdentifier',
      ({ extnID, extnValue }) => new Extension({ extnID, extnValue, critical: true }),
    ),
  'addresses-http': () =>
    broken(
      (tbs) => void tbs.extensions?.push(extension('crlDistributionPoints', false, points('ldap://a.test/'))),
    ),
  'addresses-critical': () =>
    broken(
      (tbs) => void tbs.extensions?.push(extension('crlDistributionPoints', true, points('http://a.test/'))),
    ),
  'addresses-crl': () => brokenBelow({ addresses: { crlUrls: [], certificateUrls: [], ocspUrls: [] } }),
  'signature-agrees': async () => {
    const certificate = AsnConvert.parse(root, Certificate);
    certificate.signatureAlgorithm = new AlgorithmIdentifier({
      algorithm: '1.2.840.113549.1.1.12',
      parameters: null,
    });
    return lint(derOf(certificate), { hash: 'SHA-256' }).map(({ code }) => code);
  },
  'signature-verifies': async () => {
    const other = { ...signer, sign: async (bytes: Buffer) => sign('SHA256', bytes, caPair.privateKey) };
    const der = await signCertificate(toBeSigned(rootWish()), other);
    return lint(der, { hash: 'SHA-256' }).map(({ code }) => code);
  },
};

function modulusHex(): string {
  const { n = '' } = rootPair.publicKey.export({ format: 'jwk' });
  return Buffer.from(n, 'base64url').toString('hex');
}

describe('each rule, broken', () => {
  test('there is a case for every rule', () => {
    expect(Object.keys(CASES).toSorted()).toEqual(RULES.map(({ code }) => code).toSorted());
  });

  test.each(Object.keys(CASES))('%s', async (code) => {
    expect(await CASES[code]?.()).toContain(code);
  });

  test('few rules are touched by what breaks another', async () => {
    const alone = [
      'version-3',
      'serial-length',
      'key-usage',
      'path-length',
      'addresses-http',
      'signature-verifies',
    ];
    for (const code of alone) expect(await CASES[code]?.()).toEqual([code]);
  });
});

test.each([
  ['nothing', Buffer.alloc(0)],
  ['a word', Buffer.from('word')],
  ['a tail', Buffer.concat([root, Buffer.from([0])])],
])('%s is no certificate', (_, der) => {
  expect(lint(der, { hash: 'SHA-256' }).map(({ code }) => code)).toEqual(['encoding']);
});

test('an authority key identifier is that of the issuer', () => {
  const tbs = toBeSigned(issuingWish());
  const at = tbs.extensions?.findIndex(({ extnID }) => extnID === EXTENSIONS.authorityKeyIdentifier) ?? -1;
  tbs.extensions?.splice(at, 1, extension('authorityKeyIdentifier', false, authorityKey(Buffer.alloc(20))));
  expect(codesOf(tbs, root)).toEqual(['authority-key-identifier']);
  expect(spkiOf(modulus('a')).algorithm.algorithm).toBe('1.2.840.113549.1.1.1');
});
