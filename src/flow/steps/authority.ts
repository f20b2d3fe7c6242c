import { setTimeout as sleep } from 'node:timers/promises';
import { removeBackend } from '../../directory/backend.ts';
import { withLocalDirectory } from '../../directory/client.ts';
import { type DirectoryInstance, LDAPS_PORT, selfSignedCaFile } from '../../directory/instance.ts';
import { removeAgent, takeOverAgent } from '../../dogtag/agent.ts';
import {
  CA_CERTIFICATES,
  CA_SIGNING_NICKNAME,
  CA_TOKEN_NICKNAMES,
  INSTANCE,
} from '../../dogtag/certificates.ts';
import { setCrlGeneration } from '../../dogtag/crl.ts';
import { CA_BACKEND, type CaDeployment, caDeployments, type Deployment } from '../../dogtag/deployment.ts';
import { destroyCa, sharedFolders, stopInstance } from '../../dogtag/destroy.ts';
import { storeExternalChain } from '../../dogtag/external-chain.ts';
import { allowLargeRequests } from '../../dogtag/large-requests.ts';
import { privateKeys } from '../../dogtag/nssdb.ts';
import { readOverride } from '../../dogtag/override.ts';
import { spawn } from '../../dogtag/spawn.ts';
import { failure, isInterruption } from '../../errors.ts';
import { absentPaths, removeEmptyFolder, removeFile } from '../../host/files.ts';
import type { Host } from '../../host/host.ts';
import { proveKeys } from '../../hsm/proof.ts';
import { moduleName } from '../../hsm/token.ts';
import type { Step, StepReport } from '../../plan/step.ts';
import { passingSecret } from '../../secret/passing.ts';
import { withPrivateFolder } from '../../secret/private-file.ts';
import type { Secret } from '../../secret/secret.ts';
import { acceptedCertificate } from '../external.ts';
import { restoreCa } from '../recovery.ts';
import { AGENT_PKCS12, CA_STEP, directoryOf, dogtagOf, type ServerSecrets, type Site } from '../site.ts';
import { onToken, purgeToken, withKeysRemembered } from '../token.ts';

/** Dogtag's user for the person who runs the CA (`pki_admin_uid`, in the CA's own subtree). */
const ADMINISTRATOR_DN = 'uid=admin,ou=people,o=ipaca';

/** What an undo does with the token: `keep` leaves every object, `purge` deletes those that this installation made. */
export type TokenUndo = { mode: 'keep' } | { mode: 'purge'; pin: () => Promise<Secret> };

/** Creates the CA by pkispawn, with its four keys on the token and the TLS server's in the internal token. */
export function certificateAuthority(
  host: Host,
  site: Site,
  secrets: () => ServerSecrets,
  undoToken: TokenUndo,
): Step {
  // The key of an externally signed CA was made before its certificate.
  const earlier = site.external ? [CA_SIGNING_NICKNAME] : [];
  const keys = { token: site.token, nicknames: CA_TOKEN_NICKNAMES, earlier };
  return {
    id: CA_STEP,
    title: `Create the certificate authority with its keys on the token ${site.token.label}`,
    done: async () => false,
    async apply(report) {
      await report.remember({ newFolders: await absentPaths(sharedFolders()) });
      await withKeysRemembered(host, { ...keys, pin: secrets().token }, report, async () => {
        // What a killed pkispawn put into the directory; in a new one there is nothing.
        await removeBackend(host, directoryOf(site), CA_BACKEND);
        await spawnCa(host, site, secrets(), report);
      });
    },
    async undo(report) {
      const pin = undoToken.mode === 'purge' ? await undoToken.pin() : undefined;
      // Dogtag keeps the PIN until its instance is gone: with the token last, another try would have to ask for it.
      await stopInstance(host, INSTANCE);
      const failed = pin && (await failureOf(() => purgeToken(host, { ...keys, pin }, report)));
      await destroyCa(host, INSTANCE, report.line);
      await removeFile(AGENT_PKCS12);
      await removeAgent();
      for (const folder of (report.facts.newFolders ?? []) as string[]) await removeEmptyFolder(folder);
      if (failed) throw failed;
    },
  };
}

/** What work fails with, to be thrown when the rest is done; an interruption ends all of it. */
export async function failureOf(work: () => Promise<void>): Promise<unknown> {
  try {
    await work();
    return undefined;
  } catch (error) {
    if (isInterruption(error)) throw error;
    return error;
  }
}

