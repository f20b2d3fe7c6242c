import { withLocalDirectory } from '../../directory/client.ts';
import { addIdentity, allowInTree, allowServers, hasIdentity } from '../../directory/identity.ts';
import {
  createInstance,
  instanceUnit,
  removeInstance,
  selfSignedCaExists,
} from '../../directory/instance.ts';
import { addSchema, missingSchema } from '../../directory/schema.ts';
import { addContainers, hasContainers } from '../../directory/tree.ts';
import { assetPath } from '../../host/assets.ts';
import type { Host } from '../../host/host.ts';
import { start } from '../../host/services.ts';
import type { Step } from '../../plan/step.ts';
import { directoryOf, directorySubject, type ServerSecrets, type Site } from '../site.ts';

/** FreeIPA's part of the schema that Capstan writes. */
const SCHEMA = 'schema/60capstan.ldif';

/**
 * Creates the 389-ds instance with the domain's suffix, TLS and the USN plug-in.
 * @param started whether it runs afterwards; a replica gets its certificate first
 */
export function directoryInstance(
  host: Host,
  site: Site,
  secrets: () => Pick<ServerSecrets, 'ds'>,
  started = true,
): Step {
  const instance = directoryOf(site);
  return {
    id: 'directory-instance',
    title: `Create the directory instance ${instance.name} for ${instance.suffix}`,
    done: async () => false,
    async apply(report) {
      await report.remember({ selfSignedCaWasThere: await selfSignedCaExists() });
      await createInstance(host, instance, secrets().ds, report.line);
      if (started) await start(host, instanceUnit(instance));
    },
    async undo(report) {
      await removeInstance(host, instance, report.facts.selfSignedCaWasThere === false);
    },
  };
}

/** Adds Capstan's schema and the containers of its entries. Both go with the instance. */
export function directoryTree(host: Host, site: Site): Step {
  const instance = directoryOf(site);
  return {
    id: 'directory-tree',
    title: 'Add the schema and the tree of the domain',
    done: () =>
      withLocalDirectory(
        host,
        instance,
        async (directory) =>
          (await missingSchema(directory, assetPath(SCHEMA))).length === 0 &&
          (await hasContainers(directory, instance.suffix)) &&
          hasIdentity(directory, instance.suffix, site.hostname),
      ),
    async apply(report) {
      await withLocalDirectory(host, instance, async (directory) => {
        const added = await addSchema(directory, assetPath(SCHEMA));
        report.line(`${added} schema definitions added`);
        await addContainers(directory, instance.suffix);
        await addIdentity(directory, instance.suffix, site.hostname, directorySubject(site));
        await allowInTree(directory, instance.suffix);
        await allowServers(directory, instance.suffix);
      });
    },
    undo: async () => {},
  };
}

/** Adds Capstan's schema, and lets the servers of the cluster manage replication here. All goes with the instance. */
export function directoryRights(host: Host, site: Site): Step {
  const instance = directoryOf(site);
  return {
    id: 'directory-rights',
    title: 'Add the schema, and the rights of the other servers',
    done: async () => false,
    async apply(report) {
      await withLocalDirectory(host, instance, async (directory) => {
        const added = await addSchema(directory, assetPath(SCHEMA));
        report.line(`${added} schema definitions added`);
        await allowServers(directory, instance.suffix);
      });
    },
    undo: async () => {},
  };
}
