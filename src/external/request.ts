/** The certificate request of a CA that another authority is to sign (PKCS#10, RFC 2986). Pure but for the signature. */

import type { KeyObject } from 'node:crypto';
import { Attributes, CertificationRequest, CertificationRequestInfo } from '@peculiar/asn1-csr';
import { AsnConvert, OctetString } from '@peculiar/asn1-schema';
import {
  Attribute,
  BasicConstraints,
  Extensions,
  KeyUsage,
  KeyUsageFlags,
  type Name,
  SubjectKeyIdentifier,
} from '@peculiar/asn1-x509';
import { parseProfile } from '../names/template.ts';
import {
  derOf,
  extension,
  keyIdentifier,
  nameOf,
  type Signer,
  signatureAlgorithm,
  spkiOf,
} from '../root/x509.ts';
import { templateExtension } from './profile.ts';

/** What is asked for. */
export interface RequestWish {
  /** RFC 4514; or a name as a certificate has it, whose encoding is kept. */
  subject: string | Name;
  key: KeyObject;
  /** Of the key, where that is not the one of RFC 5280's first method. */
  keyIdentifier?: Buffer | undefined;
  /** Microsoft's template, in the form of {@link parseProfile}; none for other authorities. */
  profile?: string | undefined;
}

/** extensionRequest (RFC 2985, 5.4.2). */
const EXTENSION_REQUEST = '1.2.840.113549.1.9.14';

/**
 * Makes a request and has it signed with the key that it is for.
 * @returns DER
 * @throws CapstanError `external-profile-invalid`, and what the signer throws
 */
export async function certificateRequest(wish: RequestWish, signer: Signer): Promise<Buffer> {
  const info = new CertificationRequestInfo({
    subject: typeof wish.subject === 'string' ? nameOf(wish.subject) : wish.subject,
    subjectPKInfo: spkiOf(wish.key),
    attributes: new Attributes([
      new Attribute({
        type: EXTENSION_REQUEST,
        values: [AsnConvert.serialize(new Extensions(extensionsOf(wish)))],
      }),
    ]),
  });
  const bytes = derOf(info);
  const request = new CertificationRequest({
    certificationRequestInfo: AsnConvert.parse(bytes, CertificationRequestInfo),
    signatureAlgorithm: signatureAlgorithm(signer.hash),
    signature: new OctetString(await signer.sign(bytes)).buffer,
  });
  return derOf(request);
}

/** What Dogtag asks for in such a request (10.10.2), and the key identifier, so that nobody derives it in another way. */
function extensionsOf({ key, profile, keyIdentifier: kept }: RequestWish) {
  const usage =
    KeyUsageFlags.digitalSignature |
    KeyUsageFlags.nonRepudiation |
    KeyUsageFlags.keyCertSign |
    KeyUsageFlags.cRLSign;
  return [
    extension('basicConstraints', true, new BasicConstraints({ cA: true })),
    extension('keyUsage', true, new KeyUsage(usage)),
    extension('subjectKeyIdentifier', false, new SubjectKeyIdentifier(kept ?? keyIdentifier(spkiOf(key)))),
    ...(profile === undefined ? [] : [templateExtension(parseProfile(profile))]),
  ];
}
