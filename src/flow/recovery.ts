/** Bringing back a server that is installed, wholly or up to a step: its directory first, then its CA and its KRA. */
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { withLocalDirectory } from '../directory/client.ts';
import { untilCopyTaken } from '../directory/copy.ts';
import { instanceUnit as directoryUnit, instanceExists } from '../directory/instance.ts';
import { INSTANCE } from '../dogtag/certificates.ts';
import { instanceUnit as dogtagUnit } from '../dogtag/destroy.ts';
import { checkProfiles, checkSignature, checkStatus } from '../dogtag/health.ts';
import { markLogs } from '../dogtag/log-mark.ts';
import { instancePins } from '../dogtag/nssdb.ts';
import { publicPage } from '../dogtag/rest.ts';
import { enableSubsystem, isSubsystemEnabled, requireDeployed } from '../dogtag/subsystem.ts';
import { CapstanError, failure, isInterruption, refusal, sentenceOf } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { isActive, restart, start } from '../host/services.ts';
import { within } from '../host/wait.ts';
import type { Step } from '../plan/step.ts';
import type { Secret } from '../secret/secret.ts';
import { complaintOf, diagnosed } from './diagnose.ts';
import { kraWorks } from './key-recovery.ts';
import { trustTokenCertificates } from './renewal/shared-trust.ts';
import { CA_FILE, caCertificate, directoryOf, dogtagOf, type Site } from './site.ts';
import { tokenAnswers } from './token-look.ts';

/** What of a server there is already, and is to run. */
export interface ServerParts {
  directory: boolean;
  ca: boolean;
  /** Never without a CA. */
  kra?: boolean;
}

/** Seconds between two looks at a CA that starts; one takes 15 to 25 seconds in the lab. */
const BETWEEN_LOOKS = 2;
/** Looks at a Tomcat that answers but knows no CA until that counts: it opens its ports after it has loaded the CA. */
const LOOKS_WITHOUT_CA = 4;

/**
 * Has the directory run, and then the CA make signatures; what is well is left alone.
 *
 * Dogtag finds the directory again by itself, but never an HSM that it lost: its Tomcat has to be restarted (10.10.2,
 * with two PKCS#11 libraries). Restarted while the HSM is away it comes up without the CA, and is worse off than
 * before. So the token is looked at first, with one login, and nothing is touched before it lets Dogtag's user in.
 * @param line told what is being done and waited for
 * @returns what was done, in words; nothing where all was well
 * @throws CapstanError (exit code 2, nothing changed) `hsm-unavailable`, `token-pin-missing`, and the PIN's own codes of
 *   {@link tokenAnswers}; (exit code 1) `directory-not-started`, `ca-not-started`, `command-failed`, `interrupted`
 */
export async function bringUp(
  host: Host,
  site: Site,
  line: (text: string) => void,
  parts: ServerParts,
): Promise<string[]> {
  const problems = await serverProblems(host, site, parts);
  if (problems.ca) await requireHsm(host, site, line);
  const done = problems.directory ? [await startDirectory(host, site, line)] : [];
  return problems.ca ? [...done, ...(await restoreCa(host, site, line, parts.kra))] : done;
}

/** What keeps the parts of a server from their work; undefined where they are well, or not looked at. */
export interface ServerProblems {
  directory: CapstanError | undefined;
  /** Of the CA, or of the KRA that runs in the same Tomcat. */
  ca: CapstanError | undefined;
}

/** Looks at the parts of a server, and changes nothing. @throws CapstanError `interrupted` */
export async function serverProblems(host: Host, site: Site, parts: ServerParts): Promise<ServerProblems> {
  const directory = parts.directory ? await problemOf(() => directoryAnswers(host, site)) : undefined;
  if (!parts.ca) return { directory, ca: undefined };
  // Without its directory the CA is not worth the wait for its signature, which needs an answer of the directory.
  return { directory, ca: directory ?? (await problemOf(() => subsystemsWork(host, site, parts.kra))) };
}

async function problemOf(look: () => Promise<unknown>): Promise<CapstanError | undefined> {
  try {
    await look();
    return undefined;
  } catch (error) {
    if (isInterruption(error)) throw error;
    return error instanceof CapstanError ? error : failure('unexpected', sentenceOf(error), undefined, error);
  }
}

