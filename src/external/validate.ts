/** Whether a certificate from elsewhere can be that of this CA, and its chain its chain. Every flaw has a code. Pure. */

import type { KeyObject, X509Certificate } from 'node:crypto';
import { type CapstanError, refusal } from '../errors.ts';
import { type Way, wayFrom } from './chain.ts';
import { CRL_SIGN, isSelfIssued, type Judged, judged, KEY_CERT_SIGN } from './facts.ts';
import { flawsOfSuccessor } from './successor.ts';

/** What the CA needs a certificate for. */
export interface CertificateWish {
  /** RFC 4514, as the request has it. */
  subject: string;
  /** The key on the token. */
  key: KeyObject;
  /** The certificate that the CA has, where it is to follow that one. */
  current?: X509Certificate;
}

/** A CA certificate and all above it. */
export interface CaChain {
  certificate: X509Certificate;
  /** Its issuer first, the root last. */
  above: X509Certificate[];
  /** Certificates that were given and are not needed. */
  unused: X509Certificate[];
}

/** Signature algorithms by which chains are accepted: RSA, RSASSA-PSS and ECDSA with SHA-2 (RFC 4055, RFC 5758). */
const ALGORITHMS = [
  ...['1.2.840.113549.1.1.10', '1.2.840.113549.1.1.11', '1.2.840.113549.1.1.12', '1.2.840.113549.1.1.13'],
  ...['1.2.840.10045.4.3.2', '1.2.840.10045.4.3.3', '1.2.840.10045.4.3.4'],
];
/** Those whose hash is broken: MD2, MD4, MD5 and SHA-1. */
const BROKEN: Readonly<Record<string, string>> = {
  '1.2.840.113549.1.1.2': 'MD2',
  '1.2.840.113549.1.1.3': 'MD4',
  '1.2.840.113549.1.1.4': 'MD5',
  '1.2.840.113549.1.1.5': 'SHA-1',
  '1.3.14.3.2.29': 'SHA-1',
  '1.2.840.10045.4.1': 'SHA-1',
  '1.2.840.10040.4.3': 'SHA-1',
};
/** The fewest bits of RSA keys, and of keys on a curve (NIST SP 800-57 part 1, table 2, for 112 bits of security). */
const FEWEST_BITS = { rsa: 2048, ec: 224 };
/** Critical extensions that NSS and OpenSSL know (RFC 5280, 4.2.1). */
const KNOWN = [
  ...['2.5.29.14', '2.5.29.15', '2.5.29.17', '2.5.29.19', '2.5.29.30', '2.5.29.31', '2.5.29.32'],
  ...['2.5.29.33', '2.5.29.35', '2.5.29.36', '2.5.29.37', '2.5.29.54'],
];
/** What the certificates of a CA here are used for: TLS servers and clients; or anything (RFC 5280, 4.2.1.12). */
const PURPOSES = { any: '2.5.29.37.0', server: '1.3.6.1.5.5.7.3.1', client: '1.3.6.1.5.5.7.3.2' };

const ASK = 'Have the authority that signed it make another one from the same request.';
const GIVE = 'Give the missing ones with --external-cert-file, in any order.';

/**
 * Finds the certificate of the CA among those that were given and judges it, and the chain above it.
 * @returns the chain, where nothing is wrong; else every flaw, each with its own code
 */
export function judgeCertificates(
  given: readonly X509Certificate[],
  wish: CertificateWish,
  now = new Date(),
): { chain: CaChain; flaws: [] } | { chain?: never; flaws: CapstanError[] } {
  const unreadable: CapstanError[] = [];
  const pool = given.flatMap((certificate) => {
    try {
      return [judged(certificate)];
    } catch (error) {
      unreadable.push(strange(certificate, error));
      return [];
    }
  });
  const own = ownIn(pool, wish);
  const [found, ...others] = own;
  if (!found || others.length > 0) return { flaws: [...unreadable, notFound(pool, own, wish)] };
  const way = wayFrom(found, pool);
  const flaws = [
    ...unreadable,
    ...flawsOfCa(found, wish),
    ...timeFlaws(found, 'external', now),
    ...signatureFlaws(found, false),
    ...(isSelfIssued(found) ? [] : flawsOfWay(found, way, now)),
  ];
  if (flaws.length > 0) return { flaws };
  const needed = [found, ...way.above];
  const unused = pool.filter((one) => !needed.includes(one)).map(({ certificate }) => certificate);
  const above = way.above.map(({ certificate }) => certificate);
  return { chain: { certificate: found.certificate, above, unused }, flaws: [] };
}

