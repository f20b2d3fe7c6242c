/** LDAP connections to other servers: over TLS, and nothing trusted but the CA of the cluster. */
import type { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { connect, type TLSSocket } from 'node:tls';
import {
  InappropriateAuthError,
  InvalidCredentialsError,
  ResultCodeError,
  UnwillingToPerformError,
} from 'ldapts';
import { type CapstanError, failure, isInterruption, refusal, sentenceOf } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { within } from '../host/wait.ts';
import { trustAnchor } from '../names/pem.ts';
import type { Secret } from '../secret/secret.ts';
import { type Directory, overSocket, type Peer, resultSentence } from './client.ts';
import { LDAPS_PORT } from './instance.ts';

/** As whom a connection is bound: by a password, or by the certificate that the TLS connection shows (SASL EXTERNAL). */
export type DirectoryCredentials =
  | { dn: string; password: Secret }
  /** Both PEM. */
  | { certificate: string; key: string };

/** Another server's directory, and how it is trusted. */
export interface RemoteDirectory {
  /** Its fully qualified name, which its certificate must carry. */
  hostname: string;
  /** The CA certificate, PEM; nothing else is trusted. */
  caCertificate: string;
  /** Nobody unless told: an anonymous connection. */
  as?: DirectoryCredentials | undefined;
}

/**
 * Works with the directory of another server over LDAPS. The certificate is verified, host name included, before a
 * byte of LDAP is sent. Each operation has the deadline `ldap`, and ends when the run is interrupted.
 * @throws CapstanError `directory-unreachable`, `directory-untrusted`, `directory-credentials-refused`,
 *   `directory-refused`, `interrupted`, and whatever `use` throws
 */
export async function withRemoteDirectory<T>(
  host: Host,
  server: RemoteDirectory,
  use: (directory: Directory) => Promise<T>,
): Promise<T> {
  const { hostname, as: credentials } = server;
  const socket = await trustedSocket(host, server);
  const peer: Peer = {
    name: `directory of ${hostname}`,
    open: () => socket,
    unreachable: (what, error) => unreachable(hostname, what, error),
  };
  if (!credentials) return overSocket(host, peer, use);
  return overSocket(host, peer, use, async (client) => {
    const bound =
      'dn' in credentials
        ? client.bind(credentials.dn, credentials.password.reveal())
        : client.bind('EXTERNAL');
    await bound.catch((error: unknown) => {
      throw error instanceof ResultCodeError ? notLetIn(hostname, credentials, error) : error;
    });
  });
}

/**
 * The certificates that the directory of a server shows in the TLS handshake, its own first, each with its issuer after
 * it. Nothing is verified, and nothing but the handshake is sent: what they say must be compared with something known.
 * @throws CapstanError `directory-unreachable`, `interrupted`
 */
export async function presentedChain(host: Host, hostname: string): Promise<X509Certificate[]> {
  const socket = connect({ host: hostname, port: LDAPS_PORT, rejectUnauthorized: false });
  try {
    await secured(host, hostname, socket);
    const chain: X509Certificate[] = [];
    let next: X509Certificate | undefined = socket.getPeerX509Certificate();
    while (next && !chain.some(({ raw }) => next?.raw.equals(raw))) {
      chain.push(next);
      next = next.issuerCertificate;
    }
    return chain;
  } finally {
    socket.destroy();
  }
}

/** A TLS connection that was verified. */
async function trustedSocket(
  host: Host,
  { hostname, caCertificate, as }: RemoteDirectory,
): Promise<TLSSocket> {
  const socket = connect({
    host: hostname,
    port: LDAPS_PORT,
    ...trustAnchor(caCertificate),
    minVersion: 'TLSv1.2',
    ...(as && 'key' in as && { cert: as.certificate, key: as.key }),
  });
  await secured(host, hostname, socket);
  return socket;
}

/** Waits until the TLS connection stands; one that does not is destroyed. */
async function secured(host: Host, hostname: string, socket: TLSSocket): Promise<void> {
  try {
    await within(host, 'ldap', `LDAPS at ${hostname}`, () => once(socket, 'secureConnect'));
  } catch (error) {
    socket.destroy();
    if (isInterruption(error)) throw error;
    throw isDistrust(error)
      ? untrusted(hostname, error)
      : unreachable(
          hostname,
          `The directory of ${hostname} cannot be reached at ${hostname}:${LDAPS_PORT}`,
          error,
        );
  } finally {
    // Nobody else listens before the first operation, or to what a destroyed connection still has to say.
    socket.on('error', () => {});
  }
}

/** OpenSSL's results of a verification (X509_V_ERR_*, as node:tls names them), and node's own check of the name. */
const DISTRUST =
  /^(?:UNABLE_TO_|CERT_|CRL_|DEPTH_ZERO_|SELF_SIGNED_|ERROR_IN_CERT|INVALID_CA|INVALID_PURPOSE|PATH_LENGTH_EXCEEDED|HOSTNAME_MISMATCH|ERR_TLS_CERT_ALTNAME_INVALID)/;

function isDistrust(error: unknown): boolean {
  return DISTRUST.test(String((error as NodeJS.ErrnoException).code ?? ''));
}

/** Of a name with several addresses each has an error of its own, and the whole has no words. */
function reasonOf(error: unknown): string {
  return error instanceof AggregateError ? error.errors.map(sentenceOf).join(', ') : sentenceOf(error);
}

function unreachable(hostname: string, what: string, error: unknown): CapstanError {
  return failure(
    'directory-unreachable',
    `${what}: ${reasonOf(error)}`,
    `Check that ${hostname} is up, that its name resolves here, and that no firewall keeps TCP ${LDAPS_PORT} from this host.`,
    error,
  );
}

function untrusted(hostname: string, error: unknown): CapstanError {
  return failure(
    'directory-untrusted',
    `The certificate of ${hostname}:${LDAPS_PORT} does not verify with the CA certificate that was given: ${sentenceOf(error)}`,
    `Check the CA certificate or its fingerprint on ${hostname} itself; nothing was sent to this server.`,
    error,
  );
}

/** LDAP results that say that somebody is not who they say they are, or may not come in now. */
const NOT_LET_IN = [InvalidCredentialsError, InappropriateAuthError, UnwillingToPerformError];

function notLetIn(hostname: string, as: DirectoryCredentials, error: ResultCodeError): Error {
  if (!NOT_LET_IN.some((result) => error instanceof result)) return error;
  const who = 'dn' in as ? as.dn : "the certificate of this host's directory";
  return refusal(
    'directory-credentials-refused',
    `The directory of ${hostname} does not accept ${who}: ${resultSentence(error)}`,
    'dn' in as
      ? 'Check the password; it was tried once.'
      : `See on ${hostname} whether it still knows this server.`,
    error,
  );
}
