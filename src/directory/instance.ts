import { readdir } from 'node:fs/promises';
import { failure } from '../errors.ts';
import { renderConfig } from '../host/configparser.ts';
import { editFile, pathExists, removeEmptyFolder, removeTree } from '../host/files.ts';
import type { Host } from '../host/host.ts';
import { platform } from '../host/platform.ts';
import { isAtRest, kill, stop } from '../host/services.ts';
import { withPrivateFolder } from '../secret/private-file.ts';
import type { Secret } from '../secret/secret.ts';
import { isTakingCopy } from './copy.ts';

/** A 389 Directory Server instance of this host. */
export interface DirectoryInstance {
  /** dscreate's instance name: `EXAMPLE-TEST`. */
  name: string;
  /** The name that its TLS certificate carries. */
  hostname: string;
  /** The domain's subtree: `dc=example,dc=test`. */
  suffix: string;
}

/** Port of plain LDAP, of LDAPS. */
export const LDAP_PORT = 389;
export const LDAPS_PORT = 636;

/** Where dscreate keeps the self-signed CA that it makes for every instance of a host (lib389, `SSCA_PATH`). */
const SELF_SIGNED_CA = '/etc/dirsrv/ssca';

/** The instance name for a realm, as FreeIPA forms it: dots become hyphens. */
export function instanceName(realm: string): string {
  return realm.replaceAll('.', '-');
}

/** The folder of the instance's configuration and NSS database. */
export function instanceFolder(instance: Pick<DirectoryInstance, 'name'>): string {
  return `/etc/dirsrv/slapd-${instance.name}`;
}

/** The certificate of the CA that signs the instance's first TLS certificate, PEM. */
export function selfSignedCaFile(instance: Pick<DirectoryInstance, 'name'>): string {
  return `${instanceFolder(instance)}/ca.crt`;
}

/** The systemd unit of the instance. */
export function instanceUnit(instance: Pick<DirectoryInstance, 'name'>): string {
  return `dirsrv@${instance.name}.service`;
}

/** Whether the instance has been created, in whole or in part. */
export async function instanceExists(instance: DirectoryInstance): Promise<boolean> {
  return pathExists(instanceFolder(instance));
}

/** Whether dscreate's CA of this host is there, from this instance or another. */
export async function selfSignedCaExists(): Promise<boolean> {
  return pathExists(SELF_SIGNED_CA);
}

/**
 * The answers for `dscreate from-file`. lib389 reads them with Python's interpolating ConfigParser,
 * so that a `%` in the password has to be doubled.
 */
export function dscreateAnswers(instance: DirectoryInstance, password: Secret): string {
  return renderConfig({
    general: {
      config_version: '2',
      full_machine_name: instance.hostname,
      strict_host_checking: 'False',
      selinux: platform().family === 'redhat' ? 'True' : 'False',
      systemd: 'True',
      // Stopped at its end, the server can be given its plug-ins before it starts for good: one restart less.
      start: 'False',
    },
    slapd: {
      instance_name: instance.name,
      port: String(LDAP_PORT),
      secure_port: String(LDAPS_PORT),
      root_dn: 'cn=Directory Manager',
      root_password: password,
      self_sign_cert: 'True',
    },
    'backend-userroot': { suffix: instance.suffix, create_suffix_entry: 'True', sample_entries: 'no' },
  });
}

/**
 * Creates the instance and turns on the USN plug-in; the server does not run yet.
 * Without entry USNs Dogtag cannot read its profiles from LDAP: its monitor thread dies, getStatus still says
 * `running`, and every enrolment answers "Profile not found" (seen with 10.10.2).
 * @throws CapstanError `command-failed`, `command-deadline`
 */
export async function createInstance(
  host: Host,
  instance: DirectoryInstance,
  password: Secret,
  onLine: (line: string) => void,
): Promise<void> {
  await withPrivateFolder(async (folder) => {
    const answers = folder.write('dscreate.inf', dscreateAnswers(instance, password));
    await host.run('dscreate', ['from-file', answers], { deadline: 'dscreate', onLine });
  });
  onLine('Turning on the USN plug-in');
  await enablePlugin(instance, 'USN');
}

/**
 * Enables a plug-in of a stopped instance in its dse.ldif, which the server reads when it starts
 * (389-ds configuration reference, 1.3: the file may be edited while the server is stopped).
 * @throws CapstanError `plugin-missing`
 */
async function enablePlugin(instance: DirectoryInstance, plugin: string): Promise<void> {
  await editConfiguration(instance, (text) => withPluginEnabled(text, plugin));
}

