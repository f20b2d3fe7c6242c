/**
 * A new certificate of the CA that a person gave or asked for, on its way into its place: certmonger's helper hands it over
 * instead of having one issued. The record is there until it is in place everywhere on this host.
 */
import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { isRenewalOf } from '../../dogtag/renewed.ts';
import { removeFile, writeFileAtomically } from '../../host/files.ts';
import { pemCertificates } from '../../names/pem.ts';

const RECORD = '/var/lib/capstan/ca-certificate.pem';

/** Where the request for another certificate of an installed CA lies for whoever takes it to the authority. */
export const RENEWAL_REQUEST_FILE = '/root/ca-renewal.csr';

/** The certificate that is on its way, and those above it, its issuer first; none where there is none. */
export async function acceptedChain(): Promise<X509Certificate[]> {
  const text = await readFile(RECORD, 'utf8').catch(() => '');
  return pemCertificates(text).map((one) => new X509Certificate(one));
}

/** The certificate that is on its way to follow another one; undefined where there is none. */
export async function acceptedFor(current: X509Certificate): Promise<X509Certificate | undefined> {
  const [found] = await acceptedChain();
  return found && isRenewalOf(found, current) ? found : undefined;
}

/** Has it be on its way; on disk when this returns. @param chain the CA's own first, its issuer next, the root last */
export async function acceptChain(chain: readonly X509Certificate[]): Promise<void> {
  await writeFileAtomically(RECORD, chain.map(String).join(''), { mode: 0o644 });
}

/** It is in its place, or is no longer meant to come there. @param placed those that are in place; whichever it is unless told */
export async function forgetAccepted(placed?: readonly X509Certificate[]): Promise<void> {
  const [found] = await acceptedChain();
  if (found && (!placed || placed.some(({ raw }) => raw.equals(found.raw)))) await removeFile(RECORD);
}

/** Removes the request; that there is none is no error. */
export async function forgetRequest(): Promise<void> {
  await removeFile(RENEWAL_REQUEST_FILE);
}
