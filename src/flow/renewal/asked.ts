/** The server that renews what all share renews for servers without a CA, too: the certificates of their directories. */
import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { withLocalDirectory } from '../../directory/client.ts';
import { recordedServers, type ServerEntry } from '../../directory/masters.ts';
import { presentedChain } from '../../directory/remote.ts';
import { type AskedCertificate, answerRequest, askedCertificates } from '../../directory/requests.ts';
import { SERVER_PROFILE } from '../../dogtag/enroll.ts';
import { CapstanError, isInterruption, sentenceOf } from '../../errors.ts';
import { judged } from '../../external/facts.ts';
import type { Host } from '../../host/host.ts';
import { readRequest } from '../../root/request.ts';
import { pemOf } from '../../root/x509.ts';
import { caOf, holders } from '../roles.ts';
import { CA_FILE, directoryOf, type Site } from '../site.ts';
import { issueRenewal } from './issue.ts';

/**
 * Answers what servers without a CA ask for, where this is the server that renews for all.
 * @returns what was done, in words
 * @throws CapstanError `directory-unreachable`, `ca-unreachable`, `enrollment-failed`, `renewal-unverified`, `interrupted`, ...
 */
export async function answerRequests(
  host: Host,
  site: Site,
  line: (text: string) => void,
): Promise<string[]> {
  const { suffix, ...instance } = directoryOf(site);
  const { asked, servers } = await withLocalDirectory(host, instance, async (directory) => ({
    asked: await askedCertificates(directory, suffix),
    servers: await recordedServers(directory, suffix),
  }));
  const done: string[] = [];
  const [master] = holders(servers, 'renewal-master');
  if (master !== site.hostname) return done;
  for (const one of asked) {
    if (one.certificate || one.refused !== undefined) continue;
    const answer = await answerTo(host, site, one, servers, line);
    if (!answer) continue;
    await withLocalDirectory(host, instance, (directory) => answerRequest(directory, suffix, one, answer));
    if ('refused' in answer)
      line(`Refused a certificate to the directory of ${one.hostname}: ${answer.refused}`);
    else done.push(`renewed the TLS certificate of the directory of ${one.hostname}`);
  }
  return done;
}

/** The answer; undefined where the server does not show who it is now. */
async function answerTo(
  host: Host,
  site: Site,
  { hostname, request }: AskedCertificate,
  servers: readonly ServerEntry[],
  line: (text: string) => void,
): Promise<X509Certificate | { refused: string } | undefined> {
  const stranger = objectionTo(hostname, servers);
  if (stranger !== undefined) return { refused: stranger };
  const shown = await presentedChain(host, hostname).catch((error: unknown) => {
    if (isInterruption(error)) throw error;
    line(`${hostname} asks for a certificate, and does not show the one that it has: ${sentenceOf(error)}`);
    return [];
  });
  const [current] = shown;
  if (!current) return undefined;
  const authority = new X509Certificate(await readFile(CA_FILE, 'utf8'));
  const refused = objection(hostname, request, current, authority);
  if (refused !== undefined) return { refused };
  line(`Renewing the TLS certificate of the directory of ${hostname}`);
  const pem = pemOf('CERTIFICATE REQUEST', request);
  return issueRenewal(host, site, { request: pem, current, profile: SERVER_PROFILE });
}

/** Why whoever asks gets nothing; undefined for a server of the cluster that has no CA itself. */
export function objectionTo(hostname: string, servers: readonly ServerEntry[]): string | undefined {
  const server = servers.find((one) => one.hostname === hostname);
  if (!server) return `${hostname} is no server of this cluster.`;
  if (caOf(server)) return `${hostname} has a CA, and renews the certificate of its directory itself.`;
  return undefined;
}

/**
 * Why a request is not answered; undefined where it is for the name and the key of the certificate that the directory of that
 * host shows, and that this CA has issued: whoever could write the request gets nothing that the host has not already.
 * @param request PKCS#10, DER
 * @param current the certificate that the directory shows
 */
export function objection(
  hostname: string,
  request: Buffer,
  current: X509Certificate,
  authority: X509Certificate,
): string | undefined {
  try {
    const { subjectText, key } = readRequest(request, `of ${hostname}`);
    const isOurs = current.verify(authority.publicKey) && current.checkHost(hostname) !== undefined;
    if (!isOurs)
      return `The directory of ${hostname} shows a certificate for it that this CA has not issued.`;
    if (!key.equals(current.publicKey))
      return `The request is for another key than that of the directory of ${hostname}.`;
    if (subjectText === judged(current).subject) return undefined;
    return `The request names ${subjectText}, and the certificate of the directory ${judged(current).subject}.`;
  } catch (error) {
    if (error instanceof CapstanError) return error.message;
    throw error;
  }
}
