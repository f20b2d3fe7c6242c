/** How a server that this host has never seen comes to be trusted: by its CA certificate, before a secret is sent. */
import { createHash, X509Certificate } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { presentedChain, withRemoteDirectory } from '../directory/remote.ts';
import { type CapstanError, refusal, sentenceOf } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { quoted } from '../names/quoted.ts';
import { shownDn } from '../names/x500.ts';
import { asRefusal } from './refusals.ts';

/** A CA certificate as a person sees it before trusting it. */
export interface CaFacts {
  subject: string;
  /** `sha256:` and 64 hexadecimal digits. */
  fingerprint: string;
  validFrom: string;
  validTo: string;
}

/** Why a CA certificate may be trusted: one of the three. */
export type TrustSource =
  /** A file that the administrator brought, PEM or DER. */
  | { file: string }
  /** What {@link parseFingerprint} gave; the certificate is fetched. */
  | { fingerprint: string }
  /** A person who is shown the fetched certificate, and compares. */
  | { confirm: (found: CaFacts) => Promise<boolean> };

/** The most that a file with one certificate is let to have, in bytes. */
const LONGEST_FILE = 1024 * 1024;

/** The fingerprint of a certificate: SHA-256 over its DER encoding, as `sha256:` and lower-case hexadecimal digits. */
export function fingerprintOf(certificate: X509Certificate): string {
  return `sha256:${createHash('sha256').update(certificate.raw).digest('hex')}`;
}

/**
 * Reads a fingerprint: `sha256:` or nothing before it, any letter case, with or without colons between the bytes, as
 * openssl(1), certutil(1) and browsers show it.
 * @returns the form of {@link fingerprintOf}
 * @throws CapstanError `ca-fingerprint-invalid`
 */
export function parseFingerprint(text: string): string {
  const [, digits = ''] = /^(?:sha-?256(?: fingerprint)?[:=])?([0-9a-f: ]+)$/i.exec(text.trim()) ?? [];
  const hex = /^[0-9a-f]{64}$|^[0-9a-f]{2}(?:[: ][0-9a-f]{2}){31}$/i.test(digits)
    ? digits.replaceAll(/[: ]/g, '').toLowerCase()
    : undefined;
  if (hex) return `sha256:${hex}`;
  throw refusal(
    'ca-fingerprint-invalid',
    `${quoted(text)} is no SHA-256 fingerprint of a certificate: "sha256:" and 64 hexadecimal digits are needed.`,
    'Take it from "capstan replica-prepare", or from "openssl x509 -in /etc/capstan/ca.crt -noout -fingerprint -sha256" on the server.',
  );
}

/**
 * The CA certificate of a server, trusted for a reason, and proven: the server's directory shows a certificate of this
 * CA for its name. Nothing is sent to the server before, and nothing but a TLS handshake then.
 * @returns PEM
 * @throws CapstanError, all as refusals: `ca-certificate-unreadable`, `ca-certificate-expired`,
 *   `ca-fingerprint-mismatch`, `ca-certificate-not-shown`, `ca-not-confirmed`, `directory-unreachable`,
 *   `directory-untrusted`; and `interrupted`
 */
export async function trustedCa(host: Host, hostname: string, source: TrustSource): Promise<string> {
  try {
    const certificate =
      'file' in source ? await certificateInFile(source.file) : await fetched(host, hostname, source);
    requireValid(certificate);
    const pem = certificate.toString();
    await withRemoteDirectory(host, { hostname, caCertificate: pem }, async () => {});
    return pem;
  } catch (error) {
    throw asRefusal(error);
  }
}

/** What a person is shown of a CA certificate. */
export function caFacts(certificate: X509Certificate): CaFacts {
  return {
    subject: shownDn(certificate.subject),
    fingerprint: fingerprintOf(certificate),
    validFrom: certificate.validFromDate.toISOString(),
    validTo: certificate.validToDate.toISOString(),
  };
}

