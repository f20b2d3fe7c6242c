/** What must hold before a KRA is made, and before an unfinished one goes on. */
import { withCertmonger } from '../certmonger/bus.ts';
import { trackingRequests } from '../certmonger/tracking.ts';
import { withLocalDirectory } from '../directory/client.ts';
import { recordedServers, type ServerEntry } from '../directory/masters.ts';
import { INSTANCE, KRA_CERTIFICATES, KRA_TOKEN_NICKNAMES } from '../dogtag/certificates.ts';
import { kraPaths } from '../dogtag/destroy.ts';
import { checkStatus } from '../dogtag/health.ts';
import { KRA_SUFFIX, kraDeployment } from '../dogtag/kra-deployment.ts';
import { isInterruption, refusal, sentenceOf } from '../errors.ts';
import { presentPaths } from '../host/files.ts';
import type { Host } from '../host/host.ts';
import { inspectToken } from '../hsm/inspect.ts';
import type { JournalFile } from '../plan/journal.ts';
import type { Check } from '../plan/step.ts';
import { passingSecret } from '../secret/passing.ts';
import { possessionCheck } from './cluster-token.ts';
import { kraPackageCheck, wrapsByOaep } from './key-recovery.ts';
import type { KraRequest } from './kra.ts';
import { hostChecks, sentenceOfToken } from './preflight.ts';
import { serverProblems } from './recovery.ts';
import { clockOrderCheck } from './resume.ts';
import { caCertificate, directoryOf, dogtagOf, KRA_STEP, PKI_USER, type Site } from './site.ts';
import { deploymentOf, type KraSecrets } from './steps/kra.ts';

/** Everything that can be known before the first change of `kra-add`. */
export function kraAddChecks(host: Host, request: KraRequest): Check[] {
  return [
    ...hostChecks(host, request, () => checkKraConfiguration(request, request.secrets)),
    kraPackageCheck(request),
    {
      id: 'ca',
      title: `The CA of ${request.hostname} works`,
      run: () => requireCa(host, request),
    },
    { id: 'earlier', title: 'Nothing of an earlier KRA is left', run: () => checkRemains(host, request) },
    { id: 'tracking', title: 'certmonger tracks nothing of a KRA yet', run: () => checkTracking(host) },
    ...kraMasterChecks(host, request),
    kraTokenCheck(host, request, request.secrets),
  ];
}

/** Everything that can be known before an unfinished `kra-add` goes on, and nothing that it made itself. */
export function kraResumeChecks(host: Host, request: KraRequest, journal: JournalFile): Check[] {
  const isMade = journal.entry(KRA_STEP)?.state === 'done';
  return [
    ...hostChecks(host, request, () => checkKraConfiguration(request, request.secrets)),
    kraPackageCheck(request),
    clockOrderCheck(journal),
    ...(isMade ? [] : kraMasterChecks(host, request)),
    {
      id: 'token',
      title: `The token ${request.token.label} lets Dogtag in`,
      // What is on it may be of the very run that goes on.
      run: async () =>
        sentenceOfToken(await inspectToken(host, await inspection(request, request.secrets, []))),
    },
  ];
}

/**
 * That the token can take the keys of a first KRA, or holds those of the KRA that is cloned: it signs with each.
 * @param ca gives the CA certificate, PEM, where it is known beforehand
 */
export function kraTokenCheck(
  host: Host,
  site: Site,
  secrets: KraSecrets,
  ca: () => Promise<string> = () => caCertificate(host),
): Check {
  const { label } = site.token;
  if (site.kraMaster === undefined) {
    return {
      id: 'token',
      title: `The token ${label} can take the keys of a KRA`,
      run: async () =>
        sentenceOfToken(await inspectToken(host, await inspection(site, secrets, KRA_TOKEN_NICKNAMES))),
    };
  }
  return {
    id: 'token',
    title: `The token ${label} holds the keys of the KRA of ${site.kraMaster}`,
    async run() {
      await inspectToken(host, await inspection(site, secrets, []));
      const facts = { keySize: site.keySize, caCertificate: await ca(), tokenSerials: [] };
      const token = { choice: site.token, pin: secrets.token };
      return possessionCheck(host, facts, token, KRA_TOKEN_NICKNAMES).run();
    },
  };
}

