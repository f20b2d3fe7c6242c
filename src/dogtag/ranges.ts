/** The ranges of serial and request numbers that the CAs of a cluster hand each other, where numbers are not random. */
import { CapstanError } from '../errors.ts';
import { editFile } from '../host/files.ts';
import { instanceConfiguration } from './nssdb.ts';

/** Seconds between looks whether a CA is short of numbers; Dogtag's own 600 are what a second replica had to wait. */
const INTERVAL = 60;

/**
 * Has a clone look early whether it is short of numbers. It gets 10,000 from the CA that it is cloned from, and a
 * reserve of its own only at such a look, the first of which fails, because the server has not started by then
 * (CertificateRepository.SerialNumberUpdateTask of 10.10.2, seen). Without that reserve no CA can be cloned from it.
 */
export async function hastenRanges(instance: string): Promise<void> {
  const line = `ca.serialNumberUpdateInterval=${INTERVAL}`;
  await editFile(`${instanceConfiguration(instance)}/ca/CS.cfg`, (text) => {
    const others = text.split('\n').filter((one) => !one.startsWith('ca.serialNumberUpdateInterval='));
    return `${others.join('\n').trimEnd()}\n${line}\n`;
  });
}

/** Seconds after which a CA that was just started, or gave all away, has reserved numbers, with some to spare. */
export const UNTIL_RESERVED = INTERVAL + 15;

/**
 * Whether pkispawn failed because the CA that is cloned has no numbers to give away yet; or, which Dogtag calls `null`, because it
 * gave all away that it had, and has none left for the certificate of the clone's TLS server (10.10.2, seen).
 */
export function lacksNumbers(error: unknown): boolean {
  return (
    error instanceof CapstanError &&
    error.code === 'pkispawn-failed' &&
    /ca-range-request|Configuration failed: null/.test(error.message)
  );
}