async function certificateInFile(path: string): Promise<X509Certificate> {
  const unreadable = (why: string, cause?: unknown) =>
    refusal(
      'ca-certificate-unreadable',
      `The CA certificate ${quoted(path)} cannot be used: ${why}`,
      'Copy /etc/capstan/ca.crt from the server, over a way that you trust.',
      cause,
    );
  const bytes = await readSmall(path).catch((error: unknown) => {
    throw unreadable(sentenceOf(error), error);
  });
  const found = certificatesIn(bytes);
  if (found === undefined) throw unreadable('it holds no certificate, neither PEM nor DER.');
  const [certificate, ...others] = found.filter(({ ca }) => ca);
  if (!certificate) throw unreadable('the certificate in it is not that of a CA.');
  // Behind the CA's own may stand those of the authorities above it, each the issuer of the one before.
  const isChain = others.every((one, at) => isIssuer(one, at === 0 ? certificate : others[at - 1]));
  if (!isChain) throw unreadable('it holds several CA certificates, and only one can be the CA here.');
  return certificate;
}

function isIssuer(issuer: X509Certificate, certificate: X509Certificate | undefined): boolean {
  return (certificate?.checkIssued(issuer) && certificate.verify(issuer.publicKey)) ?? false;
}

async function readSmall(path: string): Promise<Buffer> {
  const facts = await stat(path);
  if (!facts.isFile()) throw new Error('it is no file.');
  if (facts.size > LONGEST_FILE) throw new Error(`it has ${facts.size} bytes.`);
  return readFile(path);
}

/** The certificates of a file, PEM or DER; undefined where it is neither. */
function certificatesIn(bytes: Buffer): X509Certificate[] | undefined {
  const blocks = bytes.toString('latin1').match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g);
  try {
    return (blocks ?? [bytes]).map((block) => new X509Certificate(block));
  } catch {
    return undefined;
  }
}

/** The CA certificate that the server itself presents, for which a fingerprint or a person vouches. */
async function fetched(
  host: Host,
  hostname: string,
  source: Exclude<TrustSource, { file: string }>,
): Promise<X509Certificate> {
  const shown = (await presentedChain(host, hostname)).filter(({ ca }) => ca);
  if ('fingerprint' in source) {
    const match = shown.find((certificate) => fingerprintOf(certificate) === source.fingerprint);
    if (match) return match;
    throw mismatch(hostname, source.fingerprint, shown);
  }
  // The one that issued the server's own: above it may stand authorities that signed other CAs as well.
  const [issuer] = shown;
  if (!issuer) throw notShown(hostname);
  if (await source.confirm(caFacts(issuer))) return issuer;
  throw refusal(
    'ca-not-confirmed',
    `The CA certificate of ${hostname} was not confirmed; nothing was sent there, and nothing was changed.`,
    'Compare its fingerprint with the one that "capstan replica-prepare" shows on the server.',
  );
}

function mismatch(hostname: string, wanted: string, shown: readonly X509Certificate[]): CapstanError {
  if (shown.length === 0) return notShown(hostname);
  return refusal(
    'ca-fingerprint-mismatch',
    `The CA certificate that ${hostname} shows has the fingerprint ${shown.map(fingerprintOf).join(' and ')}, not ${wanted}.`,
    'Either the fingerprint is of another CA or was copied wrongly, or something between the hosts answers in the place of the server. Nothing was sent there.',
  );
}

function notShown(hostname: string): CapstanError {
  return refusal(
    'ca-certificate-not-shown',
    `The directory of ${hostname} shows no CA certificate with its own.`,
    'Copy the CA certificate from the server, over a way that you trust, and give it with --ca-cert-file.',
  );
}

/** A CA certificate whose time has not come or is over verifies nothing; often it is this host's clock that is wrong. */
function requireValid(certificate: X509Certificate, now = new Date()): void {
  const { validFrom, validTo, subject } = caFacts(certificate);
  if (certificate.validFromDate <= now && now <= certificate.validToDate) return;
  throw refusal(
    'ca-certificate-expired',
    `The CA certificate of ${subject} is valid from ${validFrom} to ${validTo}; this host's clock says ${now.toISOString()}.`,
    'Set the clock of this host, if it is wrong.',
  );
}
