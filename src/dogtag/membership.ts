/**
 * What a host may do that is about to become a member of the security domain: a user of `Enterprise CA Administrators`
 * gets it an install token, and with that the CA issues what pkispawn would ask for, without an agent's approval.
 */
import { X509Certificate } from 'node:crypto';
import { CapstanError, failure } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { Secret } from '../secret/secret.ts';
import type { SubsystemName } from './certificates.ts';
import { type CaAccount, type CaAddress, caSession, postForm, type TrustedCa } from './rest.ts';

/** The profile for TLS servers that are clients as well; it copies the common name to the alternative names. */
export const MEMBER_SERVER_PROFILE = 'caInternalAuthServerCert';
/** The profile for those who log in to the CA by certificate. */
export const MEMBER_ADMIN_PROFILE = 'caAdminCert';

/** An install token: good for any number of requests of one host, until the security domain forgets it after a day. */
export interface Membership {
  /** The host that is to become a member. */
  hostname: string;
  token: Secret;
}

/**
 * Logs in as a user of `Enterprise CA Administrators` and has the security domain give out an install token.
 * @param hostname of the host that is to become a member
 * @param subsystem what it is to become a member with; the group of the user is named after it
 * @throws CapstanError `ca-login-refused`, `membership-refused`, `ca-unreachable`, `interrupted`
 */
export async function requestMembership(
  host: Host,
  address: Omit<CaAddress, 'agent' | 'account'>,
  account: CaAccount,
  hostname: string,
  subsystem: SubsystemName = 'CA',
): Promise<Membership> {
  const session = caSession(host, { ...address, account });
  try {
    await session.get('/account/login');
    const query = new URLSearchParams({ hostname, subsystem });
    const answer = await session.get(`/securityDomain/installToken?${query}`);
    await session.get('/account/logout').catch(() => {});
    return { hostname, token: new Secret(tokenIn(answer), 'install token') };
  } catch (error) {
    if (!(error instanceof CapstanError) || error.code !== 'ca-refused') throw error;
    throw failure(
      'membership-refused',
      `The security domain at ${address.hostname} gives ${account.user} no install token for ${hostname}: ${error.message}`,
      `The user must be in the group "Enterprise ${subsystem} Administrators" of the CA.`,
      error,
    );
  } finally {
    session.close();
  }
}

/** The token in an answer: Dogtag 10 and 11 call it `token`, REST v2 `Token`. */
function tokenIn(answer: unknown): string {
  const { token, Token } = (answer ?? {}) as { token?: unknown; Token?: unknown };
  const found = token ?? Token;
  if (typeof found === 'string' && found !== '') return found;
  throw failure('membership-refused', 'The security domain answered without an install token.');
}

/** What a member asks a certificate for. */
export interface MemberRequest {
  profile: typeof MEMBER_SERVER_PROFILE | typeof MEMBER_ADMIN_PROFILE;
  /** PKCS#10, PEM. */
  request: string;
  /** The subject, for the profile that does not take it from the request. */
  subject?: string;
}

/**
 * Has the CA issue a certificate to a member, and verifies it: by the CA's signature, and by the key of the request.
 * @returns the certificate, PEM
 * @throws CapstanError `enrollment-failed`, `signature-unverified`, `ca-unreachable`, `ca-refused`, `command-failed`,
 * `interrupted`
 */
export async function enrollMember(
  host: Host,
  ca: TrustedCa,
  { hostname, token }: Membership,
  { profile, request, subject }: MemberRequest,
): Promise<string> {
  const answer = await postForm(host, ca, '/ca/ee/ca/profileSubmit', {
    profileId: profile,
    cert_request_type: 'pkcs10',
    cert_request: request,
    ...(subject !== undefined && { subject }),
    sessionID: token.reveal(),
    hostname,
    xmlOutput: 'true',
  });
  const certificate = certificateIn(answer, ca.hostname, profile);
  await verify(host, certificate, ca.caCertificate, request);
  return certificate.toString();
}

/** The certificate in an answer of profileSubmit. @throws CapstanError `enrollment-failed` */
export function certificateIn(answer: string, hostname: string, profile: string): X509Certificate {
  const encoded = /<b64>([^<]*)<\/b64>/.exec(answer)?.[1];
  if (encoded !== undefined) {
    const base64 = encoded.replaceAll(/&#\w+;|-----(?:BEGIN|END) CERTIFICATE-----|\s/g, '');
    return new X509Certificate(Buffer.from(base64, 'base64'));
  }
  const status = /<Status>([^<]*)<\/Status>/.exec(answer)?.[1];
  const reason = /<Error>([^<]*)<\/Error>/.exec(answer)?.[1]?.trim();
  throw failure(
    'enrollment-failed',
    `The CA at ${hostname} issued no certificate by the profile ${profile}: ${reason || `status ${status ?? 'unknown'}`}.`,
    'A signature that fails ends so as well: check that the HSM of that server answers.',
  );
}

async function verify(
  host: Host,
  certificate: X509Certificate,
  caCertificate: string,
  request: string,
): Promise<void> {
  const ca = new X509Certificate(caCertificate);
  const isIssued = certificate.checkIssued(ca) && certificate.verify(ca.publicKey);
  const { stdout } = await host.run('openssl', ['req', '-noout', '-pubkey'], { input: request });
  const isForRequest = certificate.publicKey.export({ type: 'spki', format: 'pem' }) === stdout;
  if (isIssued && isForRequest) return;
  throw failure(
    'signature-unverified',
    `The certificate ${certificate.serialNumber} that the CA issued ${isIssued ? 'is for another key than was asked for' : 'does not verify with the certificate of the CA'}.`,
    'Do not use it.',
  );
}
