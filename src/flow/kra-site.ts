/** What a KRA on this host would belong to, read from the server that is there. */
import { withLocalDirectory } from '../directory/client.ts';
import { recordedServers, type ServerEntry, serversWith } from '../directory/masters.ts';
import { readHsmRecord } from '../directory/record.ts';
import { refusal } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { quoted } from '../names/quoted.ts';
import { asRefusal } from './refusals.ts';
import {
  CA_STEP,
  directoryOf,
  type InstalledServer,
  installedServer,
  recordedToken,
  type Site,
} from './site.ts';

/**
 * The site of the server on this host for a KRA: its token by the HSM record, and the KRA that is cloned where the
 * cluster has one.
 * @throws CapstanError, all as refusals: `not-root`, `not-installed`, `ca-missing`, `kra-exists`, `hsm-record-missing`,
 *   `hsm-record-malformed`, `token-name-differs`, `directory-unreachable`; and `interrupted`
 */
export async function siteForKra(host: Host): Promise<Site> {
  try {
    const server = await installedServer();
    requireCa(server);
    const site = siteOfCa(server);
    const { name, suffix } = directoryOf(site);
    const { record, servers } = await withLocalDirectory(host, { name }, async (directory) => ({
      record: await readHsmRecord(directory, suffix),
      servers: await recordedServers(directory, suffix),
    }));
    if (!record) throw withoutRecord(site);
    if (record.tokenName !== site.token.label) throw otherToken(site, record.tokenName);
    const kraMaster = kraToClone(servers, site.supplier);
    const token = recordedToken(site.token, record);
    return { ...site, token, ...(kraMaster !== undefined && { kraMaster }) };
  } catch (error) {
    throw asRefusal(error);
  }
}

function requireCa({ site, hasCa, hasKra }: InstalledServer): void {
  if (!hasCa) {
    throw refusal(
      'ca-missing',
      `The server ${site.hostname} has no certificate authority, beside which a KRA runs.`,
      'Give it one first, with "capstan ca-add".',
    );
  }
  if (hasKra) {
    throw refusal(
      'kra-exists',
      `The server ${site.hostname} has a KRA already.`,
      'See how it is with "capstan status".',
    );
  }
}

/** A CA that was added to a server may reach the token by another library than the server was installed with. */
function siteOfCa({ journal, site, added }: InstalledServer): Site {
  const withCa = [{ journal, site }, ...added].find((one) => one.journal.entry(CA_STEP)?.state === 'done');
  return withCa?.site ?? site;
}

function withoutRecord({ domain }: Site) {
  return refusal(
    'hsm-record-missing',
    `The directory of ${domain} has no HSM record: its CA keeps its keys elsewhere, and a KRA on an HSM needs a CA on the same HSM.`,
    'Build a new cluster on the HSM with "capstan server-install".',
  );
}

function otherToken({ token, hostname }: Site, recorded: string) {
  return refusal(
    'token-name-differs',
    `The HSM record names the token ${quoted(recorded)}, but the CA of ${hostname} was made with ${quoted(token.label)}.`,
    'Keys on different tokens cannot be mixed: see what "capstan status" says of the HSM record.',
  );
}

/** The KRA that a new one is a clone of: that of a server that is at hand, or any; undefined where there is none yet. */
export function kraToClone(servers: readonly ServerEntry[], near?: string): string | undefined {
  const kras = serversWith(servers, 'KRA');
  return kras.find((one) => one === near) ?? kras[0];
}
