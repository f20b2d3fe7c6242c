/** The token of a cluster, as a host that joins finds it: its name, its library, and the proof that it holds the keys. */
import { X509Certificate } from 'node:crypto';
import { CA_SIGNING_NICKNAME, CA_TOKEN_NICKNAMES } from '../dogtag/certificates.ts';
import { type CapstanError, PreflightError, refusal } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { inspectToken } from '../hsm/inspect.ts';
import { type KeyFinding, lookForKeys } from '../hsm/possession.ts';
import { quoted } from '../names/quoted.ts';
import { shownDn } from '../names/x500.ts';
import type { Check } from '../plan/step.ts';
import type { Secret } from '../secret/secret.ts';
import type { Cluster } from './cluster.ts';
import { sentenceOfToken } from './preflight.ts';
import { PKI_USER, type TokenChoice } from './site.ts';
import { onToken } from './token.ts';

/** What of a cluster its token is known by. */
export type KeyFacts = Pick<Cluster, 'keySize' | 'caCertificate' | 'tokenSerials'>;

/**
 * That this host's token is the one of the cluster: it signs with each of its keys.
 * @param nicknames of the certificates of the keys: those of the CA unless told
 */
export function possessionCheck(
  host: Host,
  cluster: KeyFacts,
  token: { choice: TokenChoice; pin: Secret },
  nicknames: readonly string[] = CA_TOKEN_NICKNAMES,
): Check {
  return {
    id: 'token',
    title: `The token ${token.choice.label} holds the keys of the cluster`,
    run: () => checkToken(host, cluster, token, nicknames),
  };
}

async function checkToken(
  host: Host,
  cluster: KeyFacts,
  { choice, pin }: { choice: TokenChoice; pin: Secret },
  nicknames: readonly string[],
): Promise<string> {
  const request = { ...choice, pin, user: PKI_USER, keySizes: [cluster.keySize], nicknames: [] };
  // A PIN that is refused is refused here, and not tried again.
  const inspection = await inspectToken(host, request);
  await requirePossession(host, cluster, { choice, pin, serial: inspection.token.serial }, nicknames);
  return `signed with all ${nicknames.length} keys, ${await sentenceOfToken(inspection)}`;
}

/**
 * Has the token sign with each of the keys: with the CA's own, verified by the certificate in the directory, and
 * with the others, verified by those certificates on the token that this CA issued.
 * @throws PreflightError with `token-differs`, `keys-missing`; and what Module throws
 */
async function requirePossession(
  host: Host,
  { caCertificate, tokenSerials }: KeyFacts,
  { choice, pin, serial }: { choice: TokenChoice; pin: Secret; serial: string },
  nicknames: readonly string[],
): Promise<void> {
  const ca = new X509Certificate(caCertificate);
  const sought = nicknames.map((nickname) =>
    nickname === CA_SIGNING_NICKNAME ? { nickname, certificate: ca.raw } : { nickname },
  );
  const findings = await onToken(host, choice, pin, (module, slot) => lookForKeys(module, slot, sought, ca));
  const found = possessionRefusal(choice, serial, tokenSerials, findings);
  if (found) throw new PreflightError([found]);
}

/**
 * The refusal of a token that does not hold all keys of the cluster; undefined where it does.
 * @param serial of this host's token
 * @param serials of the token as the servers of the cluster saw it
 */
export function possessionRefusal(
  { label, libraryPath }: TokenChoice,
  serial: string,
  serials: readonly string[],
  findings: readonly KeyFinding[],
): CapstanError | undefined {
  const missing = findings.filter(({ state }) => state !== 'possessed');
  if (missing.length === 0) return undefined;
  const list = missing.map(sentenceOfFinding).join('; ');
  if (missing.length === findings.length && serials.length > 0 && !serials.includes(serial)) {
    return refusal(
      'token-differs',
      `The token ${quoted(label)} of ${libraryPath} is another one than that of the cluster: its serial number is ${serial}, the cluster's ${serials.join(' or ')}, and it holds none of the keys (${list}).`,
      'Connect this host to the HSM of the cluster. For SoftHSM without shared storage: "capstan token export" there, "capstan token import" here.',
    );
  }
  return refusal(
    'keys-missing',
    `The token ${quoted(label)} (serial number ${serial}) does not hold all keys of the cluster: ${list}.`,
    'All servers need the same keys: check which partition of the HSM this host is connected to, and that it was replicated as a whole.',
  );
}

function sentenceOfFinding(finding: KeyFinding): string {
  const words = {
    possessed: 'signs',
    'no-certificate': 'neither certificate nor key are there',
    'foreign-certificate':
      finding.state === 'foreign-certificate'
        ? `the certificate is not of this CA but of ${shownDn(finding.issuer)}`
        : '',
    'no-key': 'the private key is missing',
    'other-key': 'the private key does not belong to the certificate',
  } as const;
  return `${finding.nickname}: ${words[finding.state]}`;
}
