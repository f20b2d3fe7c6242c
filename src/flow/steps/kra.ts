import { readFile, writeFile } from 'node:fs/promises';
import { withLocalDirectory } from '../../directory/client.ts';
import { instanceUnit, LDAPS_PORT } from '../../directory/instance.ts';
import { recordedServers } from '../../directory/masters.ts';
import { agentCredentials } from '../../dogtag/agent.ts';
import { removeArchivedPasswords } from '../../dogtag/archives.ts';
import { INSTANCE, KRA_TOKEN_NICKNAMES } from '../../dogtag/certificates.ts';
import { distrustKraAudit, trustKraAudit } from '../../dogtag/clone-trust.ts';
import { disconnectKra } from '../../dogtag/connector.ts';
import { CA_BACKEND } from '../../dogtag/deployment.ts';
import { destroyKra, stopInstance } from '../../dogtag/destroy.ts';
import { archiveProof, recoverProof } from '../../dogtag/kra.ts';
import { configureArchival } from '../../dogtag/kra-config.ts';
import { type KraDeployment, kraDeployment } from '../../dogtag/kra-deployment.ts';
import { allowLargeRequests } from '../../dogtag/large-requests.ts';
import { requestMembership } from '../../dogtag/membership.ts';
import { kraJoinUid } from '../../dogtag/security-domain.ts';
import { spawn } from '../../dogtag/spawn.ts';
import { isSubsystemEnabled } from '../../dogtag/subsystem.ts';
import { type CapstanError, isInterruption, sentenceOf } from '../../errors.ts';
import type { Host } from '../../host/host.ts';
import { isActive, restart } from '../../host/services.ts';
import { within } from '../../host/wait.ts';
import { moduleName } from '../../hsm/token.ts';
import type { Step, StepReport } from '../../plan/step.ts';
import { passingSecret } from '../../secret/passing.ts';
import { withPrivateFolder } from '../../secret/private-file.ts';
import type { Secret } from '../../secret/secret.ts';
import { removeKraTraces } from '../ca-users.ts';
import { connectAll, disconnectAll } from '../connectors.ts';
import { withKra, wrapsByOaep } from '../key-recovery.ts';
import {
  addKraMember,
  administratorCertificate,
  admitAgent,
  removeArchive,
  removeKraIndexes,
  removeKraMember,
  shareAdministratorPassword,
} from '../kra-users.ts';
import { restoreCa } from '../recovery.ts';
import { CA_FILE, directoryOf, dogtagOf, KRA_STEP, type Site } from '../site.ts';
import { purgeToken, withKeysRemembered } from '../token.ts';
import { failureOf, type TokenUndo } from './authority.ts';

/** The secrets that a KRA is made with. */
export interface KraSecrets {
  /** The Directory Manager's of this host. */
  ds: Secret;
  /** The user PIN of the token. */
  token: Secret;
}

/** What an undo of a KRA does besides taking it back. */
export interface KraUndo {
  token: TokenUndo;
  /** Whether the CA of the instance is to go on: it does not where it is about to be taken back as well. */
  keepCa: boolean;
}

/** Milliseconds between two tries to log in as a user who is being replicated. */
const BETWEEN_TRIES = 1000;

/** Creates the KRA by pkispawn: the first with its keys made on the token, a clone with those that are there. */
export function keyRecovery(host: Host, site: Site, secrets: () => KraSecrets, undo: KraUndo): Step {
  const isFirst = site.kraMaster === undefined;
  const keys = { token: site.token, nicknames: KRA_TOKEN_NICKNAMES };
  return {
    id: KRA_STEP,
    title: isFirst
      ? `Create the KRA with its keys on the token ${site.token.label}`
      : `Create a clone of the KRA of ${site.kraMaster}, with the keys on the token ${site.token.label}`,
    done: async () => false,
    async apply(report) {
      // pkispawn asks it; a resumed run that took this step back has left it stopped.
      await restoreCa(host, site, report.line);
      const make = () => makeKra(host, site, secrets(), report);
      await (isFirst ? withKeysRemembered(host, { ...keys, pin: secrets().token }, report, make) : make());
    },
    async undo(report) {
      const purge = undo.token.mode === 'purge' && report.facts.tokenBefore !== undefined;
      const pin = purge && undo.token.mode === 'purge' ? await undo.token.pin() : undefined;
      await stopInstance(host, INSTANCE);
      const failed = pin && (await failureOf(() => purgeToken(host, { ...keys, pin }, report)));
      await unmakeKra(host, site, isFirst, report);
      await restartIfUp(host, instanceUnit(directoryOf(site)));
      if (undo.keepCa) await restoreCa(host, site, report.line);
      if (failed) throw failed;
    },
  };
}

/**
 * 389-ds goes on holding open the file of a virtual list's index that is removed, and waits for itself without end when the
 * next pkispawn has that index rebuilt (1.4.4, seen after a power cut): a resumed run may do that at once.
 */
async function restartIfUp(host: Host, unit: string): Promise<void> {
  if (await isActive(host, unit)) await restart(host, unit);
}