/** Those for the key; the one that the CA has does not count beside another one. */
function ownIn(pool: readonly Judged[], { key, current }: CertificateWish): Judged[] {
  const own = pool.filter(({ certificate }) => hasKey(certificate, key));
  const others = own.filter(({ certificate }) => !current || !certificate.raw.equals(current.raw));
  return others.length > 0 ? others : own;
}

function hasKey({ publicKey }: X509Certificate, key: KeyObject): boolean {
  return publicKey.equals(key);
}

function strange({ serialNumber }: X509Certificate, error: unknown): CapstanError {
  return refusal(
    'external-certificate-strange',
    `The certificate with the serial number ${serialNumber} cannot be read wholly: ${(error as Error).message}`,
    'Leave it out where it is not needed.',
  );
}

function notFound(pool: readonly Judged[], own: readonly Judged[], { subject }: CertificateWish) {
  if (own.length > 1)
    return refusal(
      'external-certificate-ambiguous',
      `${own.length} different certificates are for the key of the CA: serial numbers ${own.map(({ certificate }) => certificate.serialNumber).join(', ')}.`,
      'Give the one that is to be used, and not the others.',
    );
  const named = pool.find((one) => one.subject === subject);
  return named
    ? refusal(
        'external-key-differs',
        `The certificate for ${subject} (serial number ${named.certificate.serialNumber}) is for another key than that on the token.`,
        'Look whether it was made from the request that this host wrote; compare the fingerprint of the request.',
      )
    : refusal(
        'external-certificate-missing',
        `None of the ${pool.length} certificates is for the key of the CA: ${pool.map((one) => one.subject).join('; ') || 'there is none'}.`,
        'Give the certificate that was made from the request, and those of the authorities above.',
      );
}

function flawsOfCa(found: Judged, { subject, current }: CertificateWish): CapstanError[] {
  const flaws = current ? flawsOfSuccessor(found.certificate, current) : [];
  const flaw = (code: string, what: string) =>
    flaws.push(refusal(code, `The certificate of the CA ${what}.`, ASK));
  if (found.subject !== subject)
    flaw('external-subject-differs', `is for ${found.subject}, not for ${subject}`);
  if (isSelfIssued(found))
    flaw('external-self-issued', 'is issued by itself: it is not signed by another CA');
  if (!found.isCa)
    flaw('external-not-ca', 'is not one of a CA: its basic constraints are missing or say CA:FALSE');
  const missing = missingUsages(found);
  if (missing.length > 0)
    flaw('external-key-usage', `does not allow its key to sign ${missing.join(' and ')}`);
  if (!allowsTls(found))
    flaw(
      'external-extended-key-usage',
      'has an extended key usage that leaves out TLS servers or TLS clients, which holds for all that the CA signs',
    );
  const unknown = found.critical.filter((oid) => !KNOWN.includes(oid));
  if (unknown.length > 0)
    flaw('external-critical-extension', `has critical extensions that nobody knows: ${unknown.join(', ')}`);
  return flaws;
}

function missingUsages({ keyUsage }: Judged): string[] {
  return [
    ...(keyUsage?.[KEY_CERT_SIGN] ? [] : ['certificates (keyCertSign)']),
    ...(keyUsage?.[CRL_SIGN] ? [] : ['CRLs (cRLSign)']),
  ];
}

function allowsTls({ extendedKeyUsage: purposes }: Judged): boolean {
  if (!purposes || purposes.includes(PURPOSES.any)) return true;
  return purposes.includes(PURPOSES.server) && purposes.includes(PURPOSES.client);
}

function timeFlaws({ certificate, subject }: Judged, prefix: string, now: Date): CapstanError[] {
  const { validFromDate: from, validToDate: to } = certificate;
  if (now < from)
    return [
      refusal(
        `${prefix}-not-yet-valid`,
        `The certificate of ${subject} is not valid before ${from.toISOString()}; the clock of this host says ${now.toISOString()}.`,
        'Look at the clock of this host; else wait, or ask for another one.',
      ),
    ];
  if (now <= to) return [];
  return [
    refusal(
      `${prefix}-expired`,
      `The certificate of ${subject} ended at ${to.toISOString()}.`,
      'Get a new one.',
    ),
  ];
}

