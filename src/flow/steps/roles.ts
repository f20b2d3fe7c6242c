import { type Directory, withLocalDirectory } from '../../directory/client.ts';
import { allowProbes } from '../../directory/identity.ts';
import {
  type RoleName,
  recordRole,
  recordServer,
  removeRole,
  removeServer,
} from '../../directory/masters.ts';
import { removeRequest } from '../../directory/requests.ts';
import { CA_SUFFIX } from '../../dogtag/deployment.ts';
import { type CapstanError, sentenceOf } from '../../errors.ts';
import type { Host } from '../../host/host.ts';
import type { Step } from '../../plan/step.ts';
import { directoryOf, type Site } from '../site.ts';
import { tokenAnswers } from '../token-look.ts';

/** Records the first server of a cluster: it renews what all share, and makes the CRLs, until another one does. */
export function firstRoles(host: Host, site: Site): Step {
  const { suffix, name } = directoryOf(site);
  return {
    id: 'server-roles',
    title: 'Record the server and its roles in the directory',
    done: async () => false,
    async apply() {
      const { serial } = await tokenAnswers(host, site.token);
      await withLocalDirectory(host, { name }, async (directory) => {
        await recordServer(directory, suffix, site.hostname);
        const marks = { renewalMaster: true, crlGenerator: true };
        await recordRole(directory, suffix, site.hostname, 'CA', { tokenSerial: serial, ...marks });
        for (const root of [suffix, CA_SUFFIX]) await allowProbes(directory, root, suffix);
      });
    },
    // The entries go with the instance.
    undo: async () => {},
  };
}

/** Records a server that joined. */
export function serverRecord(host: Host, site: Site): Step {
  const instance = directoryOf(site);
  return {
    id: 'server-record',
    title: 'Record the server in the directory',
    done: async () => false,
    apply: () =>
      withLocalDirectory(host, instance, (directory) =>
        recordServer(directory, instance.suffix, site.hostname),
      ),
    undo: (report) =>
      takenFrom(host, instance.name, report.line, (directory) =>
        removeServer(directory, instance.suffix, site.hostname),
      ),
  };
}

/** Records that a server that joined has a CA. */
export function caRole(host: Host, site: Site): Step {
  return role(host, site, 'CA');
}

/** Records that a server has a KRA. */
export function kraRole(host: Host, site: Site): Step {
  return role(host, site, 'KRA');
}

function role(host: Host, site: Site, subsystem: RoleName): Step {
  const { suffix, name } = directoryOf(site);
  return {
    id: `${subsystem.toLowerCase()}-role`,
    title: `Record the ${subsystem} of the server in the directory`,
    done: async () => false,
    async apply() {
      const { serial } = await tokenAnswers(host, site.token);
      await withLocalDirectory(host, { name }, async (directory) => {
        await recordRole(directory, suffix, site.hostname, subsystem, { tokenSerial: serial });
        // Its own CA is asked from now on.
        await removeRequest(directory, suffix, site.hostname);
      });
    },
    undo: (report) =>
      takenFrom(host, name, report.line, (directory) =>
        removeRole(directory, suffix, site.hostname, subsystem),
      ),
  };
}

/** Takes an entry back. A directory that does not run any more takes its entries with it. */
async function takenFrom(
  host: Host,
  name: string,
  line: (text: string) => void,
  work: (directory: Directory) => Promise<void>,
): Promise<void> {
  await withLocalDirectory(host, { name }, work).catch((error: unknown) => {
    if ((error as CapstanError).code !== 'directory-unreachable') throw error;
    line(sentenceOf(error));
  });
}
