/** The certificates in a file as CAs hand them out: PEM, DER or PKCS#7, one or several. Pure. */

import { X509Certificate } from 'node:crypto';

/** One element of a DER encoding (X.690, 8.1). */
interface Element {
  tag: number;
  /** With tag and length. */
  whole: Buffer;
  content: Buffer;
}

const SEQUENCE = 0x30;
/** `[0]`, constructed: explicit content, and the certificates of a SignedData. */
const CONTEXT_0 = 0xa0;
/** signedData (RFC 2315, 14), with tag and length. */
const SIGNED_DATA = Buffer.from('06092a864886f70d010702', 'hex');

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

function encodingsIn(bytes: Buffer): Buffer[] {
  if (bytes[0] === SEQUENCE) return ofDer(bytes);
  const blocks = bytes
    .toString('latin1')
    .matchAll(/-----BEGIN ((?:X509 |TRUSTED )?CERTIFICATE|PKCS7|CMS)-----([^-]*)-----END \1-----/g);
  return [...blocks].flatMap(([, label = '', text = '']) => {
    if (!/^[A-Za-z0-9+/=\s]+$/.test(text)) throw new Error('no base64');
    const der = Buffer.from(text, 'base64');
    return label.endsWith('CERTIFICATE') ? [der] : pkcs7(der);
  });
}

function ofDer(bytes: Buffer): Buffer[] {
  const [first] = elements(elements(bytes)[0]?.content ?? Buffer.alloc(0));
  return first?.whole.equals(SIGNED_DATA) ? pkcs7(bytes) : [bytes];
}

/** The certificates of a SignedData; it need not be signed by anybody. */
function pkcs7(der: Buffer): Buffer[] {
  const [contentInfo] = elements(der);
  const [type, explicit] = elements(contentInfo?.content ?? Buffer.alloc(0));
  if (!type?.whole.equals(SIGNED_DATA) || explicit?.tag !== CONTEXT_0) throw new Error('no signedData');
  const [signedData] = elements(explicit.content);
  const certificates = elements(signedData?.content ?? Buffer.alloc(0)).find(({ tag }) => tag === CONTEXT_0);
  return elements(certificates?.content ?? Buffer.alloc(0))
    .filter(({ tag }) => tag === SEQUENCE)
    .map(({ whole }) => whole);
}

/** The elements that follow each other in a DER encoding. @throws Error where it is none */
function elements(bytes: Buffer): Element[] {
  const found: Element[] = [];
  for (let at = 0; at < bytes.length; ) {
    const { start, length } = lengthAt(bytes, at + 1);
    const end = start + length;
    if (end > bytes.length) throw new Error('cut off');
    found.push({
      tag: bytes[at] ?? 0,
      whole: bytes.subarray(at, end),
      content: bytes.subarray(start, end),
    });
    at = end;
  }
  return found;
}

function lengthAt(bytes: Buffer, at: number): { start: number; length: number } {
  const first = bytes[at];
  if (first === undefined || first === 0x80 || first > 0x84) throw new Error('no definite length');
  if (first < 0x80) return { start: at + 1, length: first };
  const octets = first - 0x80;
  return { start: at + 1 + octets, length: bytes.readUIntBE(at + 1, octets) };
}