/** @param isRoot whether it is trusted as it is: then nobody relies on its signature */
function signatureFlaws({ certificate, subject, algorithm }: Judged, isRoot: boolean): CapstanError[] {
  const { asymmetricKeyType: kind = 'unknown', asymmetricKeyDetails: details } = certificate.publicKey;
  const bits = kind.startsWith('rsa') ? details?.modulusLength : bitsOfCurve(details?.namedCurve);
  const fewest = kind.startsWith('rsa') ? FEWEST_BITS.rsa : kind === 'ec' ? FEWEST_BITS.ec : undefined;
  const weak = fewest === undefined || (bits !== undefined && bits < fewest);
  const hash = BROKEN[algorithm];
  return [
    ...(weak
      ? [
          refusal(
            'external-weak-key',
            `The key of ${subject} is too weak, or of a kind that is not taken: ${kind}${bits ? ` of ${bits} bits` : ''}.`,
            `RSA of ${FEWEST_BITS.rsa} bits and more and keys on the NIST curves are.`,
          ),
        ]
      : []),
    ...(!isRoot && hash
      ? [
          refusal(
            'external-weak-signature',
            `The certificate of ${subject} is signed with ${hash}, which is broken.`,
            ASK,
          ),
        ]
      : []),
    ...(!isRoot && !hash && !ALGORITHMS.includes(algorithm)
      ? [
          refusal(
            'external-algorithm-unknown',
            `The certificate of ${subject} is signed in a way that is not taken (${algorithm}).`,
            'RSA, RSASSA-PSS and ECDSA with SHA-256, SHA-384 or SHA-512 are.',
          ),
        ]
      : []),
  ];
}

function bitsOfCurve(curve: string | undefined): number | undefined {
  const digits = /(\d{3})/.exec(curve ?? '')?.[1];
  return curve === undefined ? undefined : Number(digits ?? 0);
}

function flawsOfWay(found: Judged, { above, end }: Way, now: Date): CapstanError[] {
  const last = above.at(-1) ?? found;
  const flaws = above.flatMap((one, index) => [
    ...timeFlaws(one, 'external-chain', now),
    ...signatureFlaws(one, end === 'root' && index === above.length - 1),
    ...flawsOfIssuer(one, index),
  ]);
  if (end === 'issuer-missing')
    flaws.push(
      refusal(
        'external-chain-incomplete',
        `The chain is not complete: the certificate of ${last.issuer}, which issued that of ${last.subject}, is not among the ones given.`,
        GIVE,
      ),
    );
  if (end === 'signature-wrong')
    flaws.push(
      refusal(
        'external-chain-signature',
        `The signature of the certificate of ${last.subject} does not verify with the key of ${last.issuer} that was given.`,
        'Either one of the two was changed, or that authority has another certificate of the same name: give that.',
      ),
    );
  return flaws;
}

/** @param below how many CA certificates stand between this one and that of the CA here */
function flawsOfIssuer(issuer: Judged, below: number): CapstanError[] {
  const flaws: CapstanError[] = [];
  const flaw = (code: string, what: string) =>
    flaws.push(refusal(code, `The certificate of ${issuer.subject} ${what}.`, 'Ask that authority.'));
  // A root of version 1 has no extensions; RFC 5280, 6.1 does not look at those of a trust anchor.
  const isAnchor = isSelfIssued(issuer);
  if (!issuer.isCa && !(isAnchor && issuer.critical.length === 0 && !issuer.keyUsage))
    flaw('external-chain-not-ca', 'is in the chain, and is not one of a CA');
  if (issuer.keyUsage && !issuer.keyUsage[KEY_CERT_SIGN])
    flaw('external-chain-key-usage', 'does not allow its key to sign certificates');
  // The CA here stands below it as well, and is not the last certificate of the chains that it makes.
  if (issuer.pathLength !== undefined && issuer.pathLength < below + 1)
    flaw(
      'external-path-length',
      `allows ${issuer.pathLength} CAs below it, and here would be ${below + 1}: the certificates of the CA would not verify`,
    );
  if (!allowsTls(issuer))
    flaw(
      'external-chain-extended-key-usage',
      'has an extended key usage that leaves out TLS servers or TLS clients',
    );
  const unknown = issuer.critical.filter((oid) => !KNOWN.includes(oid));
  if (unknown.length > 0)
    flaw(
      'external-chain-critical-extension',
      `has critical extensions that nobody knows: ${unknown.join(', ')}`,
    );
  return flaws;
}
