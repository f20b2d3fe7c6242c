import { withLocalDirectory } from '../../directory/client.ts';
import { withRemoteDirectory } from '../../directory/remote.ts';
import type { Host } from '../../host/host.ts';
import type { Step } from '../../plan/step.ts';
import type { Secret } from '../../secret/secret.ts';
import { endJoin, undoJoin } from '../join.ts';
import type { Joining } from '../joining.ts';
import { directoryOf, type JoinedSite } from '../site.ts';

/** The one who may do everything in every directory. */
export const DIRECTORY_MANAGER = 'cn=Directory Manager';

/**
 * Makes this host known to the server that it joins, where the Directory Manager's password is at hand; with a join
 * secret that is done already, and stays so: another try may be made with it.
 * @param manager the password, where it is known
 * @param made what of this host goes with an undo: a server keeps its identity when it only loses its CA
 */
export function joined(
  host: Host,
  site: JoinedSite,
  joining: Joining,
  manager: () => Secret | undefined,
  made: 'all' | 'user' = 'all',
): Step {
  const { suffix } = directoryOf(site);
  return {
    id: 'join',
    title: `Make ${site.hostname} known to ${site.supplier}`,
    done: async () => false,
    async apply() {
      // Whether the secret is good is known before anything is built with it.
      await joining.membership();
    },
    async undo() {
      const password = manager();
      if (!password) return;
      const access = {
        ...{ hostname: site.supplier, caCertificate: joining.caCertificate },
        as: { dn: DIRECTORY_MANAGER, password },
      };
      await withRemoteDirectory(host, access, (directory) =>
        made === 'user'
          ? endJoin(directory, site.hostname)
          : undoJoin(directory, { suffix, hostname: site.hostname }),
      );
    },
  };
}

/** Ends the join: nobody can log in with its secret any more. */
export function joinEnded(host: Host, site: JoinedSite, { peers }: Joining, withCa: boolean): Step {
  return {
    id: 'join-ended',
    title: 'Make the join secret worthless',
    done: async () => false,
    apply: () =>
      withCa
        ? withLocalDirectory(host, directoryOf(site), (directory) => endJoin(directory, site.hostname))
        : peers.at(site.supplier, (directory) => endJoin(directory, site.hostname)),
    undo: async () => {},
  };
}
