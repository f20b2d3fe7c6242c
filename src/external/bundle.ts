/** The certificates in a file as CAs hand them out: PEM, DER or PKCS#7, one or several. Pure. */

import { X509Certificate } from 'node:crypto';
import { ContentInfo, id_signedData, SignedData } from '@peculiar/asn1-cms';
import { AsnConvert } from '@peculiar/asn1-schema';

/** SEQUENCE (X.690, 8.9): what every DER file with certificates begins with, and no text. */
const SEQUENCE = 0x30;

/**
 * Every certificate in the bytes of a file, in their order, each once; undefined where they are none of PEM, DER or
 * PKCS#7 (RFC 7468, RFC 2315), or where one of them cannot be read.
 */
export function certificatesIn(bytes: Buffer): X509Certificate[] | undefined {
  try {
    const found = encodingsIn(bytes).map((der) => new X509Certificate(der));
    return found.length === 0 ? undefined : distinct(found);
  } catch {
    return undefined;
  }
}

/** The certificates without those that are there already. */
export function distinct(certificates: readonly X509Certificate[]): X509Certificate[] {
  return certificates.filter((one, at) => certificates.findIndex(({ raw }) => raw.equals(one.raw)) === at);
}

function encodingsIn(bytes: Buffer): Uint8Array[] {
  if (bytes[0] === SEQUENCE) return ofDer(bytes);
  const blocks = bytes
    .toString('latin1')
    .matchAll(/-----BEGIN ((?:X509 |TRUSTED )?CERTIFICATE|PKCS7|CMS)-----([^-]*)-----END \1-----/g);
  return [...blocks].flatMap(([, label = '', text = '']) => {
    if (!/^[A-Za-z0-9+/=\s]+$/.test(text)) throw new Error('no base64');
    const der = Buffer.from(text, 'base64');
    return label.endsWith('CERTIFICATE') ? [der] : pkcs7(AsnConvert.parse(der, ContentInfo));
  });
}

function ofDer(bytes: Buffer): Uint8Array[] {
  let content: ContentInfo;
  try {
    content = AsnConvert.parse(bytes, ContentInfo);
  } catch {
    return [bytes];
  }
  return pkcs7(content);
}

/** The certificates of a SignedData; it need not be signed by anybody. */
function pkcs7({ contentType, content }: ContentInfo): Uint8Array[] {
  if (contentType !== id_signedData) throw new Error('no signedData');
  const { certificates = [] } = AsnConvert.parse(content, SignedData);
  return [...certificates].flatMap(({ certificate }) =>
    certificate ? [new Uint8Array(AsnConvert.serialize(certificate))] : [],
  );
}