async function inspection({ token }: Site, secrets: KraSecrets, nicknames: readonly string[]) {
  return {
    libraryPath: token.libraryPath,
    label: token.label,
    pin: secrets.token,
    user: PKI_USER,
    keySizes: [2048],
    nicknames,
    wrapping: { oaep: await wrapsByOaep(token) },
  };
}

/** Refuses what pkispawn could not be given for a KRA. */
export async function checkKraConfiguration(site: Site, secrets: KraSecrets): Promise<undefined> {
  const password = passingSecret('password for the security domain');
  const place = { folder: '/run', file: '/run/administrator' };
  kraDeployment(await deploymentOf(site, secrets, password, place), await dogtagOf());
}

/** That the KRA that is cloned runs, and can be reached from here. */
export function kraMasterChecks(host: Host, { kraMaster }: Pick<Site, 'kraMaster'>): Check[] {
  if (kraMaster === undefined) return [];
  return [
    {
      id: 'kra-master',
      title: `The KRA of ${kraMaster}, which is cloned, runs`,
      async run() {
        try {
          return await checkStatus(host, kraMaster, await dogtagOf(), 'KRA');
        } catch (error) {
          if (isInterruption(error)) throw error;
          throw refusal(
            'kra-master-unwell',
            `The KRA of ${kraMaster} cannot be cloned: ${sentenceOf(error)}`,
            `Bring it back with "capstan restart" on ${kraMaster}; servers reach each other on TCP 8080 and 8443.`,
            error,
          );
        }
      },
    },
  ];
}

async function requireCa(host: Host, site: Site): Promise<string> {
  const { directory, ca } = await serverProblems(host, site, { directory: true, ca: true });
  const problem = directory ?? ca;
  if (!problem) return 'it made a signature';
  throw refusal(
    'ca-unwell',
    `The CA of ${site.hostname} does not work: ${problem.message}`,
    'Bring it back with "capstan restart"; a KRA is made with its help.',
    problem,
  );
}

async function checkRemains(host: Host, site: Site): Promise<undefined> {
  const found = await presentPaths(kraPaths(INSTANCE));
  const { name, suffix } = directoryOf(site);
  const { servers, archive } = await withLocalDirectory(host, { name }, async (directory) => ({
    servers: await recordedServers(directory, suffix),
    archive: await directory.entry(KRA_SUFFIX, ['1.1']),
  }));
  if (found.length > 0) {
    throw refusal(
      'kra-exists',
      `This host has a KRA or the remains of one: ${found.join(', ')}.`,
      `Remove it with "pkidestroy -s KRA -i ${INSTANCE} --force"; Capstan knows nothing of it.`,
    );
  }
  requireArchive(site, servers, archive !== undefined);
  return undefined;
}

/** A first KRA has an archive of its own, and a clone has that of the others. */
function requireArchive({ kraMaster }: Site, servers: readonly ServerEntry[], isThere: boolean): void {
  if (isThere === (kraMaster !== undefined)) return;
  throw isThere
    ? refusal(
        'kra-data-exists',
        `${KRA_SUFFIX} is in the directory already, and no server is recorded to have a KRA (${servers.map(({ hostname }) => hostname).join(', ')}): keys may be archived there.`,
        'What is in it can be recovered by the KRA that archived it only. If that is gone for good, delete the subtree.',
      )
    : refusal(
        'kra-data-missing',
        `${kraMaster} is recorded to have a KRA, and ${KRA_SUFFIX} is not in the directory of this server.`,
        'See whether the changes arrive: capstan topology list.',
      );
}

async function checkTracking(host: Host): Promise<undefined> {
  const ours = new Set(KRA_CERTIFICATES.map(({ id }) => id));
  const strays = (await withCertmonger(host, trackingRequests)).filter(({ id }) => ours.has(id));
  if (strays.length === 0) return;
  throw refusal(
    'tracking-exists',
    `certmonger tracks certificates of a KRA already: ${strays.map(({ id }) => id).join(', ')}.`,
    'Stop the tracking with "getcert stop-tracking -i ID".',
  );
}
