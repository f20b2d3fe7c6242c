import { editFile } from '../host/files.ts';
import { instanceConfiguration } from './nssdb.ts';
import type { DogtagProfile } from './version.ts';

/** What Tomcat reads of a request at once, in bytes; more than the largest record of TLS with all that belongs to it. */
const READ_BUFFER = 65_536;

/**
 * Has an instance take requests of more than 16 KiB, from its next start on. JSS before 5.3 keeps the rest of a record
 * that the reader has no room for, and does not tell of it: one of three requests of 21 kB got no answer, and when
 * their clients gave up, Tomcat crashed (JSS 4.8.0, seen; dogtagpki/jss pull request 865). With more room at the
 * reader nothing is left over. That is the approval of a request for a certificate with its private key, or the
 * archival of a longer secret; of anybody who can reach the port besides. Safe to call twice.
 */
export async function allowLargeRequests(
  instance: string,
  { largeRequests }: Pick<DogtagProfile, 'largeRequests'>,
): Promise<void> {
  if (!largeRequests) await editFile(`${instanceConfiguration(instance)}/server.xml`, withReadBuffer);
}

/** The text of a server.xml whose TLS connector has room for whole records. */
export function withReadBuffer(text: string): string {
  return text.replace(/<Connector\b[^>]*\bname="Secure"[^>]*>/, (connector) => {
    const others = connector.replace(/\s+socket\.appReadBufSize="[^"]*"/, '');
    return others.replace(/(\/?>)$/, ` socket.appReadBufSize="${READ_BUFFER}"$1`);
  });
}
