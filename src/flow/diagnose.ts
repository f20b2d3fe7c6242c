/** The true cause of a step that failed: what a direct look shows comes before what logs say. */
import { directoryComplaint } from '../directory/cause.ts';
import { withLocalDirectory } from '../directory/client.ts';
import type { DirectoryInstance } from '../directory/instance.ts';
import { type Cause, causeOf } from '../dogtag/cause.ts';
import { INSTANCE } from '../dogtag/certificates.ts';
import { instanceUnit as dogtagUnit } from '../dogtag/destroy.ts';
import { type LogMark, logsSince, markLogs } from '../dogtag/log-mark.ts';
import { CapstanError, failure, isInterruption, refusal, sentenceOf } from '../errors.ts';
import { roomOf } from '../host/facts.ts';
import { presentPaths } from '../host/files.ts';
import type { Host } from '../host/host.ts';
import { isActive } from '../host/services.ts';
import type { Step } from '../plan/step.ts';
import type { Secret } from '../secret/secret.ts';
import { directoryOf, type Site } from './site.ts';
import { tokenAnswers } from './token-look.ts';

/** What a step needs to be well, and what is looked at, in this order, when it fails. */
export type Need = 'disk' | 'directory' | 'token' | 'ca';

/** What a diagnosis looks at. */
export interface Patient {
  site: Site;
  /** The user PIN of the token, if it is at hand; the token is looked at without a login otherwise. */
  pin?: () => Secret;
}

/** Where the directory, Dogtag, their tools and Capstan itself write. */
export const WRITTEN = [
  ...['/var/lib/dirsrv', '/var/log/dirsrv', '/etc/dirsrv', '/var/lib/pki', '/var/log/pki', '/etc/pki'],
  ...['/var/lib/capstan', '/var/lib/certmonger', '/run', '/tmp', '/dev/shm', '/root'],
];
/** What is said when a PIN may have been refused: it must not be tried again, not even to find that out. */
const LOGIN = /let Dogtag in|log ?in/i;
/** Bytes below which a file system counts as full: a database needs a page, a log a line. */
const FULL = 1024 * 1024;

/** A step that tells, when it fails, which of its needs is not met, or else what Dogtag says about it. */
export function explained(host: Host, patient: Patient, needs: readonly Need[], step: Step): Step {
  return {
    ...step,
    async apply(report) {
      const mark = await markLogs(host, INSTANCE);
      try {
        await step.apply(report);
      } catch (error) {
        throw await diagnosed(host, patient, needs, error, mark);
      }
    },
  };
}

/**
 * An error with its true cause in the message and what to do about it as the next step. Looking changes nothing, and
 * takes no longer than the deadlines of a look.
 * @param mark where Dogtag's logs ended before the work began
 */
export async function diagnosed(
  host: Host,
  patient: Patient,
  needs: readonly Need[],
  error: unknown,
  mark: LogMark,
): Promise<unknown> {
  if (isInterruption(error)) return error;
  const known = error instanceof CapstanError ? error : undefined;
  // It says all there is to say; and another login would be another wrong try.
  if (known?.code.startsWith('pin-')) return error;
  const { site, pin } = patient;
  const unmet = await unmetNeed(needs, {
    disk: requireRoom,
    directory: () => requireDirectory(host, site),
    token: () => requireToken(host, site, LOGIN.test(sentenceOf(error)) ? undefined : pin?.()),
    ca: () => requireTomcat(host, mark),
  });
  if (unmet && isInterruption(unmet)) return unmet;
  const cause = unmet ?? (await saidByDogtag(host, known, mark));
  // A step that met the same thing has told it already.
  if (!cause || (unmet && unmet.code === known?.code)) return error;
  const said = `${sentenceOf(error).replace(/\.?$/, '.')} The cause: ${cause.message}`;
  // An error without a code, of the system or of LDAP, is a defect only as long as nothing explains it.
  if (!known) return unmet ? failure(unmet.code, said, unmet.next, error) : error;
  // What was meant for a cause that nobody had looked for would only lead astray.
  const next = unmet ? unmet.next : [cause.next, known.next].filter(Boolean).join(' ');
  const { code, exit, cause: behind } = known;
  return new CapstanError({ code, message: said, exit, cause: behind, ...(next && { next }) });
}

/** The first of the needs that is not met, or the end of the run. */
async function unmetNeed(
  needs: readonly Need[],
  looks: Readonly<Record<Need, () => Promise<void>>>,
): Promise<CapstanError | undefined> {
  for (const need of needs) {
    try {
      await looks[need]();
    } catch (error) {
      if (error instanceof CapstanError) return error;
      // A look that fails in a way of its own tells nothing.
    }
  }
  return undefined;
}

/** @throws CapstanError `disk-full` */
async function requireRoom(): Promise<void> {
  const full: string[] = [];
  for (const folder of await presentPaths(WRITTEN)) {
    const { bytes, files } = await roomOf(folder);
    if (bytes < FULL || files === 0) full.push(folder);
  }
  if (full.length === 0) return;
  throw refusal(
    'disk-full',
    `there is no room left on the file system of ${full.join(', ')}.`,
    'Make room there: "df -h" and "df -i" show how much.',
  );
}

/** @throws CapstanError `directory-unreachable` */
async function requireDirectory(host: Host, site: Site): Promise<void> {
  const instance = directoryOf(site);
  try {
    await withLocalDirectory(host, instance, (directory) => directory.entry(instance.suffix, ['1.1']));
  } catch (error) {
    if (isInterruption(error)) throw error;
    throw failure(
      'directory-unreachable',
      `the directory does not answer: ${sentenceOf(error)}${await complaintOf(instance)}`,
      `Look at /var/log/dirsrv/slapd-${instance.name}/errors and "journalctl -u dirsrv@${instance.name}".`,
    );
  }
}

/** What a directory that is down wrote to its errors log before, as the end of a sentence. */
export async function complaintOf(instance: DirectoryInstance): Promise<string> {
  const complaint = await directoryComplaint(instance);
  return complaint === undefined ? '' : ` Its errors log says: ${complaint}`;
}

/** @throws CapstanError with the code of the token's own error */
async function requireToken(host: Host, { token }: Site, pin: Secret | undefined): Promise<void> {
  try {
    await tokenAnswers(host, token, pin);
  } catch (error) {
    if (!(error instanceof CapstanError) || isInterruption(error)) throw error;
    const next = ['Bring the HSM or the way to it back.', error.next].filter(Boolean).join(' ');
    throw failure(error.code, `the token cannot be used: ${error.message}`, next);
  }
}

/** @throws CapstanError `ca-unreachable` */
async function requireTomcat(host: Host, mark: LogMark): Promise<void> {
  const unit = dogtagUnit(INSTANCE);
  if (await isActive(host, unit)) return;
  const said = await saidSince(host, mark);
  throw failure(
    'ca-unreachable',
    `Dogtag's Tomcat does not run. ${said?.message ?? ''}`.trimEnd(),
    `See "journalctl -u ${unit}".`,
  );
}

async function saidByDogtag(host: Host, error: CapstanError | undefined, mark: LogMark) {
  // pkispawn's error has been through its own logs already.
  return !error || error.code === 'pkispawn-failed' ? undefined : saidSince(host, mark);
}

async function saidSince(host: Host, mark: LogMark): Promise<Cause | undefined> {
  const cause = causeOf({ ...(await logsSince(host, mark)), output: '' });
  return cause && { ...cause, message: `Dogtag says: ${cause.message}.` };
}
