/** The rules for the extensions of a CA certificate (RFC 5280, 4.2). Pure. */

import { AsnConvert } from '@peculiar/asn1-schema';
import {
  AuthorityInfoAccessSyntax,
  AuthorityKeyIdentifier,
  BasicConstraints,
  CRLDistributionPoints,
  type Extension,
  KeyUsage,
  KeyUsageFlags,
  SubjectKeyIdentifier,
} from '@peculiar/asn1-x509';
import { flawOfUrl } from './config.ts';
import type { LintFacts, Rule } from './lint-facts.ts';
import { EXTENSIONS, keyIdentifier } from './x509.ts';

function find({ tbs }: LintFacts, name: keyof typeof EXTENSIONS): Extension | undefined {
  return tbs.extensions?.find(({ extnID }) => extnID === EXTENSIONS[name]);
}

/** The value of an extension; undefined where it is not there, or is something else. */
function decoded<T>(facts: LintFacts, name: keyof typeof EXTENSIONS, type: new () => T): T | undefined {
  const one = find(facts, name);
  if (!one) return undefined;
  try {
    return AsnConvert.parse(one.extnValue.buffer, type);
  } catch {
    return undefined;
  }
}

function pathLength(facts: LintFacts): number | undefined {
  return decoded(facts, 'basicConstraints', BasicConstraints)?.pathLenConstraint;
}

const CONSTRAINT_RULES: readonly Rule[] = [
  {
    code: 'extensions-once',
    source: 'RFC 5280, 4.2',
    look: ({ tbs }) => {
      const all = (tbs.extensions ?? []).map(({ extnID }) => extnID);
      const twice = all.find((one, index) => all.indexOf(one) !== index);
      return twice ? `has the extension ${twice} twice` : undefined;
    },
  },
  {
    code: 'extensions-known',
    source: 'BR 7.1.2.11.5',
    look: ({ tbs }) => {
      const known: readonly string[] = Object.values(EXTENSIONS);
      const strange = (tbs.extensions ?? []).filter(({ extnID }) => !known.includes(extnID));
      return strange.length > 0
        ? `has extensions that no profile asks for: ${strange.map(({ extnID }) => extnID).join(', ')}`
        : undefined;
    },
  },
  {
    code: 'basic-constraints-ca',
    source: 'RFC 5280, 4.2.1.9',
    look: (facts) =>
      decoded(facts, 'basicConstraints', BasicConstraints)?.cA ? undefined : 'does not say that it is a CA',
  },
  {
    code: 'basic-constraints-critical',
    source: 'RFC 5280, 4.2.1.9',
    look: (facts) =>
      find(facts, 'basicConstraints')?.critical === false
        ? 'has basic constraints that are not critical'
        : undefined,
  },
  {
    code: 'path-length',
    source: 'RFC 5280, 4.2.1.9',
    look: (facts, { issuer }) => {
      const own = pathLength(facts);
      if (own !== undefined && own < 0) return 'has a negative path length';
      const above = issuer && pathLength(issuer);
      if (above === undefined) return undefined;
      if (above === 0) return 'is a CA below one that may have none below itself';
      return own === undefined || own >= above
        ? `has the path length ${own ?? 'without end'} below one of ${above}`
        : undefined;
    },
  },
];

const USAGE_RULES: readonly Rule[] = [
  {
    code: 'key-usage',
    source: 'RFC 5280, 4.2.1.3',
    look: (facts) => {
      const usage = decoded(facts, 'keyUsage', KeyUsage)?.toNumber();
      if (usage === undefined) return 'does not say what its key is for';
      const wanted = KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign;
      return usage === wanted ? undefined : 'has a key usage other than signing certificates and CRLs';
    },
  },
  {
    code: 'key-usage-critical',
    source: 'RFC 5280, 4.2.1.3',
    look: (facts) =>
      find(facts, 'keyUsage')?.critical === false ? 'has a key usage that is not critical' : undefined,
  },
  {
    code: 'extended-key-usage',
    source: 'BR 7.1.2.1.2',
    look: (facts) => (find(facts, 'extendedKeyUsage') ? 'has an extended key usage' : undefined),
  },
];

const IDENTIFIER_RULES: readonly Rule[] = [
  {
    code: 'subject-key-identifier',
    source: 'RFC 5280, 4.2.1.2',
    look: (facts) => {
      const value = decoded(facts, 'subjectKeyIdentifier', SubjectKeyIdentifier);
      if (!value) return 'does not identify its key';
      const right = keyIdentifier(facts.tbs.subjectPublicKeyInfo);
      return right.equals(Buffer.from(value.buffer)) ? undefined : 'identifies another key than its own';
    },
  },
  {
    code: 'authority-key-identifier',
    source: 'RFC 5280, 4.2.1.1',
    look: (facts, { issuer }) => {
      const value = decoded(facts, 'authorityKeyIdentifier', AuthorityKeyIdentifier)?.keyIdentifier;
      if (!value) return 'does not identify the key of its issuer';
      const right = keyIdentifier((issuer ?? facts).tbs.subjectPublicKeyInfo);
      return right.equals(Buffer.from(value.buffer)) ? undefined : 'identifies another key than its issuer’s';
    },
  },
  {
    code: 'identifiers-critical',
    source: 'RFC 5280, 4.2.1.1 and 4.2.1.2',
    look: (facts) => {
      const names = ['subjectKeyIdentifier', 'authorityKeyIdentifier'] as const;
      return names.some((name) => find(facts, name)?.critical)
        ? 'has a key identifier that is critical'
        : undefined;
    },
  },
];

const ADDRESS_RULES: readonly Rule[] = [
  {
    code: 'addresses-http',
    source: 'RFC 5280, 4.2.1.13 and 8',
    look: (facts) => {
      const wrong = addressesOf(facts).find((url) => flawOfUrl(url) !== undefined);
      return wrong === undefined ? undefined : `names the address ${wrong}, which is not a plain http:// one`;
    },
  },
  {
    code: 'addresses-critical',
    source: 'RFC 5280, 4.2.1.13 and 4.2.2.1',
    look: (facts) => {
      const names = ['crlDistributionPoints', 'authorityInfoAccess'] as const;
      return names.some((name) => find(facts, name)?.critical) ? 'has critical addresses' : undefined;
    },
  },
  {
    code: 'addresses-crl',
    severity: 'warning',
    source: 'BR 7.1.2.11.2',
    look: (facts, { issuer }) =>
      issuer && !find(facts, 'crlDistributionPoints')
        ? 'does not say where the CRL of its issuer is'
        : undefined,
  },
];

function addressesOf(facts: LintFacts): string[] {
  const points = decoded(facts, 'crlDistributionPoints', CRLDistributionPoints) ?? [];
  const access = decoded(facts, 'authorityInfoAccess', AuthorityInfoAccessSyntax) ?? [];
  return [
    ...[...points].flatMap((point) => point.distributionPoint?.fullName ?? []),
    ...[...access].map(({ accessLocation }) => accessLocation),
  ].map((name) => name.uniformResourceIdentifier ?? 'that is no URI');
}

/** The rules of this file. */
export const EXTENSION_RULES: readonly Rule[] = [
  ...CONSTRAINT_RULES,
  ...USAGE_RULES,
  ...IDENTIFIER_RULES,
  ...ADDRESS_RULES,
];
