import { readFile, writeFile } from 'node:fs/promises';
import { failure, isInterruption, sentenceOf } from '../errors.ts';
import { pathExists, presentPaths, removeTree } from '../host/files.ts';
import type { Host } from '../host/host.ts';
import { platform } from '../host/platform.ts';
import { isAtRest, stop } from '../host/services.ts';
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

/**
 * Takes the security domain out of a CA's configuration, so that pkidestroy does not leave it by `sslget -p PIN`: the
 * PIN of the token would be seen in the process list and, when that fails, stand in pkidestroy's own log (10.10.2,
 * `SecurityDomain.deregister` of pkihelper). Who takes a CA out of a cluster removes what it has in the domain from the
 * directory (`domainTraces`); the domain of a cluster's last CA goes away with it.
 */
async function forgetSecurityDomain(instance: string): Promise<void> {
  const file = `${instanceConfiguration(instance)}/ca/CS.cfg`;
  if (!(await pathExists(file))) return;
  const lines = (await readFile(file, 'utf8')).split('\n');
  // In place, for a full disk has no room for a copy; a file that is about to go may be cut short.
  await writeFile(file, lines.filter((line) => !line.startsWith('securitydomain.host=')).join('\n'));
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
  // pkidestroy prints the password of the internal token (seen with 10.10.2): knowing it here hides it in the log.
  await instancePins(instance).then(
    (pins) => pins.pin(undefined),
    () => {},
  );
  await stopInstance(host, instance);
  await forgetSecurityDomain(instance);
  await host
    .run('pkidestroy', ['-s', 'CA', '-i', instance, '--force'], {
      deadline: 'pkidestroy',
      accept: [0, 1],
      onLine,
    })
    .catch((error: unknown) => {
      if (isInterruption(error)) throw error;
      onLine(sentenceOf(error));
    });
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
