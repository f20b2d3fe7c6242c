/** The KRA of a server, as the agent of this host comes to it. */
import { checkStatus } from '../dogtag/health.ts';
import { type KraClient, recoverProof } from '../dogtag/kra.ts';
import { formatVersion } from '../dogtag/version.ts';
import { CapstanError, failure, isInterruption, refusal } from '../errors.ts';
import { isFips } from '../host/facts.ts';
import { pathExists } from '../host/files.ts';
import type { Host } from '../host/host.ts';
import { needsOaep } from '../hsm/vendors.ts';
import type { Check } from '../plan/step.ts';
import { withAgentSession } from './agent-session.ts';
import { dogtagOf, type Site, type TokenChoice } from './site.ts';

/** Where the package with the KRA puts its files. */
const KRA_PACKAGE = '/usr/share/pki/kra';

/**
 * Whether keys are wrapped with RSA-OAEP: some HSMs know nothing else, and FIPS mode allows nothing else. The HSM record
 * decides, for all KRAs of a cluster, also where a host reaches the HSM by a library of another name.
 */
export async function wrapsByOaep({
  libraryPath,
  recordedLibraryPath = libraryPath,
}: Pick<TokenChoice, 'libraryPath' | 'recordedLibraryPath'>): Promise<boolean> {
  return needsOaep(libraryPath) || needsOaep(recordedLibraryPath) || (await isFips());
}

/** That the KRA is installed, and that its release can do what the HSM asks for. */
export function kraPackageCheck({ token }: Pick<Site, 'token'>): Check {
  return {
    id: 'kra-package',
    title: 'The KRA of Dogtag is installed, and can work with this HSM',
    async run() {
      if (!(await pathExists(KRA_PACKAGE))) {
        throw refusal(
          'programs-missing',
          `The KRA of Dogtag is not installed: there is no ${KRA_PACKAGE}.`,
          'Install the package pki-kra.',
        );
      }
      const { oaepKeyWrap, version } = await dogtagOf();
      if (!(await wrapsByOaep(token))) return 'keys are wrapped with RSA PKCS#1 v1.5';
      if (oaepKeyWrap) return 'keys are wrapped with RSA-OAEP';
      throw refusal(
        'dogtag-without-oaep',
        `The HSM behind ${token.libraryPath}, or the FIPS mode of this host, lets keys be wrapped with RSA-OAEP only, which the KRA of Dogtag PKI ${formatVersion(version)} cannot.`,
        'Install Dogtag PKI 11.3 or newer.',
      );
    },
  };
}

/**
 * Works with a KRA as this host's agent.
 * @throws CapstanError `kra-unreachable`, `kra-login-refused`, `kra-refused`, and whatever `use` throws
 */
export async function withKra<T>(
  host: Host,
  site: Pick<Site, 'token'>,
  hostname: string,
  use: (client: KraClient) => Promise<T>,
): Promise<T> {
  const oaep = await wrapsByOaep(site.token);
  return withAgentSession(host, 'KRA', hostname, (session) => use({ session, oaep }));
}

/**
 * Has the KRA of this host recover what was archived for that; see {@link recoverProof}.
 * @returns what it did, in words
 * @throws CapstanError `kra-unwell`, `kra-unreachable`
 */
export async function checkRecovery(host: Host, site: Pick<Site, 'hostname' | 'token'>): Promise<string> {
  const { hostname } = site;
  try {
    const id = await withKra(host, site, hostname, recoverProof);
    return `recovered the key ${id}`;
  } catch (error) {
    if (isInterruption(error) || !(error instanceof CapstanError)) throw error;
    throw failure(
      'kra-unwell',
      `The KRA at ${hostname} recovers nothing: ${error.message}`,
      'When the HSM and the directory answer, "capstan restart" brings the KRA back: Dogtag does not reconnect to an HSM it has lost.',
      error,
    );
  }
}

/** Whether the KRA of this host does its work: it answers, and recovers. @throws CapstanError as {@link checkRecovery} */
export async function kraWorks(host: Host, site: Pick<Site, 'hostname' | 'token'>): Promise<void> {
  await checkStatus(host, site.hostname, await dogtagOf(), 'KRA');
  await checkRecovery(host, site).catch((error: unknown) => {
    // One that is being installed has nothing archived yet; its installation proves the rest.
    if (causeOf(error)?.code !== 'proof-missing') throw error;
  });
}

function causeOf(error: unknown): CapstanError | undefined {
  return error instanceof CapstanError && error.cause instanceof CapstanError ? error.cause : undefined;
}
