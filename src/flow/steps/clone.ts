import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { withLocalDirectory } from '../../directory/client.ts';
import { LDAPS_PORT } from '../../directory/instance.ts';
import { removeAgent } from '../../dogtag/agent.ts';
import { removeArchivedPasswords } from '../../dogtag/archives.ts';
import { INSTANCE } from '../../dogtag/certificates.ts';
import { type CaCloneDeployment, caCloneDeployments } from '../../dogtag/clone-deployment.ts';
import { trustCloneCertificates } from '../../dogtag/clone-trust.ts';
import { destroyCa, sharedFolders, stopInstance } from '../../dogtag/destroy.ts';
import { checkProfiles, checkSignature } from '../../dogtag/health.ts';
import { allowLargeRequests } from '../../dogtag/large-requests.ts';
import { enrollMember } from '../../dogtag/membership.ts';
import { makeOwnAgent } from '../../dogtag/own-agent.ts';
import { hastenRanges, lacksNumbers, UNTIL_RESERVED } from '../../dogtag/ranges.ts';
import { joinUid } from '../../dogtag/security-domain.ts';
import { spawn } from '../../dogtag/spawn.ts';
import { isInterruption, sentenceOf } from '../../errors.ts';
import { absentPaths, removeEmptyFolder } from '../../host/files.ts';
import type { Host } from '../../host/host.ts';
import { pause } from '../../host/wait.ts';
import { moduleName } from '../../hsm/token.ts';
import type { Step, StepReport } from '../../plan/step.ts';
import { passingSecret } from '../../secret/passing.ts';
import { withPrivateFolder } from '../../secret/private-file.ts';
import type { Secret } from '../../secret/secret.ts';
import { addCaUser, removeCaTraces } from '../ca-users.ts';
import type { Joining } from '../joining.ts';
import { CA_FILE, CA_STEP, directoryOf, dogtagOf, type JoinedSite } from '../site.ts';

/** The secrets that a clone is made with. */
export interface CloneSecrets {
  /** The Directory Manager's of this host. */
  ds: Secret;
  token: Secret;
}

/** Makes this host's CA by pkispawn, a clone of the cluster's: it uses the keys that are on the token. */
export function cloneAuthority(
  host: Host,
  site: JoinedSite,
  joining: Joining,
  secrets: () => CloneSecrets,
): Step {
  const make = (report: StepReport) => spawnClone(host, site, joining, secrets(), report);
  return {
    id: CA_STEP,
    title: `Create a clone of the certificate authority, with the keys on the token ${site.token.label}`,
    done: async () => false,
    async apply(report) {
      await report.remember({ newFolders: await absentPaths(sharedFolders()) });
      await make(report).catch(async (error: unknown) => {
        if (!lacksNumbers(error)) throw error;
        report.line(
          `The CA of ${site.supplier} has no serial numbers to share yet; trying again in ${UNTIL_RESERVED} s`,
        );
        // A second pkispawn would keep what the first one left: a TLS certificate that it signed itself (10.10.2).
        await unmake(host, site, report);
        await pause(host, UNTIL_RESERVED * 1000, `serial numbers of ${site.supplier}`);
        await make(report);
      });
      await removeArchivedPasswords(INSTANCE);
      await ownAgent(host, site, joining);
      // pkispawn may end well with a CA that knows no profile and signs nothing.
      await checkProfiles(host, site.hostname, (await dogtagOf()).restPath);
      await checkSignature(host, site.hostname, await readFile(CA_FILE, 'utf8'));
    },
    undo: (report) => unmake(host, site, report),
  };
}

async function unmake(host: Host, site: JoinedSite, report: StepReport): Promise<void> {
  await stopInstance(host, INSTANCE);
  await withLocalDirectory(host, directoryOf(site), (directory) =>
    removeCaTraces(directory, site.hostname, true),
  ).catch((error: unknown) => {
    if (isInterruption(error)) throw error;
    report.line(`The security domain could not be told: ${sentenceOf(error)}`);
  });
  await destroyCa(host, INSTANCE, report.line);
  await removeAgent();
  for (const folder of (report.facts.newFolders ?? []) as string[]) await removeEmptyFolder(folder);
}

async function spawnClone(
  host: Host,
  site: JoinedSite,
  joining: Joining,
  secrets: CloneSecrets,
  report: StepReport,
): Promise<void> {
  const profile = await dogtagOf();
  const password = await joining.secret();
  await withPrivateFolder(async (folder) => {
    const deployment = cloneDeployment(site, { ...secrets, join: password }, folder.path);
    for (const part of caCloneDeployments(deployment, profile)) {
      await spawn(host, part, report.line);
      // pkispawn names its archive by the second, and fails when two runs fall into one (seen with 10.10.2).
      const otherSecond = part.name === 'installation' ? sleep(1000) : undefined;
      if (part.name === 'installation') {
        await allowLargeRequests(INSTANCE, profile);
        await hastenRanges(INSTANCE);
      }
      if (part.name !== 'configuration') {
        const chain = await readFile(CA_FILE, 'utf8');
        await trustCloneCertificates(host, INSTANCE, site.token.label, chain);
      }
      await otherSecond;
    }
  });
}

/**
 * What a clone is made from, its client database in `clientFolder`.
 * @param secrets.join the password of the user that this host joins as
 */
export function cloneDeployment(
  site: JoinedSite,
  secrets: CloneSecrets & { join: Secret },
  clientFolder: string,
): CaCloneDeployment {
  const { realm, hostname, caSubject, subjectBase, keySize, token, supplier } = site;
  return {
    ...{ realm, hostname, caSubject, subjectBase, keySize },
    token: {
      label: token.label,
      libraryPath: token.libraryPath,
      moduleName: moduleName(token.libraryPath),
      pin: secrets.token,
    },
    directory: { ldapsPort: LDAPS_PORT, caFile: CA_FILE, password: secrets.ds },
    clientDatabasePassword: passingSecret('password of the client database'),
    clientFolder: `${clientFolder}/client`,
    master: supplier,
    member: { user: joinUid(hostname), password: secrets.join },
    chainFile: CA_FILE,
  };
}

/** Gives this host an agent of its own: the key of the first server's does not leave that server. */
async function ownAgent(host: Host, site: JoinedSite, joining: Joining): Promise<void> {
  const membership = await joining.membership();
  const ca = { hostname: site.supplier, caCertificate: joining.caCertificate };
  const user = await makeOwnAgent(host, site, (request) => enrollMember(host, ca, membership, request));
  await withLocalDirectory(host, directoryOf(site), (directory) => addCaUser(directory, user));
}
