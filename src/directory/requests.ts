/** Where a server without a CA asks for another certificate of its directory, and finds the answer. */
import { X509Certificate } from 'node:crypto';
import type { Directory, Entry } from './client.ts';
import { addContainers, renewalsDn } from './tree.ts';

const WORDS = 'ipaConfigString';
const CERTIFICATE = 'userCertificate';
/** Before the request, DER in base64. */
const REQUEST = 'request ';
/** Before the reason for which there is no certificate. */
const REFUSED = 'refused ';

/** A request that waits for its answer, or has one. */
export interface AskedCertificate {
  /** The server that asks. */
  hostname: string;
  /** PKCS#10, DER. */
  request: Buffer;
  certificate: X509Certificate | undefined;
  /** Why there is none, for a person. */
  refused: string | undefined;
}

function requestDn(suffix: string, hostname: string): string {
  return `cn=${hostname},${renewalsDn(suffix)}`;
}

/** Asks for a certificate, in the place of what the server asked before. @param request PKCS#10, DER */
export async function askForCertificate(
  directory: Directory,
  suffix: string,
  hostname: string,
  request: Buffer,
): Promise<void> {
  await addContainers(directory, suffix);
  await removeRequest(directory, suffix, hostname);
  await directory.add(requestDn(suffix, hostname), {
    objectClass: ['top', 'nsContainer', 'pkiUser', 'ipaConfigObject'],
    cn: [hostname],
    [WORDS]: [REQUEST + request.toString('base64')],
  });
}

/** All that servers ask for, answered or not. */
export async function askedCertificates(directory: Directory, suffix: string): Promise<AskedCertificate[]> {
  const base = renewalsDn(suffix);
  if (!(await directory.entry(base, ['1.1']))) return [];
  const entries = await directory.search(base, {
    scope: 'one',
    filter: `(${WORDS}=${REQUEST}*)`,
    attributes: ['cn', WORDS, CERTIFICATE],
    explicitBufferAttributes: [CERTIFICATE],
  });
  return entries.map(askedIn);
}

function askedIn(entry: Entry): AskedCertificate {
  const [certificate] = entry.bytes(CERTIFICATE);
  const said = (what: string) => {
    const found = entry.values(WORDS).find((value) => value.startsWith(what));
    return found?.slice(what.length);
  };
  return {
    hostname: entry.values('cn')[0] ?? '',
    request: Buffer.from(said(REQUEST) ?? '', 'base64'),
    certificate: certificate && new X509Certificate(certificate),
    refused: said(REFUSED),
  };
}

/** Answers a request. */
export async function answerRequest(
  directory: Directory,
  suffix: string,
  { hostname }: Pick<AskedCertificate, 'hostname'>,
  answer: X509Certificate | { refused: string },
): Promise<void> {
  const dn = requestDn(suffix, hostname);
  if ('refused' in answer) await directory.append(dn, WORDS, [REFUSED + answer.refused]);
  else await directory.replace(dn, { [CERTIFICATE]: [answer.raw] });
}

/** Forgets what a server asked for; that it asked for nothing is no error. */
export async function removeRequest(directory: Directory, suffix: string, hostname: string): Promise<void> {
  await directory.remove(requestDn(suffix, hostname));
}
