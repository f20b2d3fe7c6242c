/** The certificate template that a request to Microsoft's Active Directory Certificate Services names. Pure. */

import { OctetString } from '@peculiar/asn1-schema';
import { Extension } from '@peculiar/asn1-x509';
import type { Template } from '../names/template.ts';

/** Extensions of Microsoft's ([MS-WCCE] 2.2.2.7.7.1 and .2): szOID_ENROLL_CERTTYPE and szOID_CERTIFICATE_TEMPLATE. */
const BY_NAME = '1.3.6.1.4.1.311.20.2';
const BY_OID = '1.3.6.1.4.1.311.21.7';

/** The extension that names a template in a request. */
export function templateExtension(template: Template): Extension {
  const value = 'name' in template ? bmpString(template.name) : sequenceOf(template);
  return new Extension({
    extnID: 'name' in template ? BY_NAME : BY_OID,
    critical: false,
    extnValue: new OctetString(Uint8Array.from(value).buffer),
  });
}

function bmpString(text: string): Buffer {
  return element(0x1e, Buffer.from(text, 'utf16le').swap16());
}

function sequenceOf({ oid, major, minor }: Extract<Template, { oid: string }>): Buffer {
  const numbers = [major, ...(minor === undefined ? [] : [minor])].map((one) => element(0x02, integer(one)));
  return element(0x30, Buffer.concat([element(0x06, oidOctets(oid)), ...numbers]));
}

/** X.690, 8.3: two's complement in the fewest octets; never negative here. */
function integer(value: number): Buffer {
  const hex = value.toString(16);
  const octets = Buffer.from(hex.padStart(hex.length + (hex.length % 2), '0'), 'hex');
  return (octets[0] ?? 0) & 0x80 ? Buffer.concat([Buffer.from([0]), octets]) : octets;
}

/** X.690, 8.19: the first two arcs in one, each in base 128. */
function oidOctets(oid: string): Buffer {
  const [first = 0n, second = 0n, ...more] = oid.split('.').map(BigInt);
  return Buffer.concat([first * 40n + second, ...more].map(base128));
}

function base128(arc: bigint): Buffer {
  const octets = [Number(arc & 0x7fn)];
  for (let left = arc >> 7n; left > 0n; left >>= 7n) octets.unshift(Number(left & 0x7fn) | 0x80);
  return Buffer.from(octets);
}

function element(tag: number, content: Buffer): Buffer {
  if (content.length > 0xff) throw new Error('longer than a template is');
  const length = content.length < 0x80 ? [content.length] : [0x81, content.length];
  return Buffer.concat([Buffer.from([tag, ...length]), content]);
}
