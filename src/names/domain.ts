/** Names of hosts, domains and realms, and what follows from them. */

import { isIP } from 'node:net';
import { type CapstanError, refusal } from '../errors.ts';
import { quoted } from './quoted.ts';

/** A label of a host name (RFC 1123, 2.1): letters, digits and inner hyphens, at most 63 octets. */
const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

/** The longest name that DNS carries (RFC 1035, 2.3.4), without the final dot. */
const LONGEST_NAME = 253;

/** The longest name of a directory instance (dscreate of 389-ds 1.4.4), which the realm gives. */
const LONGEST_REALM = 80;

/** The longest host name of Linux (HOST_NAME_MAX), and of the common name in a certificate (RFC 5280, ub-common-name). */
const LONGEST_HOST_NAME = 64;

/** In which letters a name is written. */
type LetterCase = 'lower' | 'upper';

/** Why a text is no DNS name of two labels or more, in letters of this case; undefined when it is one. */
function flawOf(text: string, longest: number, letters: LetterCase = 'lower'): string | undefined {
  // Before the case: to a computer the Kelvin sign is a capital k.
  if (/[^ -~]/.test(text))
    return 'it holds other characters than ASCII (IDNs are written in their xn-- form)';
  const name = text.toLowerCase();
  if (text !== (letters === 'lower' ? name : text.toUpperCase())) return `it must be in ${letters} case`;
  if (name.length > longest) return `it is longer than ${longest} characters`;
  const labels = name.split('.');
  if (labels.length < 2) return 'it needs at least two parts with a dot between them';
  const wrong = labels.find((label) => !LABEL.test(label));
  if (wrong === '') return 'a part of it is empty';
  if (wrong !== undefined) {
    return `${quoted(wrong)} is no DNS label (letters, digits and inner hyphens, at most 63 characters)`;
  }
  // RFC 1123, 2.1: the last label is alphabetic, which is how a name is told from an address.
  if (/^[0-9]+$/.test(labels.at(-1) ?? '')) return 'its last part is a number';
  return undefined;
}

/**
 * A domain: `example.test`.
 * @throws CapstanError `domain-invalid`
 */
export function parseDomain(text: string): string {
  const flaw = flawOf(text, LONGEST_NAME);
  if (flaw)
    throw invalid('domain', 'domain', text, flaw, 'Give a domain such as example.test with --domain.');
  return text;
}

/**
 * The fully qualified name of a host: `ca1.example.test`.
 * @throws CapstanError `hostname-invalid`
 */
export function parseHostname(text: string): string {
  const flaw = hostnameFlaw(text);
  if (flaw) {
    const next = "Give the host's fully qualified name, such as ca1.example.test, with --hostname.";
    throw invalid('hostname', 'fully qualified host name', text, flaw, next);
  }
  return text;
}

function hostnameFlaw(text: string): string | undefined {
  if (isIP(text)) return 'it is an address';
  if (/^localhost(\.|$)/i.test(text)) return 'no other host can reach it by this name';
  return flawOf(text, LONGEST_HOST_NAME);
}

/**
 * A realm: a domain in upper case, `EXAMPLE.TEST`.
 * @throws CapstanError `realm-invalid`
 */
export function parseRealm(text: string): string {
  const flaw = flawOf(text, LONGEST_REALM, 'upper');
  if (flaw) throw invalid('realm', 'realm', text, flaw, 'Give a realm such as EXAMPLE.TEST with --realm.');
  return text;
}

function invalid(code: string, what: string, text: string, flaw: string, next: string): CapstanError {
  return refusal(`${code}-invalid`, `${quoted(text)} cannot be the ${what}: ${flaw}.`, next);
}

/** The suffix of a domain's subtree: `dc=example,dc=test` (RFC 2247). */
export function suffixOf(domain: string): string {
  return domain
    .split('.')
    .map((label) => `dc=${label}`)
    .join(',');
}

/** The realm that goes with a domain when none is named. */
export function realmOf(domain: string): string {
  return domain.toUpperCase();
}

/** The domain that a host is in, by its name: all but the first label. */
export function domainOf(hostname: string): string {
  return hostname.split('.').slice(1).join('.');
}
