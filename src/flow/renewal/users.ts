/** The users of Dogtag that come by a certificate: the subsystem's, the agents'. */
import { X509Certificate } from 'node:crypto';
import type { Directory, Entry } from '../../directory/client.ts';
import { certificateMark } from '../../dogtag/own-agent.ts';
import { isRenewalOf } from '../../dogtag/renewed.ts';
import { KRA_PEOPLE_DN, PEOPLE_DN } from '../../dogtag/security-domain.ts';

const CERTIFICATE = 'userCertificate';
const MARK = 'description';

/** Where Dogtag's users are, those of the KRA among them. */
const PEOPLE = [PEOPLE_DN, KRA_PEOPLE_DN];

/**
 * Adds renewed certificates to the users that come by the old ones, in the certificate and in the mark by which Dogtag finds
 * them. The old ones stay while they are valid: other servers still show them.
 */
export async function refreshUsers(
  directory: Directory,
  renewed: readonly X509Certificate[],
  now = new Date(),
): Promise<void> {
  for (const base of PEOPLE) {
    if (!(await directory.entry(base, ['1.1']))) continue;
    const users = await directory.search(base, {
      scope: 'one',
      filter: `(${CERTIFICATE}=*)`,
      attributes: [CERTIFICATE, MARK],
      explicitBufferAttributes: [CERTIFICATE],
    });
    for (const user of users) await refreshUser(directory, user, renewed, now);
  }
}

async function refreshUser(
  directory: Directory,
  user: Entry,
  renewed: readonly X509Certificate[],
  now: Date,
): Promise<void> {
  const present = user.bytes(CERTIFICATE).map((bytes) => new X509Certificate(bytes));
  const isThere = (one: X509Certificate) => present.some(({ raw }) => raw.equals(one.raw));
  const missing = renewed.filter((one) => !isThere(one) && present.some((old) => isRenewalOf(one, old)));
  if (missing.length === 0) return;
  const over = present.filter((old) => old.validToDate < now && missing.some((one) => isRenewalOf(one, old)));
  const kept = present.filter((one) => !over.includes(one));
  const overMarks = over.map(certificateMark);
  const marks = [
    ...user.values(MARK).filter((mark) => !overMarks.includes(mark)),
    ...missing.map(certificateMark),
  ];
  await directory.replace(user.dn, {
    [CERTIFICATE]: [...kept, ...missing].map(({ raw }) => raw),
    [MARK]: [...new Set(marks)],
  });
}
