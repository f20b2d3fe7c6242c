import type { SystemCertificate } from '../../dogtag/certificates.ts';
import { type HealthCheck, judgement } from '../check.ts';

/**
 * Trust flags of certificates on the HSM: those of the copy in the internal token, which decides, with a `u` for the
 * key in each (pki's ca-softhsm tests; seen with 10.10.2).
 */
function onToken(certificates: readonly SystemCertificate[]): Record<string, string> {
  const flags = ({ trust = ',,' }: SystemCertificate) =>
    trust
      .split(',')
      .map((part) => `${part}u`)
      .join(',');
  return Object.fromEntries(
    certificates.filter(({ token }) => token === 'hsm').map((one) => [one.nickname, flags(one)]),
  );
}

/** The same in the internal token: copies of those that need trust, and what has its key there. */
function internal(certificates: readonly SystemCertificate[]): Record<string, string> {
  const flags = ({ token, trust }: SystemCertificate) => (token === 'internal' ? 'u,u,u' : trust);
  return Object.fromEntries(
    certificates.flatMap((one) => {
      const wanted = flags(one);
      return wanted === undefined ? [] : [[one.nickname, wanted]];
    }),
  );
}

const REMEDY =
  'Stop Dogtag, and set them with "certutil -M -n NICKNAME -t FLAGS -d /etc/pki/pki-tomcat/alias" (the copy in the internal token decides); then start it.';

/** Trust flags, and what Dogtag's NSS database must know to reach the token. */
export const TRUST_CHECKS: readonly HealthCheck[] = [
  judgement({
    code: 'trust-internal-differs',
    area: 'certificate',
    severity: 'ERROR',
    holds:
      "The certificates in the internal token of Dogtag's NSS database have the trust that Dogtag needs.",
    remedy: REMEDY,
    needs: ['server', 'database'],
    look: ({ server, database }) =>
      differing(database.trust, internal(server.certificates), 'the internal token'),
  }),
  judgement({
    code: 'trust-token-differs',
    area: 'certificate',
    severity: 'ERROR',
    holds: 'The certificates on the HSM have the trust that Dogtag needs, and their keys.',
    remedy: REMEDY,
    needs: ['server', 'tokenTrust', 'hsmLogin'],
    look({ server, tokenTrust, hsmLogin }) {
      // Without its key a certificate lacks a flag as well; of that key another check tells.
      const keyless = hsmLogin.keys.flatMap(({ nickname, state }) => (state === 'no-key' ? [nickname] : []));
      const whole = server.certificates.filter(({ nickname }) => !keyless.includes(nickname));
      return differing(tokenTrust, onToken(whole), `the token ${server.token.label}`);
    },
  }),
  judgement({
    code: 'module-missing',
    area: 'hsm',
    severity: 'CRITICAL',
    holds: "Dogtag's NSS database loads the PKCS#11 library of the token.",
    remedy: 'Add it with Dogtag stopped: "modutil -add NAME -libfile PATH -dbdir /etc/pki/pki-tomcat/alias".',
    needs: ['server', 'database'],
    look: ({ server: { token }, database }) =>
      database.libraries.includes(token.libraryPath)
        ? []
        : [{ message: `Dogtag's NSS database does not load ${token.libraryPath}.` }],
  }),
];

function differing(
  found: Readonly<Record<string, string>>,
  wanted: Readonly<Record<string, string>>,
  where: string,
) {
  return Object.entries(wanted)
    .filter(([nickname, flags]) => found[nickname] !== flags)
    .map(([nickname, flags]) => ({
      key: nickname,
      message: `"${nickname}" in ${where} has the trust flags ${found[nickname] ?? '(it is not there)'}; ${flags} are needed.`,
    }));
}
