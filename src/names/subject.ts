/** What may stand in the subject of a certificate that Dogtag issues. */

import type { Attribute, Dn } from './dn.ts';
import { quoted } from './quoted.ts';

/** What a value of an attribute type must be: at most so long, and of these characters where told. */
interface Rule {
  longest: number;
  characters?: RegExp;
  names?: string;
}

/** PrintableString and IA5String (X.680, 41.4 and 41.2). */
const PRINTABLE = {
  characters: /^[A-Za-z0-9 '()+,./:=?-]*$/,
  names: "letters, digits, blanks and '()+,-./:=?",
};
const ASCII = { characters: /^[ -~]*$/, names: 'ASCII characters' };

/**
 * The attribute types that JSS 4.8 has names for (X500NameAttrMap; tried with its X500Name, which Dogtag makes of a
 * subject in the middle of pkispawn), and the upper bounds of RFC 5280, appendix A.1; where it has none, those of
 * X.520 or RFC 2985, or the bound of ub-name.
 */
const RULES: Readonly<Record<string, Rule>> = {
  cn: { longest: 64 },
  o: { longest: 64 },
  ou: { longest: 64 },
  c: { longest: 2, characters: /^[A-Z]{2}$/, names: 'two capital letters (ISO 3166)' },
  l: { longest: 128 },
  st: { longest: 128 },
  street: { longest: 128 },
  title: { longest: 64 },
  uid: { longest: 256 },
  sn: { longest: 64 },
  givenname: { longest: 64 },
  initials: { longest: 64 },
  generationqualifier: { longest: 64 },
  serialnumber: { longest: 64, ...PRINTABLE },
  dnqualifier: { longest: 64, ...PRINTABLE },
  dc: { longest: 63, ...ASCII },
  e: { longest: 255, ...ASCII },
  mail: { longest: 255, ...ASCII },
};

/** Why a name cannot be in the subject of a certificate, as the end of a sentence; undefined when it can. */
export function flawOfSubject(dn: Dn): string | undefined {
  for (const attribute of dn.flat()) {
    const flaw = flawOf(attribute);
    if (flaw) return flaw;
  }
  return undefined;
}

function flawOf({ type, value }: Attribute): string | undefined {
  const rule = RULES[type.toLowerCase()];
  if (!rule) {
    const known = Object.keys(RULES).join(', ').toUpperCase();
    return `Dogtag does not know the attribute type ${quoted(type)} (it takes ${known})`;
  }
  // JSS drops it, escaped or not: the CA would get another subject than was asked for.
  if (value.trim() !== value) return `the value of ${type} begins or ends with a blank`;
  if (rule.characters && !rule.characters.test(value)) return `the value of ${type} must be ${rule.names}`;
  const length = [...value].length;
  if (length > rule.longest)
    return `the value of ${type} has ${length} characters, and may have ${rule.longest}`;
  return undefined;
}
