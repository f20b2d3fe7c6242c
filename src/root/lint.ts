/**
 * Looks a CA certificate over, before it is signed and after: named rules of RFC 5280, RFC 4055 and the CA/B Forum's
 * Baseline Requirements (BR, 2.1). It reads the encoded bytes, not what they were made from. Pure.
 */

import { type CapstanError, failure, refusal } from '../errors.ts';
import { EXTENSION_RULES } from './lint-extensions.ts';
import { type Rule, readFacts, type Subject } from './lint-facts.ts';
import { derOf, isSignature, keyOf, SIGNATURES, textOf } from './x509.ts';

/** What a rule has to say. */
export interface Finding {
  /** The rule: `serial-length`. */
  code: string;
  severity: 'error' | 'warning';
  /** The end of a sentence that begins with the certificate. */
  message: string;
  source: string;
}

const DAY = 86_400_000;

/** Primes below 752: BR 6.1.6 has the modulus free of factors that small. */
const SMALL_PRIMES = Array.from({ length: 750 }, (_, index) => BigInt(index + 2)).filter(
  (one) =>
    !Array.from({ length: 27 }, (_, index) => BigInt(index + 2)).some((by) => by < one && one % by === 0n),
);

/** The rules for what is signed, beside those of the extensions. */
const FIELD_RULES: readonly Rule[] = [
  {
    code: 'version-3',
    source: 'RFC 5280, 4.1.2.1',
    look: ({ tbs }) => (tbs.version === 2 ? undefined : `is not of version 3 but of ${tbs.version + 1}`),
  },
  {
    code: 'serial-positive',
    source: 'RFC 5280, 4.1.2.2',
    look: ({ serial }) => {
      if (serial.length === 0 || serial.every((byte) => byte === 0)) return 'has the serial number 0';
      return (serial[0] ?? 0) >= 0x80 ? 'has a negative serial number' : undefined;
    },
  },
  {
    code: 'serial-length',
    source: 'RFC 5280, 4.1.2.2',
    look: ({ serial }) =>
      serial.length > 20 ? `has a serial number of ${serial.length} octets, more than 20` : undefined,
  },
  {
    code: 'serial-entropy',
    source: 'BR 7.1',
    look: ({ serial }) =>
      serial.length < 9 ? 'has a serial number too short to hold 64 bits of chance' : undefined,
  },
  {
    code: 'signature-algorithm',
    source: 'RFC 4055, 5',
    look: ({ tbs }) => {
      const { algorithm, parameters } = tbs.signature;
      if (!Object.values(SIGNATURES).includes(algorithm)) return `is signed with ${algorithm}`;
      return parameters === null || isNull(parameters)
        ? undefined
        : 'has parameters of its signature that are not NULL';
    },
  },
  {
    code: 'subject-empty',
    source: 'RFC 5280, 4.1.2.6',
    look: ({ tbs }) => (tbs.subject.length === 0 ? 'has no subject' : undefined),
  },
  {
    code: 'subject-complete',
    severity: 'warning',
    source: 'BR 7.1.2.10.2',
    look: ({ subjectTypes }) => {
      const missing = [['2.5.4.6', 'C'] as const, ['2.5.4.10', 'O'] as const, ['2.5.4.3', 'CN'] as const]
        .filter(([oid]) => !subjectTypes.includes(oid))
        .map(([, name]) => name);
      return missing.length > 0 ? `has a subject without ${missing.join(' and ')}` : undefined;
    },
  },
  {
    code: 'issuer-matches',
    source: 'RFC 5280, 6.1.3',
    look: ({ tbs }, { issuer }) => {
      const same = derOf(tbs.issuer).equals(derOf(issuer?.tbs.subject ?? tbs.subject));
      return same ? undefined : `names the issuer ${textOf(tbs.issuer)}, which is not who signs it`;
    },
  },
  {
    code: 'subject-differs',
    source: 'RFC 5280, 6.1',
    look: ({ tbs }, { issuer }) =>
      issuer && derOf(tbs.subject).equals(derOf(issuer.tbs.subject))
        ? 'has the name of its issuer'
        : undefined,
  },
];

const TIME_RULES: readonly Rule[] = [
  {
    code: 'validity-order',
    source: 'RFC 5280, 4.1.2.5',
    look: ({ notBefore, notAfter }) => (notBefore < notAfter ? undefined : 'ends before it begins'),
  },
  {
    code: 'validity-encoding',
    source: 'RFC 5280, 4.1.2.5',
    look: ({ tbs }) => {
      const wrong = [tbs.validity.notBefore, tbs.validity.notAfter].some(
        (time) => time.getTime().getUTCFullYear() >= 2050 !== (time.generalTime !== undefined),
      );
      return wrong
        ? 'has a time in the wrong encoding (UTCTime through 2049, GeneralizedTime from 2050)'
        : undefined;
    },
  },
  {
    code: 'validity-nested',
    source: 'BR 6.3.2',
    look: ({ notBefore, notAfter }, { issuer }) => {
      if (!issuer) return undefined;
      if (notAfter > issuer.notAfter) return `ends after its issuer, on ${notAfter.toISOString()}`;
      return notBefore < issuer.notBefore ? 'begins before its issuer' : undefined;
    },
  },
  {
    code: 'validity-length',
    severity: 'warning',
    source: 'BR 7.1.2.1.1',
    look: ({ notBefore, notAfter }, { issuer }) => {
      const days = (notAfter.getTime() - notBefore.getTime()) / DAY;
      if (issuer || (days >= 2922 && days <= 9132)) return undefined;
      return `is valid for ${Math.round(days)} days; public roots have from 2922 to 9132`;
    },
  },
];

