import { failure } from '../errors.ts';
import { pathExists } from '../host/files.ts';
import type { Host } from '../host/host.ts';
import { INSTANCE, type SubsystemName } from './certificates.ts';
import { instanceConfiguration } from './nssdb.ts';

/**
 * Whether a subsystem is deployed when Tomcat starts: it has a context file then (`PKISubsystem.is_enabled` and
 * `PKIInstance.is_deployed` of 10.10.2). A subsystem whose self-test fails removes it, and stays away until it is
 * enabled again, whatever becomes of the cause.
 * @param subsystem as Tomcat's context is called: `ca`
 */
export function isSubsystemEnabled(instance: string, subsystem: string): Promise<boolean> {
  return pathExists(`${instanceConfiguration(instance)}/Catalina/localhost/${subsystem}.xml`);
}

/** Has Tomcat deploy a subsystem again, at once or at its next start. @throws CapstanError `command-failed` */
export async function enableSubsystem(host: Host, instance: string, subsystem: string): Promise<void> {
  await host.run('pki-server', ['subsystem-enable', '-i', instance, subsystem]);
}

/** That Dogtag deploys a subsystem. @throws CapstanError `ca-disabled`, `kra-disabled` */
export async function requireDeployed(subsystem: SubsystemName): Promise<true> {
  const name = subsystem.toLowerCase();
  if (await isSubsystemEnabled(INSTANCE, name)) return true;
  throw failure(
    `${name}-disabled`,
    `Dogtag has disabled the ${subsystem}: a self test failed when it started, or somebody did it.`,
  );
}
