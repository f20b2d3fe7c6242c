/** Composes the certificates of an offline root: its own, and those that it issues. Pure; a signer signs. */

import { type KeyObject, randomBytes } from 'node:crypto';
import { AsnConvert, OctetString } from '@peculiar/asn1-schema';
import {
  AccessDescription,
  AuthorityInfoAccessSyntax,
  AuthorityKeyIdentifier,
  BasicConstraints,
  Certificate,
  CRLDistributionPoints,
  DistributionPoint,
  DistributionPointName,
  type Extension,
  Extensions,
  GeneralName,
  id_ad_caIssuers,
  id_ad_ocsp,
  KeyIdentifier,
  KeyUsage,
  KeyUsageFlags,
  type Name,
  SubjectKeyIdentifier,
  TBSCertificate,
  Validity,
  Version,
} from '@peculiar/asn1-x509';
import type { Hash, RootConfig } from './config.ts';
import { derOf, extension, keyIdentifier, keyOf, type Signer, signatureAlgorithm, spkiOf } from './x509.ts';

/** Octets of a serial number: 126 bits of chance; CA/B Baseline Requirements 7.1 want 64, RFC 5280 allows 20 octets. */
const SERIAL_OCTETS = 16;

/** What is to be certified. */
export interface CertificateWish {
  /** From {@link newSerial}. */
  serial: Buffer;
  subject: Name;
  issuer: Name;
  notBefore: Date;
  notAfter: Date;
  key: KeyObject;
  /** Of the issuer's key; the subject's own where it signs itself. */
  issuerKey: KeyObject;
  pathLength: number | undefined;
  hash: Hash;
  /** Where what is needed to check it lies; a root has none of it in its own certificate. */
  addresses?: Pick<RootConfig, 'crlUrls' | 'certificateUrls' | 'ocspUrls'>;
}

/** A serial number that nobody can foresee: positive, of the same length always. */
export function newSerial(): Buffer {
  const serial = randomBytes(SERIAL_OCTETS);
  serial[0] = ((serial[0] ?? 0) & 0x3f) | 0x40;
  return serial;
}

/** The part of a certificate that is signed. */
export function toBeSigned(wish: CertificateWish): TBSCertificate {
  const subjectPublicKeyInfo = spkiOf(wish.key);
  return new TBSCertificate({
    version: Version.v3,
    serialNumber: Uint8Array.from(wish.serial).buffer,
    signature: signatureAlgorithm(wish.hash),
    issuer: wish.issuer,
    validity: new Validity({ notBefore: wish.notBefore, notAfter: wish.notAfter }),
    subject: wish.subject,
    subjectPublicKeyInfo,
    extensions: new Extensions(extensionsOf(wish)),
  });
}

function extensionsOf(wish: CertificateWish): Extension[] {
  const own = keyIdentifier(spkiOf(wish.key));
  const issuer = keyIdentifier(spkiOf(wish.issuerKey));
  const { pathLength, addresses } = wish;
  const constraints = { cA: true, ...(pathLength !== undefined && { pathLenConstraint: pathLength }) };
  return [
    extension('basicConstraints', true, new BasicConstraints(constraints)),
    extension('keyUsage', true, new KeyUsage(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign)),
    extension('subjectKeyIdentifier', false, new SubjectKeyIdentifier(own)),
    extension('authorityKeyIdentifier', false, authorityKey(issuer)),
    ...(addresses ? addressExtensions(addresses) : []),
  ];
}

/** The extension value that names the key of the issuer. */
export function authorityKey(identifier: Buffer): AuthorityKeyIdentifier {
  return new AuthorityKeyIdentifier({ keyIdentifier: new KeyIdentifier(identifier) });
}

function addressExtensions(addresses: NonNullable<CertificateWish['addresses']>): Extension[] {
  const at = (uniformResourceIdentifier: string) => new GeneralName({ uniformResourceIdentifier });
  const access = (accessMethod: string) => (url: string) =>
    new AccessDescription({ accessMethod, accessLocation: at(url) });
  const fullName = addresses.crlUrls.map(at);
  const descriptions = [
    ...addresses.ocspUrls.map(access(id_ad_ocsp)),
    ...addresses.certificateUrls.map(access(id_ad_caIssuers)),
  ];
  const point = new DistributionPoint({ distributionPoint: new DistributionPointName({ fullName }) });
  return [
    ...(fullName.length > 0
      ? [extension('crlDistributionPoints', false, new CRLDistributionPoints([point]))]
      : []),
    ...(descriptions.length > 0
      ? [extension('authorityInfoAccess', false, new AuthorityInfoAccessSyntax(descriptions))]
      : []),
  ];
}

/** Signs what is to be signed; answers the DER of the certificate. */
export async function signCertificate(tbs: TBSCertificate, signer: Signer): Promise<Buffer> {
  const bytes = derOf(tbs);
  const certificate = new Certificate({
    tbsCertificate: AsnConvert.parse(bytes, TBSCertificate),
    signatureAlgorithm: signatureAlgorithm(signer.hash),
    signatureValue: new OctetString(await signer.sign(bytes)).buffer,
  });
  return derOf(certificate);
}

/** What the root's own certificate says, as far as issuing needs it. */
export interface Issuer {
  subject: Name;
  key: KeyObject;
  notAfter: Date;
}

/** Reads a certificate. @param der from a file that was found to be the right one */
export function issuerIn(der: Buffer): Issuer {
  const { tbsCertificate } = AsnConvert.parse(der, Certificate);
  const { subject, subjectPublicKeyInfo, validity } = tbsCertificate;
  return { subject, key: keyOf(subjectPublicKeyInfo), notAfter: validity.notAfter.getTime() };
}
