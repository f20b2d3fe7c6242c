/** The names in certificates, as the strings that the rest of Capstan works with. */
import { formatDn, parseDn } from './dn.ts';

/**
 * A subject or issuer as node:crypto gives it, as a name of RFC 4514: node writes the least specific part first, each
 * on a line of its own, several attributes of one part with " + " between them, values escaped as in RFC 2253.
 * @throws CapstanError `dn-invalid` for names that hold what {@link parseDn} does not read
 */
export function dnOfLines(lines: string): string {
  return formatDn(parseDn(lines.split('\n').toReversed().join(',')));
}

/** The same for a sentence, whatever the name holds. */
export function shownDn(lines: string): string {
  return lines.split('\n').toReversed().join(',');
}
