/** The way from a certificate to a root, through certificates in any order. Pure. */

import { isSelfIssued, type Judged } from './facts.ts';

/** The certificates above one, its issuer first, and what ends the way. */
export interface Way {
  above: Judged[];
  /** `root`: at one that signed itself; otherwise at the last of `above`, or at the certificate itself. */
  end: 'root' | 'issuer-missing' | 'signature-wrong';
}

/**
 * The way that comes furthest: to a root where there is one. A signature that does not verify ends a way, and so does
 * a circle.
 */
export function wayFrom(start: Judged, pool: readonly Judged[]): Way {
  return climb(start, pool, []);
}

function climb(at: Judged, pool: readonly Judged[], passed: readonly Judged[]): Way {
  if (isSelfIssued(at) && at.certificate.verify(at.certificate.publicKey)) return { above: [], end: 'root' };
  const named = pool.filter((one) => one !== at && one.subject === at.issuer && !passed.includes(one));
  const issuers = named.filter((one) => isSignedBy(at, one));
  if (issuers.length === 0)
    return { above: [], end: named.length > 0 || isSelfIssued(at) ? 'signature-wrong' : 'issuer-missing' };
  const ways = issuers.map((issuer) => {
    const way = climb(issuer, pool, [...passed, at]);
    return { above: [issuer, ...way.above], end: way.end };
  });
  return ways.find(({ end }) => end === 'root') ?? longest(ways);
}

function longest(ways: readonly Way[]): Way {
  const [first, ...others] = ways;
  if (!first) throw new Error('there is no way');
  return others.reduce((best, way) => (way.above.length > best.above.length ? way : best), first);
}

function isSignedBy({ certificate }: Judged, issuer: Judged): boolean {
  try {
    return certificate.verify(issuer.certificate.publicKey);
  } catch {
    // A key of another kind than the signature.
    return false;
  }
}
