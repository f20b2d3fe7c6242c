/** Certificate templates of Microsoft's Active Directory Certificate Services, as people write them. */

import { refusal } from '../errors.ts';
import { quoted } from './quoted.ts';

/** What kind of authority is asked. */
export const EXTERNAL_TYPES = ['generic', 'ms-cs'] as const;
/** One of {@link EXTERNAL_TYPES}. */
export type ExternalType = (typeof EXTERNAL_TYPES)[number];

/** A template by its name (version 1), or by its object identifier and version (version 2). */
export type Template = { name: string } | { oid: string; major: number; minor?: number };

/**
 * Reads `NAME` or `OID:MAJOR[:MINOR]`.
 * @throws CapstanError `external-profile-invalid`
 */
export function parseProfile(text: string): Template {
  const [oid = '', major, minor, ...more] = text.split(':');
  if (/^[0-9]+(?:\.[0-9]+)+$/.test(oid)) {
    const numbers = [major, minor].filter((one) => one !== undefined);
    const areNumbers = numbers.every((one) => /^(?:0|[1-9][0-9]{0,8})$/.test(one));
    if (major === undefined || more.length > 0 || !areNumbers || !isObjectIdentifier(oid))
      throw invalid(text, 'a template with an object identifier is written OID:MAJOR or OID:MAJOR:MINOR');
    return { oid, major: Number(major), ...(minor !== undefined && { minor: Number(minor) }) };
  }
  // BMPString has no characters beyond U+FFFF; a colon would be a wrong object identifier.
  if (!/^[\x20-\x7e]{1,64}$/.test(text) || text.includes(':') || text.trim() !== text)
    throw invalid(text, 'the name of a template has 1 to 64 ASCII characters and no colon');
  return { name: text };
}

function isObjectIdentifier(oid: string): boolean {
  const [first, second, ...more] = oid.split('.').map(BigInt);
  if (first === undefined || second === undefined || first > 2n || (first < 2n && second > 39n)) return false;
  return more.every((arc) => arc < 2n ** 63n) && oid.split('.').every((arc) => !/^0\d/.test(arc));
}

function invalid(text: string, why: string) {
  return refusal(
    'external-profile-invalid',
    `${quoted(text)} is no profile (--external-ca-profile): ${why}.`,
    'Give the name of the template, as in SubCA, or its object identifier and version, as in 1.3.6.1.4.1.311.21.8.1.2:100:3',
  );
}
