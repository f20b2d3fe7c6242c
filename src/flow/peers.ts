/** The other servers of the cluster, reached as the server on this host: by its certificate, without a password. */
import { readFile } from 'node:fs/promises';
import type { Directory } from '../directory/client.ts';
import { type ServerIdentity, serverIdentity } from '../directory/identity.ts';
import { withRemoteDirectory } from '../directory/remote.ts';
import type { Host } from '../host/host.ts';
import { CA_FILE, directoryOf, type Site } from './site.ts';

/** Reaches the directories of peers. */
export interface Peers {
  /**
   * Works with the directory of a peer over LDAPS.
   * @throws CapstanError `directory-unreachable`, `directory-untrusted`, `directory-credentials-refused`,
   *   `command-failed`, and whatever `use` throws
   */
  at<T>(hostname: string, use: (directory: Directory) => Promise<T>): Promise<T>;
}

/**
 * The peers of the server on this host. Its certificate and key are read when they are first needed, and kept: that costs
 * up to two seconds of work.
 */
export function peersOf(host: Host, site: Site): Peers {
  let identity: Promise<ServerIdentity> | undefined;
  return {
    async at(hostname, use) {
      identity ??= serverIdentity(host, directoryOf(site)).catch((error: unknown) => {
        identity = undefined;
        throw error;
      });
      const [as, caCertificate] = await Promise.all([identity, readFile(CA_FILE, 'utf8')]);
      return withRemoteDirectory(host, { hostname, caCertificate, as }, use);
    },
  };
}
