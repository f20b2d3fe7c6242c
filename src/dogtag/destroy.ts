import { readFile, writeFile } from 'node:fs/promises';
import { failure, isInterruption, sentenceOf } from '../errors.ts';
import { pathExists, presentPaths, removeTree } from '../host/files.ts';
import type { Host } from '../host/host.ts';
import { platform } from '../host/platform.ts';
import { isAtRest, stop } from '../host/services.ts';
import type { SubsystemName } from './certificates.ts';
import { instanceConfiguration, instancePins } from './nssdb.ts';

/** The systemd unit of an instance. */
export function instanceUnit(instance: string): string {
  return `pki-tomcatd@${instance}.service`;
}

/** All folders and files that belong to one instance, but for its logs. */
export function instancePaths(instance: string): string[] {
  const { dogtagRegistry, instanceEnvironment } = platform();
  return [
    instanceConfiguration(instance),
    `/var/lib/pki/${instance}`,
    `${dogtagRegistry}/tomcat/${instance}`,
    `${instanceEnvironment}/${instance}`,
  ];
}

/** Folders that pkispawn makes with a host's first instance and pkidestroy leaves behind, empty, with the last. */
export function sharedFolders(): string[] {
  return [`${platform().dogtagRegistry}/tomcat`, '/etc/systemd/system/pki-tomcatd.target.wants'];
}

/** The paths of {@link instancePaths} that exist. */
export async function instanceRemains(instance: string): Promise<string[]> {
  return presentPaths(instancePaths(instance));
}

/** The lines without which pkidestroy tells nobody. */
const OUTGOING = /^(?:securitydomain\.host|kra\.cert\.subsystem\.nickname)=/;

/**
 * Takes the security domain out of a subsystem's configuration, so that pkidestroy does not leave it by `sslget -p PIN`,
 * and the nickname by which it would take a KRA out of the CAs' connectors by `pki -c PIN`: the
 * PIN of the token would be seen in the process list and, when that fails, stand in pkidestroy's own log (10.10.2,
 * `SecurityDomain.deregister` and `KRAConnector.deregister` of pkihelper). Who takes a CA out of a cluster removes what it has in the domain from the
 * directory (`domainTraces`); the domain of a cluster's last CA goes away with it.
 */
async function forgetSecurityDomain(instance: string, subsystem: SubsystemName): Promise<void> {
  const file = `${instanceConfiguration(instance)}/${subsystem.toLowerCase()}/CS.cfg`;
  if (!(await pathExists(file))) return;
  const lines = (await readFile(file, 'utf8')).split('\n');
  // In place, for a full disk has no room for a copy; a file that is about to go may be cut short.
  await writeFile(file, lines.filter((line) => !OUTGOING.test(line)).join('\n'));
}

/** Stops the Tomcat of an instance, as far as that can be done; that it does not run is no error. */
export async function stopInstance(host: Host, instance: string): Promise<void> {
  await stop(host, instanceUnit(instance)).catch((error: unknown) => {
    if (isInterruption(error)) throw error;
  });
}

/**
 * Removes the CA of an instance and the instance with it, whatever state they are in. Objects on the token and
 * the data in the directory are none of its business: pkidestroy leaves them, and so does this.
 * @throws CapstanError `dogtag-not-removed`
 */
export async function destroyCa(host: Host, instance: string, onLine: (line: string) => void): Promise<void> {
  if ((await instanceRemains(instance)).length === 0) return;
  await stopInstance(host, instance);
  await pkidestroy(host, instance, 'CA', onLine);
  for (const path of await instanceRemains(instance)) await removeTree(path);
  await host.run('systemctl', ['reset-failed', instanceUnit(instance)], { accept: [0, 1] });
  if (!(await isAtRest(host, instanceUnit(instance)))) {
    throw failure(
      'dogtag-not-removed',
      `${instanceUnit(instance)} still runs after its removal.`,
      'Stop it, then run the command again.',
    );
  }
  const remains = await instanceRemains(instance);
  if (remains.length > 0) {
    throw failure(
      'dogtag-not-removed',
      `The Dogtag instance ${instance} could not be removed: ${remains.join(', ')} remain.`,
    );
  }
}

/**
 * Removes the KRA of an instance, whatever state it is in, and leaves the instance stopped. pkidestroy alone fails on one
 * that was never finished, and leaves parts of it (10.10.2, seen). Objects on the token and data in the directory stay.
 * @throws CapstanError `dogtag-not-removed`
 */
export async function destroyKra(
  host: Host,
  instance: string,
  onLine: (line: string) => void,
): Promise<void> {
  if ((await presentPaths(kraPaths(instance))).length === 0) return;
  await stopInstance(host, instance);
  await pkidestroy(host, instance, 'KRA', onLine);
  for (const path of await presentPaths(kraPaths(instance))) await removeTree(path);
  const remains = await presentPaths(kraPaths(instance));
  if (remains.length === 0) return;
  throw failure(
    'dogtag-not-removed',
    `The KRA of the instance ${instance} could not be removed: ${remains.join(', ')} remain.`,
  );
}

/** All folders and files that belong to the KRA of an instance, but for its logs. */
export function kraPaths(instance: string): string[] {
  const configuration = instanceConfiguration(instance);
  return [
    `${configuration}/Catalina/localhost/kra.xml`,
    `${configuration}/kra`,
    `/var/lib/pki/${instance}/kra`,
    `/var/lib/pki/${instance}/work/Catalina/localhost/kra`,
    `${platform().dogtagRegistry}/tomcat/${instance}/kra`,
  ];
}

async function pkidestroy(
  host: Host,
  instance: string,
  subsystem: SubsystemName,
  onLine: (line: string) => void,
): Promise<void> {
  // pkidestroy prints the password of the internal token (seen with 10.10.2): knowing it here hides it in the log.
  await instancePins(instance).then(
    (pins) => pins.pin(undefined),
    () => {},
  );
  await forgetSecurityDomain(instance, subsystem);
  await host
    .run('pkidestroy', ['-s', subsystem, '-i', instance, '--force'], {
      deadline: 'pkidestroy',
      accept: [0, 1],
      onLine,
    })
    .catch((error: unknown) => {
      if (isInterruption(error)) throw error;
      onLine(sentenceOf(error));
    });
}
