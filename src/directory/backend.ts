import type { Host } from '../host/host.ts';
import { withLocalDirectory } from './client.ts';
import type { DirectoryInstance } from './instance.ts';

/**
 * Removes a database of the instance with its suffix and all its data; that there is none is no error.
 * @param name the backend's name: `ipaca`
 * @throws CapstanError `directory-unreachable`, `command-failed`
 */
export async function removeBackend(host: Host, instance: DirectoryInstance, name: string): Promise<void> {
  const dn = `cn=${name},cn=ldbm database,cn=plugins,cn=config`;
  const found = await withLocalDirectory(host, instance, (directory) => directory.entry(dn, ['1.1']));
  if (found)
    await host.run('dsconf', [instance.name, 'backend', 'delete', name, '--do-it'], { deadline: 'dsctl' });
}
