/** Composes the CRLs of an offline root (RFC 5280, section 5): full ones, version 2. Pure; a signer signs. */

import type { KeyObject } from 'node:crypto';
import { AsnConvert } from '@peculiar/asn1-schema';
import {
  CertificateList,
  CRLNumber,
  CRLReason,
  CRLReasons,
  type Name,
  RevokedCertificate,
  TBSCertList,
  Time,
  Version,
} from '@peculiar/asn1-x509';
import { authorityKey } from './certificate.ts';
import {
  derOf,
  extension,
  isSignature,
  keyIdentifier,
  type Signer,
  signatureAlgorithm,
  spkiOf,
} from './x509.ts';

/**
 * Why a certificate is revoked (RFC 5280, 5.3.1), with its number. `certificateHold` and `removeFromCRL` are left out:
 * the certificate of a CA is not suspended (CA/B Baseline Requirements 7.2.2).
 */
export const REASONS = {
  unspecified: CRLReasons.unspecified,
  keyCompromise: CRLReasons.keyCompromise,
  cACompromise: CRLReasons.cACompromise,
  affiliationChanged: CRLReasons.affiliationChanged,
  superseded: CRLReasons.superseded,
  cessationOfOperation: CRLReasons.cessationOfOperation,
  privilegeWithdrawn: CRLReasons.privilegeWithdrawn,
} as const;
/** One of {@link REASONS}. */
export type Reason = keyof typeof REASONS;

/** A certificate that is revoked. */
export interface Revoked {
  /** Hex. */
  serial: string;
  date: Date;
  reason: Reason;
}

/** What a CRL says. */
export interface CrlWish {
  issuer: Name;
  issuerKey: KeyObject;
  number: number;
  thisUpdate: Date;
  nextUpdate: Date;
  revoked: readonly Revoked[];
}

/**
 * Signs a CRL and verifies it, by OpenSSL's judgement.
 * @returns its DER
 */
export async function signCrl(wish: CrlWish, signer: Signer): Promise<Buffer> {
  const tbs = toBeSigned(wish, signer);
  const bytes = derOf(tbs);
  const signature = await signer.sign(bytes);
  const list = new CertificateList({
    tbsCertList: tbs,
    signatureAlgorithm: signatureAlgorithm(signer.hash),
    signature: Uint8Array.from(signature).buffer,
  });
  const der = derOf(list);
  const read = AsnConvert.parse(der, CertificateList);
  const signed = new Uint8Array(read.tbsCertListRaw ?? new ArrayBuffer(0));
  if (!isSignature(signer.hash, wish.issuerKey, signed, new Uint8Array(read.signature))) {
    throw new Error('the signature of the CRL does not fit what was signed');
  }
  return der;
}

function toBeSigned(wish: CrlWish, { hash }: Signer): TBSCertList {
  const revokedCertificates = wish.revoked.map(entryOf);
  return new TBSCertList({
    version: Version.v2,
    signature: signatureAlgorithm(hash),
    issuer: wish.issuer,
    thisUpdate: new Time(wish.thisUpdate),
    nextUpdate: new Time(wish.nextUpdate),
    // RFC 5280, 5.1.2.6: where none is revoked, the list must be absent.
    ...(revokedCertificates.length > 0 && { revokedCertificates }),
    crlExtensions: [
      extension('authorityKeyIdentifier', false, authorityKey(keyIdentifier(spkiOf(wish.issuerKey)))),
      extension('crlNumber', false, new CRLNumber(wish.number)),
    ],
  });
}

function entryOf({ serial, date, reason }: Revoked): RevokedCertificate {
  return new RevokedCertificate({
    userCertificate: Uint8Array.from(Buffer.from(serial, 'hex')).buffer,
    revocationDate: new Time(date),
    // RFC 5280, 5.3.1: unspecified is said by saying nothing.
    ...(reason !== 'unspecified' && {
      crlEntryExtensions: [extension('reasonCode', false, new CRLReason(REASONS[reason]))],
    }),
  });
}
