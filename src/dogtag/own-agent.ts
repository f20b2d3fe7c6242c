import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { writeFileAtomically } from '../host/files.ts';
import type { Host } from '../host/host.ts';
import { escapeValue } from '../names/dn.ts';
import { withPrivateFolder } from '../secret/private-file.ts';
import { AGENT_CERTIFICATE, AGENT_KEY } from './agent.ts';
import { MEMBER_ADMIN_PROFILE, type MemberRequest } from './membership.ts';
import { AGENT_GROUP, agentUid, type CaUser, caUser } from './security-domain.ts';

/** The size of an agent's RSA key in bits; that of the first agent (`pki_admin_key_size`). */
const KEY_SIZE = 2048;

/** The subject of a host's own agent. Not the host's alone: that is the identity of its directory. */
export function agentSubject(hostname: string, subjectBase: string): string {
  return `CN=${escapeValue(hostname)},OU=Capstan Agent,${subjectBase}`;
}

/**
 * Makes an agent of this host's own: a key that nobody else has, and a certificate for it, both kept where
 * `agentCredentials` finds them. The user that the certificate stands for is for the caller to add.
 * @param issue has the CA issue a certificate (`enrollMember`)
 * @returns the user, {@link agentUser}
 * @throws CapstanError `command-failed`, and what `issue` throws
 */
export async function makeOwnAgent(
  host: Host,
  { hostname, subjectBase }: { hostname: string; subjectBase: string },
  issue: (request: MemberRequest) => Promise<string>,
): Promise<CaUser> {
  return withPrivateFolder(async (folder) => {
    const [key, request] = ['key.pem', 'request.pem'].map((name) => `${folder.path}/${name}`) as [
      string,
      string,
    ];
    await host.run('openssl', [
      ...['req', '-new', '-newkey', `rsa:${KEY_SIZE}`, '-nodes', '-keyout', key, '-out', request],
      // The profile takes the subject beside the request.
      ...['-subj', '/CN=agent'],
    ]);
    const certificate = await issue({
      profile: MEMBER_ADMIN_PROFILE,
      request: await readFile(request, 'utf8'),
      subject: agentSubject(hostname, subjectBase),
    });
    await writeFileAtomically(AGENT_KEY, await readFile(key), { mode: 0o600 });
    await writeFileAtomically(AGENT_CERTIFICATE, certificate, { mode: 0o600 });
    return agentUser(hostname, certificate);
  });
}

/**
 * The user of the CA that a host's agent is: Dogtag finds who shows a certificate by `description`, of the form
 * `2;SERIAL;ISSUER;SUBJECT` (ExactMatchCertUserLocator of 10.10.2).
 * @param certificate PEM
 */
export function agentUser(hostname: string, certificate: string): CaUser {
  const parsed = new X509Certificate(certificate);
  return caUser(agentUid(hostname), 'agentType', [AGENT_GROUP], {
    description: [certificateMark(parsed)],
    userCertificate: [parsed.raw],
  });
}

/** By what Dogtag finds the user of a certificate; see {@link agentUser}. */
export function certificateMark({ serialNumber, issuer, subject }: X509Certificate): string {
  const serial = BigInt(`0x${serialNumber}`).toString();
  return `2;${serial};${writtenByDogtag(issuer)};${writtenByDogtag(subject)}`;
}

/** A name as Dogtag writes it, from the lines of node:crypto, which begin with the least specific part. */
export function writtenByDogtag(lines: string): string {
  return lines
    .split('\n')
    .toReversed()
    .map((part) => part.replace(/^emailAddress=/, 'E='))
    .join(',');
}