async function makeKra(host: Host, site: Site, secrets: KraSecrets, report: StepReport): Promise<void> {
  const instance = directoryOf(site);
  const profile = await dogtagOf();
  const password = passingSecret('password for the security domain');
  await withLocalDirectory(host, instance, (directory) => addKraMember(directory, site.hostname, password));
  try {
    if (site.kraMaster !== undefined) {
      await untilKnown(host, site, site.kraMaster, password);
      await trustKraAudit(host, INSTANCE, site.token.label);
    }
    await withPrivateFolder(async (folder) => {
      const file = `${folder.path}/administrator.b64`;
      const certificate = await withLocalDirectory(host, instance, administratorCertificate);
      await writeFile(file, certificate.toString('base64'), { mode: 0o600 });
      const deployment = await deploymentOf(site, secrets, password, { folder: folder.path, file });
      await spawn(host, kraDeployment(deployment, profile), report.line);
    });
  } finally {
    // With a signal of its own: the user must not outlive an interrupted run.
    await withLocalDirectory(host.under(), instance, (directory) =>
      removeKraMember(directory, site.hostname),
    ).catch((error: unknown) => host.log.write(`the passing user stays: ${sentenceOf(error)}`));
  }
  await stopInstance(host, INSTANCE);
  await configureArchival(INSTANCE, profile);
  await allowLargeRequests(INSTANCE, profile);
  await removeArchivedPasswords(INSTANCE, 'KRA');
  const { certificate } = await agentCredentials();
  await withLocalDirectory(host, instance, async (directory) => {
    if (site.kraMaster === undefined) await shareAdministratorPassword(directory);
    await admitAgent(directory, site.hostname, certificate);
  });
  await restoreCa(host, site, report.line, true);
}

/** Waits until the server whose KRA is cloned knows the user of this host, who was made in the directory of this one. */
async function untilKnown(host: Host, site: Site, master: string, password: Secret): Promise<void> {
  const { restPath } = await dogtagOf();
  const address = { hostname: master, caCertificate: await readFile(CA_FILE, 'utf8'), restPath };
  const account = { user: kraJoinUid(site.hostname), password };
  let refused: unknown;
  await within(host, 'replication', `${master} to know ${account.user}`, async (signal) => {
    for (;;) {
      try {
        await requestMembership(host, address, account, site.hostname, 'KRA');
        return;
      } catch (error) {
        if (!isNotKnownYet(error)) throw error;
        refused = error;
      }
      await new Promise((resolve) => setTimeout(resolve, BETWEEN_TRIES));
      signal.throwIfAborted();
    }
  }).catch((error: unknown) => {
    throw isInterruption(error) || !refused ? error : refused;
  });
}

function isNotKnownYet(error: unknown): boolean {
  return ['ca-login-refused', 'membership-refused'].includes((error as CapstanError).code);
}

/** What the KRA of a site is made from. @param place where the client database is made, and the administrator's certificate lies */
export async function deploymentOf(
  site: Site,
  secrets: KraSecrets,
  password: Secret,
  place: { folder: string; file: string },
): Promise<KraDeployment> {
  const { realm, hostname, subjectBase, token } = site;
  const { label, libraryPath } = token;
  return {
    ...{ realm, hostname, subjectBase },
    token: { label, libraryPath, moduleName: moduleName(libraryPath), pin: secrets.token },
    directory: { ldapsPort: LDAPS_PORT, caFile: CA_FILE, password: secrets.ds },
    clientDatabasePassword: passingSecret('password of the client database'),
    clientFolder: `${place.folder}/client`,
    member: { user: kraJoinUid(hostname), password },
    adminPassword: passingSecret('first password of the administrator'),
    adminCertificateFile: place.file,
    master: site.kraMaster,
    oaep: await wrapsByOaep(token),
  };
}

/**
 * Removes a KRA whatever state it is in. pkidestroy leaves most of it where pkispawn did not come to its end: the tree in
 * the directory, the place in the security domain, the connector of the CA (10.10.2, seen).
 */
async function unmakeKra(host: Host, site: Site, isFirst: boolean, report: StepReport): Promise<void> {
  const { name, suffix } = directoryOf(site);
  await destroyKra(host, INSTANCE, report.line);
  if (await isSubsystemEnabled(INSTANCE, 'ca')) {
    await disconnectKra(INSTANCE, site.hostname);
    await distrustKraAudit(host, INSTANCE);
  }
  await withLocalDirectory(host, { name }, async (directory) => {
    await removeKraTraces(directory, site.hostname);
    await removeKraIndexes(directory, CA_BACKEND);
    const servers = await recordedServers(directory, suffix);
    const others = servers.filter(
      ({ hostname, roles }) => hostname !== site.hostname && roles.some((role) => role.name === 'KRA'),
    );
    // What another KRA can recover stays; what nobody can is of no use.
    if (isFirst && others.length === 0) await removeArchive(directory);
  }).catch((error: unknown) => {
    // A directory that does not run any more takes all of it with it.
    if ((error as CapstanError).code !== 'directory-unreachable') throw error;
    report.line(sentenceOf(error));
  });
}

/** Has every CA of the cluster know the KRA of this host, and the CA of this host every other KRA. */
export function krasConnected(host: Host, site: Site): Step {
  return {
    id: 'kra-connectors',
    title: 'Have every CA know every KRA',
    done: async () => false,
    async apply(report) {
      for (const silent of await connectAll(host, site)) {
        report.line(`Not told: ${silent}; "capstan restart" there does it`);
      }
    },
    async undo(report) {
      // A directory that does not run any more tells of no other CA.
      const silent = await disconnectAll(host, site).catch((error: unknown) => {
        if (isInterruption(error)) throw error;
        return [sentenceOf(error)];
      });
      for (const one of silent) report.line(`Not told: ${one}`);
    },
  };
}

/** Proves that the KRA works: a text that is no secret is archived, or was by another KRA, and is recovered. */
export function recoveryProven(host: Host, site: Site): Step {
  return {
    id: 'key-recovery-proven',
    title: 'Archive a text and recover it with the keys on the token',
    done: async () => false,
    apply: (report) =>
      withKra(host, site, site.hostname, async (client) => {
        const archived = await archiveProof(client);
        await recoverProof(client);
        report.line(`the key ${archived} was recovered, byte for byte`);
      }),
    // It goes with the archive.
    undo: async () => {},
  };
}