const KEY_RULES: readonly Rule[] = [
  {
    code: 'rsa-modulus-size',
    source: 'BR 6.1.5',
    look: ({ modulus, bits }) => {
      if (!modulus) return 'has a key that is not RSA';
      return bits < 2048 || bits > 8192 || bits % 8 !== 0 ? `has a key of ${bits} bits` : undefined;
    },
  },
  {
    code: 'rsa-modulus-factors',
    source: 'BR 6.1.6',
    look: ({ modulus }) => {
      const factor = modulus && SMALL_PRIMES.find((prime) => modulus % prime === 0n);
      return factor ? `has a key whose modulus can be divided by ${factor}` : undefined;
    },
  },
  {
    code: 'rsa-exponent',
    source: 'BR 6.1.6',
    look: ({ exponent }) =>
      exponent && (exponent % 2n === 0n || exponent < 65_537n || exponent >= 1n << 256n)
        ? `has a key with the public exponent ${exponent}`
        : undefined,
  },
  {
    code: 'key-differs',
    source: 'RFC 5280, 3.2',
    look: ({ tbs }, { issuer }) =>
      issuer && derOf(tbs.subjectPublicKeyInfo).equals(derOf(issuer.tbs.subjectPublicKeyInfo))
        ? 'has the key of its issuer'
        : undefined,
  },
];

const SIGNATURE_RULES: readonly Rule[] = [
  {
    code: 'signature-agrees',
    source: 'RFC 5280, 4.1.1.2',
    look: ({ tbs, signed }) =>
      signed && !derOf(tbs.signature).equals(derOf(signed.signatureAlgorithm))
        ? 'names two signature algorithms that differ'
        : undefined,
  },
  {
    code: 'signature-verifies',
    source: 'RFC 5280, 6.1.3',
    look: (facts, { issuer, hash }) => {
      const { signed } = facts;
      if (!signed) return undefined;
      const key = keyOf((issuer ?? facts).tbs.subjectPublicKeyInfo);
      const good = isSignature(hash, key, facts.bytes, new Uint8Array(signed.signatureValue));
      return good ? undefined : 'has a signature that its issuer’s key does not verify';
    },
  },
];

/** Every rule, in the order in which they are looked at. */
export const RULES: readonly Rule[] = [
  ...FIELD_RULES,
  ...TIME_RULES,
  ...KEY_RULES,
  ...EXTENSION_RULES,
  ...SIGNATURE_RULES,
];

/**
 * What is wrong with a certificate.
 * @param der the whole certificate, or the part of it that is to be signed
 */
export function lint(der: Buffer, subject: Subject): Finding[] {
  const facts = readFacts(der);
  if (!facts) {
    const message = 'cannot be read as a certificate in DER';
    return [{ code: 'encoding', severity: 'error', message, source: 'X.690' }];
  }
  const context = { ...subject, issuer: subject.issuer && readFacts(subject.issuer) };
  return RULES.flatMap(({ code, severity = 'error', source, look }) => {
    const message = look(facts, context);
    return message === undefined ? [] : [{ code, severity, message, source }];
  });
}

/**
 * The findings that are no errors.
 * @param when whether the certificate is only planned, so that nothing was changed yet, or made
 * @throws CapstanError `root-lint` where there is an error
 */
export function warningsOf(findings: readonly Finding[], what: string, when: 'planned' | 'made'): Finding[] {
  const errors = findings.filter(({ severity }) => severity === 'error');
  if (errors.length > 0) throw lintError(errors, what, when);
  return [...findings];
}

function lintError(errors: readonly Finding[], what: string, when: 'planned' | 'made'): CapstanError {
  const list = errors.map(({ code, message, source }) => `it ${message} [${code}, ${source}]`);
  const make = when === 'planned' ? refusal : failure;
  return make(
    'root-lint',
    `The ${what} is not as it must be: ${list.join('; ')}.`,
    'It was not written. Correct what it is made from.',
  );
}

/** One line about a finding, for a report. */
export function findingLine({ code, message, source }: Finding): string {
  return `${code}: it ${message} (${source})`;
}

function isNull(parameters: ArrayBuffer | undefined): boolean {
  return parameters !== undefined && Buffer.from(parameters).equals(Buffer.from([5, 0]));
}