/** @throws CapstanError `directory-unreachable`, `interrupted`, or an error of LDAP */
async function directoryAnswers(host: Host, site: Site): Promise<void> {
  const instance = directoryOf(site);
  await withLocalDirectory(host, instance, (directory) => directory.entry(instance.suffix, ['1.1']));
}

/**
 * Whether the CA does its work: it answers, knows its profiles, and signs.
 * @throws CapstanError `ca-unreachable`, `ca-unwell`
 */
async function caWorks(host: Host, { hostname }: Site): Promise<void> {
  const dogtag = await dogtagOf();
  await checkStatus(host, hostname, dogtag);
  await checkProfiles(host, hostname, dogtag.restPath);
  // Before it is published, the certificate is in the instance's own database only.
  const certificate = await readFile(CA_FILE, 'utf8').catch(() => caCertificate(host));
  await checkSignature(host, hostname, certificate);
}

/**
 * Whether the CA does its work, and the KRA where there is one.
 * @throws CapstanError as {@link caWorks}, `ca-disabled`, `kra-disabled`, `kra-...`
 */
async function subsystemsWork(host: Host, site: Site, withKra = false): Promise<void> {
  // One that was disabled works on until Tomcat notices, some seconds later.
  await requireDeployed('CA');
  if (withKra) await requireDeployed('KRA');
  await caWorks(host, site);
  if (withKra) await kraWorks(host, site);
}

/**
 * Has the token let Dogtag's user in, with the PIN that Dogtag keeps; without that no restart can help.
 * @throws CapstanError (exit code 2) `hsm-unavailable`, `token-pin-missing`, and the PIN's own codes of {@link tokenAnswers}
 */
export async function requireHsm(host: Host, { token }: Site, line: (text: string) => void): Promise<void> {
  line(`Looking whether the token ${token.label} lets Dogtag in`);
  const pin = await keptPin(token.label);
  await tokenAnswers(host, token, pin).catch((error: unknown) => {
    if (!(error instanceof CapstanError) || isInterruption(error)) throw error;
    const ofPin = error.code.startsWith('pin-');
    throw refusal(
      ofPin ? error.code : 'hsm-unavailable',
      `The CA cannot be brought back while it cannot use its HSM: ${error.message}`,
      ofPin
        ? `Nothing was changed. The PIN that Dogtag keeps in /etc/pki/${INSTANCE}/password.conf was tried once at most; correct it there, or at the token, before you run the command again.`
        : 'Nothing was changed. Bring the HSM or the way to it back, then run the command again.',
      error,
    );
  });
}

async function keptPin(label: string): Promise<Secret> {
  try {
    return (await instancePins(INSTANCE)).pin(label);
  } catch (error) {
    throw refusal(
      'token-pin-missing',
      `Dogtag keeps no password of the token ${label}, without which it cannot start: ${sentenceOf(error)}`,
      `Put it back into /etc/pki/${INSTANCE}/password.conf.`,
      error,
    );
  }
}

/**
 * Starts a directory that does not answer; one that takes in a copy from another server is waited for.
 * @returns what was done, in words
 * @throws CapstanError `directory-not-started`, `interrupted`
 */
export async function startDirectory(host: Host, site: Site, line: (text: string) => void): Promise<string> {
  const instance = directoryOf(site);
  const unit = directoryUnit(instance);
  line(`Starting the directory ${instance.name}`);
  try {
    if ((await isActive(host, unit)) && (await untilCopyTaken(host, instance))) {
      if (!(await problemOf(() => directoryAnswers(host, site)))) return `${instance.name} took in a copy`;
    }
    // One that runs and does not answer hangs; systemd would call it started already.
    await ((await isActive(host, unit)) ? restart(host, unit) : start(host, unit));
    await directoryAnswers(host, site);
  } catch (error) {
    if (isInterruption(error)) throw error;
    throw failure(
      'directory-not-started',
      `The directory ${instance.name} does not start: ${sentenceOf(error)}${await complaintOf(instance)}`,
      `Look at /var/log/dirsrv/slapd-${instance.name}/errors and "journalctl -u ${unit}".`,
      error,
    );
  }
  return `started the directory ${instance.name}`;
}

/**
 * Has the directory run for an undo, where it is there and can: by what this server deletes in it, and by the feeds
 * that it has, the other servers come to keep nothing of it.
 * @throws CapstanError `interrupted`
 */
