/** What certificates, requests and CRLs have in common: names, keys, algorithms, extensions. Pure. */

import { createHash, createPublicKey, type KeyObject, verify } from 'node:crypto';
import { AsnConvert, OctetString } from '@peculiar/asn1-schema';
import {
  AlgorithmIdentifier,
  AttributeTypeAndValue,
  AttributeValue,
  Extension,
  Name,
  RelativeDistinguishedName,
  SubjectPublicKeyInfo,
} from '@peculiar/asn1-x509';
import { type Dn, formatDn, parseDn } from '../names/dn.ts';
import type { Hash } from './config.ts';

/** RSA with PKCS#1 v1.5 and a hash (RFC 4055, section 5). */
export const SIGNATURES: Readonly<Record<Hash, string>> = {
  'SHA-256': '1.2.840.113549.1.1.11',
  'SHA-384': '1.2.840.113549.1.1.12',
  'SHA-512': '1.2.840.113549.1.1.13',
};

/** Extensions by name (RFC 5280, 4.2, 5.2 and 5.3). */
export const EXTENSIONS = {
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  basicConstraints: '2.5.29.19',
  crlNumber: '2.5.29.20',
  reasonCode: '2.5.29.21',
  crlDistributionPoints: '2.5.29.31',
  authorityKeyIdentifier: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
  authorityInfoAccess: '1.3.6.1.5.5.7.1.1',
} as const;

/** The attribute types that a subject may have (src/names/subject.ts): RFC 4519, RFC 2985, X.520. */
const ATTRIBUTES: Readonly<Record<string, string>> = {
  cn: '2.5.4.3',
  sn: '2.5.4.4',
  serialnumber: '2.5.4.5',
  c: '2.5.4.6',
  l: '2.5.4.7',
  st: '2.5.4.8',
  street: '2.5.4.9',
  o: '2.5.4.10',
  ou: '2.5.4.11',
  title: '2.5.4.12',
  givenname: '2.5.4.42',
  initials: '2.5.4.43',
  generationqualifier: '2.5.4.44',
  dnqualifier: '2.5.4.46',
  uid: '0.9.2342.19200300.100.1.1',
  mail: '0.9.2342.19200300.100.1.3',
  dc: '0.9.2342.19200300.100.1.25',
  e: '1.2.840.113549.1.9.1',
};
/** Types whose syntax is PrintableString or IA5String (RFC 5280, appendix A.1); all others are UTF8String. */
const PRINTABLE = ['c', 'serialnumber', 'dnqualifier'];
const IA5 = ['dc', 'e', 'mail'];

/** Signs bytes with the key of the root, and nothing else: the hash is part of it. */
export interface Signer {
  hash: Hash;
  sign(bytes: Buffer): Promise<Buffer>;
}

/** The name of RFC 4514 as X.501 has it: least specific part first. */
export function nameOf(text: string): Name {
  const parts = parseDn(text).toReversed();
  return new Name(
    parts.map(
      (rdn) =>
        new RelativeDistinguishedName(
          rdn
            .map(
              ({ type, value }) =>
                new AttributeTypeAndValue({ type: oidOf(type), value: attributeValue(type, value) }),
            )
            // DER sorts a SET OF by the encodings of its members (X.690, 11.6).
            .toSorted((one, other) => Buffer.compare(derOf(one), derOf(other))),
        ),
    ),
  );
}

function oidOf(type: string): string {
  const oid = ATTRIBUTES[type.toLowerCase()] ?? type;
  if (!/^[0-2](?:\.\d+)+$/.test(oid)) throw new Error(`no object identifier is known for ${type}`);
  return oid;
}

function attributeValue(type: string, value: string): AttributeValue {
  const key = type.toLowerCase();
  if (PRINTABLE.includes(key)) return new AttributeValue({ printableString: value });
  return new AttributeValue(IA5.includes(key) ? { ia5String: value } : { utf8String: value });
}

/** The name of a certificate or a request as RFC 4514 writes it; what has no short name is left with its number. */
export function textOf(name: Name): string {
  const types = new Map(Object.entries(ATTRIBUTES).map(([type, oid]) => [oid, type.toUpperCase()]));
  const dn: Dn = [...name]
    .map((rdn) =>
      [...rdn].map(({ type, value }) => ({ type: types.get(type) ?? type, value: value.toString() })),
    )
    .toReversed();
  return formatDn(dn);
}

/** The algorithm of a signature; RFC 4055, 5: the parameters are NULL. */
export function signatureAlgorithm(hash: Hash): AlgorithmIdentifier {
  return new AlgorithmIdentifier({ algorithm: SIGNATURES[hash], parameters: null });
}

/** The hash of a signature algorithm; undefined where it is none of {@link SIGNATURES}. */
export function hashOf(algorithm: string): Hash | undefined {
  return (Object.keys(SIGNATURES) as Hash[]).find((hash) => SIGNATURES[hash] === algorithm);
}

/** Whether a signature is one over these bytes by this key, by OpenSSL's judgement. */
export function isSignature(hash: Hash, key: KeyObject, bytes: Uint8Array, signature: Uint8Array): boolean {
  return verify(hash.replace('-', ''), bytes, key, signature);
}

/** A public key as certificates carry it. */
export function spkiOf(key: KeyObject): SubjectPublicKeyInfo {
  return AsnConvert.parse(key.export({ type: 'spki', format: 'der' }), SubjectPublicKeyInfo);
}

/** The key that a certificate or a request carries. */
export function keyOf(spki: SubjectPublicKeyInfo): KeyObject {
  return createPublicKey({ key: derOf(spki), format: 'der', type: 'spki' });
}

/** The key identifier of RFC 5280, 4.2.1.2, method 1: SHA-1 of the bits of the public key. */
export function keyIdentifier({ subjectPublicKey }: SubjectPublicKeyInfo): Buffer {
  return createHash('sha1').update(new Uint8Array(subjectPublicKey)).digest();
}

/** The DER encoding of a value of the library's types. */
export function derOf(value: unknown): Buffer {
  return Buffer.from(AsnConvert.serialize(value));
}

/** An extension with its value encoded. */
export function extension(name: keyof typeof EXTENSIONS, critical: boolean, value: unknown): Extension {
  const extnValue = new OctetString(AsnConvert.serialize(value));
  return new Extension({ extnID: EXTENSIONS[name], critical, extnValue });
}

/** SHA-256 in lower-case hex. */
export function sha256(bytes: Uint8Array | string): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** The bytes as a PEM file (RFC 7468) with this label. */
export function pemOf(label: 'CERTIFICATE' | 'CERTIFICATE REQUEST' | 'X509 CRL', der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}

/**
 * The bytes of the one PEM block in a file, or the file's own where it is DER; undefined where it is neither.
 * @param labels the labels that are looked for
 */
export function derIn(bytes: Buffer, labels: readonly string[]): Buffer | undefined {
  if (bytes[0] === 0x30) return bytes;
  const pattern = new RegExp(
    `-----BEGIN (${labels.join('|')})-----([A-Za-z0-9+/=\\s]+)-----END \\1-----`,
    'g',
  );
  const blocks = [...bytes.toString('latin1').matchAll(pattern)];
  const [block] = blocks;
  return block?.[2] && blocks.length === 1 ? Buffer.from(block[2], 'base64') : undefined;
}
