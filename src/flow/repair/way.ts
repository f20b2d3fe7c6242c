/** How a repair comes to the CA of its host, whose agent and whose TLS server have no valid certificate yet. */
import { withLocalDirectory } from '../../directory/client.ts';
import { INSTANCE } from '../../dogtag/certificates.ts';
import type { CaAccount } from '../../dogtag/rest.ts';
import { AGENT_GROUP, caUser, repairUid, userDn } from '../../dogtag/security-domain.ts';
import { tlsCertificate } from '../../dogtag/tls-certificate.ts';
import type { Host } from '../../host/host.ts';
import { passingSecret } from '../../secret/passing.ts';
import { addCaUser, removeCaUser } from '../ca-users.ts';
import type { OtherWay } from '../renewal/issue.ts';
import { directoryOf, type Site } from '../site.ts';
import { isExpired } from './expiry.ts';

/** The way as long as the TLS certificate of the CA is the expired one: that one is known, and no other is taken. */
export async function wayToCa(host: Host): Promise<OtherWay> {
  const certificate = await tlsCertificate(host, INSTANCE);
  return isExpired(certificate) ? { shows: certificate.toString() } : {};
}

/** Has an agent for the time of some work who comes by a password that nobody else knows, and is gone after it. */
export async function withRepairAgent<T>(
  host: Host,
  site: Site,
  use: (account: CaAccount) => Promise<T>,
): Promise<T> {
  const password = passingSecret('password of the agent of this repair');
  const user = repairUid(site.hostname);
  await withLocalDirectory(host, directoryOf(site), (directory) =>
    addCaUser(directory, caUser(user, 'agentType', [AGENT_GROUP], { userPassword: [password.reveal()] })),
  );
  try {
    return await use({ user, password });
  } finally {
    await removeRepairAgent(host, site);
  }
}

/** Removes that agent; that there is none is no error. */
export async function removeRepairAgent(host: Host, site: Site): Promise<void> {
  await withLocalDirectory(host, directoryOf(site), (directory) =>
    removeCaUser(directory, userDn(repairUid(site.hostname))),
  );
}