export async function wakeDirectory(host: Host, site: Site, line: (text: string) => void): Promise<void> {
  if (!(await instanceExists(directoryOf(site)))) return;
  if (!(await problemOf(() => directoryAnswers(host, site)))) return;
  await startDirectory(host, site, line).catch((error: unknown) => {
    if (isInterruption(error)) throw error;
    line(sentenceOf(error));
  });
}

/** A step whose undo has the directory run first; see {@link wakeDirectory}. */
export function undoneAwake(host: Host, site: Site, step: Step): Step {
  return {
    ...step,
    async undo(report) {
      await wakeDirectory(host, site, report.line);
      await step.undo(report);
    },
  };
}

/**
 * Brings a CA back that does not work, and waits until it has made a signature. One that was cut off from its directory
 * only, finds it again by itself. The KRA of the same Tomcat comes with it, and has to recover something.
 * @param withKra whether there is one
 * @returns what was done, in words
 * @throws CapstanError `ca-not-started`, `command-failed`, `interrupted`
 */
export async function restoreCa(
  host: Host,
  site: Site,
  line: (text: string) => void,
  withKra = false,
): Promise<string[]> {
  if (!(await problemOf(() => subsystemsWork(host, site, withKra)))) return [];
  const unit = dogtagUnit(INSTANCE);
  const done: string[] = [];
  for (const name of withKra ? (['CA', 'KRA'] as const) : (['CA'] as const)) {
    if (await isSubsystemEnabled(INSTANCE, name.toLowerCase())) continue;
    line(`Enabling the ${name}, which Dogtag has disabled`);
    await enableSubsystem(host, INSTANCE, name.toLowerCase());
    done.push(`enabled the ${name}, which Dogtag had disabled`);
  }
  const wasUp = await isActive(host, unit);
  line(`${wasUp ? 'Restarting' : 'Starting'} Dogtag's Tomcat`);
  const begun = performance.now();
  await trustTokenCertificates(host, site, withKra);
  const mark = await markLogs(host, INSTANCE);
  try {
    await restart(host, unit);
    await untilCaWorks(host, site, withKra);
  } catch (error) {
    const needs = ['disk', 'directory', 'token', 'ca'] as const;
    throw await diagnosed(host, { site }, needs, caNotStarted(site, error), mark);
  }
  const seconds = Math.round((performance.now() - begun) / 1000);
  const deed = `its CA made a signature${withKra ? ', and its KRA recovered a key,' : ''} after ${seconds} s`;
  return [...done, `${wasUp ? 'restarted' : 'started'} Dogtag; ${deed}`];
}

async function untilCaWorks(host: Host, site: Site, withKra: boolean): Promise<void> {
  let problem: CapstanError | undefined;
  const look = async (signal: AbortSignal) => {
    for (let withoutCa = 0; withoutCa < LOOKS_WITHOUT_CA; ) {
      problem = await problemOf(() => subsystemsWork(host, site, withKra));
      if (!problem) return;
      withoutCa = (await isLost(host, site, withKra)) ? withoutCa + 1 : 0;
      await sleep(BETWEEN_LOOKS * 1000, undefined, { signal });
    }
    throw problem;
  };
  try {
    await within(host, 'startup', `the CA at ${site.hostname}, until it makes a signature`, look);
  } catch (error) {
    if (isInterruption(error) || error === problem || !problem) throw error;
    throw failure('ca-unwell', `${problem.message.replace(/\.$/, '')}; ${sentenceOf(error)}`);
  }
}

function caNotStarted({ hostname }: Site, error: unknown): unknown {
  if (isInterruption(error)) return error;
  const next = `Look at the logs under /var/log/pki/${INSTANCE}.`;
  return failure('ca-not-started', `The CA at ${hostname} does not come back: ${sentenceOf(error)}`, next);
}

/** Whether waiting will not help: Tomcat has ended, or serves without the CA or the KRA. */
async function isLost(host: Host, { hostname }: Site, withKra: boolean): Promise<boolean> {
  if (!(await isActive(host, dogtagUnit(INSTANCE)))) return true;
  for (const name of withKra ? ['ca', 'kra'] : ['ca']) {
    const page = await publicPage(host, hostname, `/${name}/admin/${name}/getStatus`).catch(() => undefined);
    if (page?.status === 404) return true;
  }
  return false;
}
