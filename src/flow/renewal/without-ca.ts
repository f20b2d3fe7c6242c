/**
 * Renewal on a server without a CA: it has one certificate, that of its directory, and asks the server for it that renews for
 * all, through the directory; and it follows the certificate of the CA.
 */
import type { X509Certificate } from 'node:crypto';
import { requestDirectoryCertificate } from '../../directory/certificate.ts';
import { withLocalDirectory } from '../../directory/client.ts';
import { recordedServers } from '../../directory/masters.ts';
import {
  type AskedCertificate,
  askedCertificates,
  askForCertificate,
  removeRequest,
} from '../../directory/requests.ts';
import { isRenewalOf } from '../../dogtag/renewed.ts';
import { failure, refusal } from '../../errors.ts';
import type { Host } from '../../host/host.ts';
import { quoted } from '../../names/quoted.ts';
import { derIn } from '../../root/x509.ts';
import { holders } from '../roles.ts';
import { directoryOf, directorySubject, type Report, type Site } from '../site.ts';
import { stepper } from '../token-move.ts';
import { followCa, forgetFormerTrust } from './authority.ts';
import { endsSoon, type OwnCertificate, ownCertificates, serveDirectory } from './own.ts';
import type { RenewalWish } from './renew.ts';

/**
 * Follows the certificate of the CA, puts in place what was renewed for this server, and asks for what is due.
 * @returns what was done, in words
 * @throws CapstanError `directory-unreachable`, `directory-certificate-unverified`, `command-failed`, `interrupted`, ...
 */
export async function keepDirectory(
  host: Host,
  site: Site,
  line: (text: string) => void,
  force = false,
): Promise<string[]> {
  const done: string[] = [];
  if (await followCa(host, site, line)) done.push('trusts the new certificate of the CA');
  if (await forgetFormerTrust(host, site, line)) done.push('trusts nobody above the CA of before');
  const { title, current } = directoryCertificate(host, site);
  const before = await current();
  const asked = await askedHere(host, site);
  if (asked?.certificate && (await take(host, site, asked.certificate, before)))
    done.push(`renewed ${title}`);
  else if (force || (endsSoon(before) && !asked)) {
    await ask(host, site);
    done.push(`asked for another one for ${title}`);
  } else if (asked?.refused !== undefined) line(`No other one for ${title}: ${asked.refused}`);
  return done;
}

/**
 * `capstan renew` on such a server.
 * @throws CapstanError (exit code 2, nothing changed) `certificate-unknown`, `not-due`; (exit code 1) `renewal-refused`, and as
 *   {@link keepDirectory}
 */
export async function renewDirectoryHere(
  host: Host,
  site: Site,
  { nickname, force, listen }: RenewalWish,
): Promise<Report> {
  const { name, title, current } = directoryCertificate(host, site);
  if (nickname !== undefined && nickname !== name) throw unknown(site, nickname);
  const before = await askedHere(host, site);
  const certificate = await current();
  if (nickname !== undefined && !force && !before && !endsSoon(certificate)) throw notDue(title, certificate);
  const step = stepper(host, listen, [['place', `Renew ${title}, and follow the certificate of the CA`]]);
  const line = (text: string) => listen({ type: 'step-line', id: 'place', line: text });
  const done = await step(
    'place',
    () => keepDirectory(host, site, line, force),
    (taken) => taken.length > 0,
  );
  const now = await askedHere(host, site);
  if (now?.refused !== undefined) throw refused(title, now.refused);
  return report(site, done, now ? await masterOf(host, site) : undefined);
}

/**
 * What becomes of the certificate that this server has asked for, for a person; undefined where it has asked for none.
 * @throws CapstanError `directory-unreachable`; `renewal-refused`
 */
export async function requestStanding(host: Host, site: Site): Promise<string | undefined> {
  const asked = await askedHere(host, site);
  if (!asked) return undefined;
  if (asked.refused !== undefined) throw refused(directoryCertificate(host, site).title, asked.refused);
  if (asked.certificate) return 'another one was issued; the service puts it in place';
  return `another one was asked for; ${(await masterOf(host, site)) ?? 'no server'} issues it`;
}

function directoryCertificate(host: Host, site: Site): OwnCertificate {
  const found = ownCertificates(host, site).find(({ name }) => name === 'directory');
  if (found) return found;
  throw new Error('a server has a directory');
}

function askedHere(host: Host, site: Site): Promise<AskedCertificate | undefined> {
  const { suffix, ...instance } = directoryOf(site);
  return withLocalDirectory(host, instance, async (directory) => {
    const asked = await askedCertificates(directory, suffix);
    return asked.find(({ hostname }) => hostname === site.hostname);
  });
}

async function ask(host: Host, site: Site): Promise<void> {
  const instance = directoryOf(site);
  const pem = await requestDirectoryCertificate(host, instance, directorySubject(site));
  const request = derIn(Buffer.from(pem), ['CERTIFICATE REQUEST', 'NEW CERTIFICATE REQUEST']);
  if (!request) throw failure('request-unreadable', 'certutil made no certificate request.');
  await withLocalDirectory(host, instance, (directory) =>
    askForCertificate(directory, instance.suffix, site.hostname, request),
  );
}

/** @returns whether it was put in place: one that follows nothing is forgotten only */
async function take(
  host: Host,
  site: Site,
  answer: X509Certificate,
  current: X509Certificate,
): Promise<boolean> {
  const { suffix, ...instance } = directoryOf(site);
  const follows = isRenewalOf(answer, current);
  if (follows) await serveDirectory(host, site, answer);
  await withLocalDirectory(host, instance, (directory) => removeRequest(directory, suffix, site.hostname));
  return follows;
}

function masterOf(host: Host, site: Site): Promise<string | undefined> {
  const { suffix, ...instance } = directoryOf(site);
  return withLocalDirectory(host, instance, async (directory) => {
    const [master] = holders(await recordedServers(directory, suffix), 'renewal-master');
    return master;
  });
}

function report({ hostname }: Site, done: readonly string[], waitsFor: string | undefined): Report {
  const facts = done.map((value) => ({ name: 'Done', value }));
  if (waitsFor !== undefined)
    return {
      title: `${hostname} waits for the certificate of its directory; ${waitsFor} issues it.`,
      facts,
      next: [
        `${waitsFor} does so within the hour, and ${hostname} puts it in place within the next; at once: "capstan renew" there, and then here`,
      ],
    };
  return {
    title:
      done.length > 0
        ? `The certificates of ${hostname} are renewed and in place.`
        : `No certificate of ${hostname} is due; nothing was changed.`,
    facts,
    next: done.length > 0 ? ['See how all is: capstan status'] : [],
  };
}

function unknown({ hostname }: Site, nickname: string) {
  return refusal(
    'certificate-unknown',
    `${quoted(nickname)} is no certificate of ${hostname}, which has no CA.`,
    'It has that of its "directory" alone.',
  );
}

function notDue(title: string, { validToDate }: X509Certificate) {
  return refusal(
    'not-due',
    `For ${title} there is none to be put in place; it is good until ${validToDate.toISOString().slice(0, 10)}, and another one is asked for 28 days before.`,
    'Ask for it all the same with --force.',
  );
}

function refused(title: string, why: string) {
  return failure(
    'renewal-refused',
    `The server that renews for all issues no other one for ${title}: ${why}`,
    'When the cause is gone, ask again: capstan renew directory --force',
  );
}