/**
 * The configuration with `nsslapd-pluginEnabled: on` in the entry of one plug-in.
 * @param ldif the text of dse.ldif
 * @param plugin the plug-in's common name: `USN`
 * @throws CapstanError `plugin-missing`
 */
export function withPluginEnabled(ldif: string, plugin: string): string {
  const changed = withValue(ldif, `cn=${plugin},cn=plugins,cn=config`, 'nsslapd-pluginEnabled', 'on');
  if (changed !== undefined) return changed;
  throw failure(
    'plugin-missing',
    `This 389 Directory Server has no plug-in ${plugin}.`,
    'Install the whole package 389-ds-base.',
  );
}

/**
 * The configuration of a stopped instance with another value of an attribute that an entry has; undefined where it has
 * none. The server reads the file when it starts, and writes it while it runs.
 * @param ldif the text of dse.ldif
 */
export function withValue(ldif: string, dn: string, attribute: string, value: string): string | undefined {
  const entries = ldif.split(/\n(?:[ \t]*\n)+/);
  const index = entries.findIndex((entry) =>
    `${entry.trimStart().split('\n', 1)[0]?.toLowerCase()}`.startsWith(`dn: ${dn.toLowerCase()}`),
  );
  const line = new RegExp(`^(${attribute}:).*$`, 'im');
  const entry = entries[index];
  if (!entry || !line.test(entry)) return undefined;
  entries[index] = entry.replace(line, (_, name: string) => `${name} ${value}`);
  return entries.join('\n\n');
}

/** Changes the configuration of a stopped instance; see {@link withValue}. */
export async function editConfiguration(
  instance: Pick<DirectoryInstance, 'name'>,
  change: (ldif: string) => string,
): Promise<void> {
  await editFile(`${instanceFolder(instance)}/dse.ldif`, change);
}

/** Everything that dscreate makes for an instance, but for its logs (lib389 `setup.py`, 1.4.4 and 2.x). */
function instancePaths({ name }: DirectoryInstance): string[] {
  return [
    `/etc/dirsrv/slapd-${name}`,
    `/var/lib/dirsrv/slapd-${name}`,
    `/run/lock/dirsrv/slapd-${name}`,
    `/dev/shm/slapd-${name}`,
    // What ns-slapd leaves: the LDAPI socket always, the others when it is killed.
    `/run/slapd-${name}.socket`,
    `/run/dirsrv/slapd-${name}.pid`,
    `/run/dirsrv/slapd-${name}.stats`,
    `/dev/shm/sem.slapd-${name}.stats`,
    `/etc/tmpfiles.d/dirsrv-${name}.conf`,
    `/etc/systemd/system/multi-user.target.wants/${instanceUnit({ name })}`,
  ];
}

/** Whether another instance of this host uses the self-signed CA. */
async function otherInstances(): Promise<boolean> {
  const names = await readdir('/etc/dirsrv').catch(() => []);
  return names.some((name) => name.startsWith('slapd-'));
}

/**
 * Removes the instance with all its data, and dscreate's self-signed CA when it came with this instance.
 * @throws CapstanError `directory-not-removed`
 */
export async function removeInstance(
  host: Host,
  instance: DirectoryInstance,
  withSelfSignedCa: boolean,
): Promise<void> {
  const unit = instanceUnit(instance);
  // A server whose files are gone cannot be stopped by its own tool any more.
  if (!(await isAtRest(host, unit))) {
    if (await isTakingCopy(instance)) await kill(host, unit);
    await stop(host, unit);
  }
  if (await instanceExists(instance)) {
    await host.run('dsctl', [instance.name, 'remove', '--do-it'], { deadline: 'dsctl', accept: [0, 1] });
  }
  // A dscreate that was killed leaves a folder that dsctl does not take for an instance.
  for (const remains of instancePaths(instance)) await removeTree(remains);
  if (!(await otherInstances())) {
    // Made at boot for every instance that there is, and by dscreate for the first one.
    await removeEmptyFolder('/run/dirsrv');
    if (withSelfSignedCa) await removeTree(SELF_SIGNED_CA);
  }
  await host.run('systemctl', ['reset-failed', unit], { accept: [0, 1] });
  if (!(await isAtRest(host, unit))) {
    throw failure(
      'directory-not-removed',
      `The directory instance ${instance.name} still runs after its removal.`,
      `Stop it with "systemctl stop ${unit}", then run the command again.`,
    );
  }
}