async function spawnCa(host: Host, site: Site, secrets: ServerSecrets, report: StepReport): Promise<void> {
  const profile = await dogtagOf();
  await withPrivateFolder(async (folder) => {
    const accepted = site.external && (await acceptedCertificate());
    const deployment = {
      ...(await caDeployment(site, secrets, folder.path)),
      ...(accepted && { requestFile: folder.write('request.pem', accepted.request) }),
    };
    for (const part of caDeployments(deployment, profile)) {
      await spawn(host, part, report.line);
      if (accepted && part.name === 'installation')
        await storeExternalChain(host, INSTANCE, site.token.label, accepted.chain);
      // pkispawn names its archive by the second, and fails when two runs fall into one (seen with 10.10.2).
      const otherSecond = part.name === 'installation' ? sleep(1000) : undefined;
      // Tomcat is to be started yet.
      if (part.name === 'installation') await allowLargeRequests(INSTANCE, profile);
      if (part.name !== 'configuration') await listenToClones(host, site, part, report.line);
      await otherSecond;
    }
    await takeOverAgent(host, deployment.agentFile, deployment.adminPassword, AGENT_PKCS12, secrets.admin);
  });
  await setAdministratorPassword(host, directoryOf(site), secrets.admin);
}

/**
 * Has the CA hear of what its clones revoke: the CRLs that it generates would lack that, also when it hears of it later
 * (seen with 10.10.2). Between two runs of pkispawn that costs nothing; after a single one the CA is restarted for it.
 */
async function listenToClones(
  host: Host,
  site: Site,
  { name }: Deployment,
  line: (text: string) => void,
): Promise<void> {
  if (name === 'whole') await stopInstance(host, INSTANCE);
  await setCrlGeneration(host, INSTANCE, 'on');
  if (name === 'whole') await restoreCa(host, site, line);
}

/** Gives the CA's administrator the password that was asked for; Dogtag checks it by an LDAP bind. */
async function setAdministratorPassword(
  host: Host,
  instance: DirectoryInstance,
  password: Secret,
): Promise<void> {
  await withLocalDirectory(host, instance, (directory) =>
    directory.replace(ADMINISTRATOR_DN, { userPassword: [password.reveal()] }),
  );
}

/**
 * What the CA is made from. The agent's client database and PKCS#12 file lie in `clientFolder`, in memory, and are gone
 * afterwards. pkispawn gets a password for the administrator that lives as long: it passes it to a sub-process
 * as an argument, from where it gets into the system journal as well (`pki-server ca-user-add`, seen with 10.10.2).
 */
export async function caDeployment(
  site: Site,
  secrets: ServerSecrets,
  clientFolder: string,
): Promise<CaDeployment> {
  const { realm, hostname, caSubject, subjectBase, keySize, token } = site;
  return {
    realm,
    hostname,
    caSubject,
    subjectBase,
    keySize,
    token: {
      label: token.label,
      libraryPath: token.libraryPath,
      moduleName: moduleName(token.libraryPath),
      pin: secrets.token,
    },
    directory: {
      ldapsPort: LDAPS_PORT,
      caFile: selfSignedCaFile(directoryOf(site)),
      password: secrets.ds,
    },
    adminPassword: passingSecret('first password of the administrator'),
    clientDatabasePassword: passingSecret('password of the client database'),
    clientFolder: `${clientFolder}/client`,
    agentFile: `${clientFolder}/agent.p12`,
    ...(site.override && { override: await readOverride(site.override) }),
  };
}

/** Which keys are to be proven, and by which step: those of the CA unless told. */
export interface ProvenKeys {
  id: string;
  title: string;
  nicknames: readonly string[];
}

const CA_KEYS: ProvenKeys = {
  id: 'keys-on-token',
  title: 'Prove that the keys are on the token and cannot leave it',
  nicknames: CA_TOKEN_NICKNAMES,
};

/** Proves that keys are where they should be, by the token's own word and by a signature of each. */
export function keysOnToken(
  host: Host,
  site: Site,
  secrets: () => Pick<ServerSecrets, 'token'>,
  { id, title, nicknames }: ProvenKeys = CA_KEYS,
): Step {
  return {
    id,
    title,
    done: async () => false,
    async apply(report) {
      const proofs = await onToken(host, site.token, secrets().token, (module, slot) =>
        proveKeys(
          module,
          slot,
          nicknames.map((nickname) => ({ nickname })),
        ),
      );
      await internalTokenHoldsOnlyTls(host);
      await report.remember({ keys: proofs });
      report.line(`${proofs.length} keys: sensitive, never extractable, each signed a challenge`);
    },
    undo: async () => {},
  };
}

async function internalTokenHoldsOnlyTls(host: Host): Promise<void> {
  const expected = CA_CERTIFICATES.filter(({ token }) => token === 'internal').map(
    ({ nickname }) => nickname,
  );
  const found = await privateKeys(host, INSTANCE, undefined);
  if (found.toSorted().join() !== expected.toSorted().join()) {
    throw failure(
      'keys-not-proven',
      `The internal token of ${INSTANCE} should hold the private key of ${expected.join(', ')} and no other, but holds ${found.join(', ')}.`,
      'Do not use this certificate authority.',
    );
  }
}
