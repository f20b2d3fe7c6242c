import { type HealthCheck, judgement } from '../check.ts';

/** Trust flags of the CA's certificates on the HSM, as Dogtag has them there (pki's ca-softhsm tests; seen with 10.10.2). */
const ON_TOKEN: Readonly<Record<string, string>> = {
  'caSigningCert cert-pki-ca': 'CTu,Cu,Cu',
  'ocspSigningCert cert-pki-ca': 'u,u,u',
  'auditSigningCert cert-pki-ca': 'u,u,Pu',
  'subsystemCert cert-pki-ca': 'u,u,u',
};
/** The same in the internal token, which keeps copies of two for their trust. */
const INTERNAL: Readonly<Record<string, string>> = {
  'caSigningCert cert-pki-ca': 'CT,C,C',
  'auditSigningCert cert-pki-ca': ',,P',
  'Server-Cert cert-pki-ca': 'u,u,u',
};

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
    needs: ['database'],
    look: ({ database }) => differing(database.trust, INTERNAL, 'the internal token'),
  }),
  judgement({
    code: 'trust-token-differs',
    area: 'certificate',
    severity: 'ERROR',
    holds: 'The certificates on the HSM have the trust that Dogtag needs, and their keys.',
    remedy: REMEDY,
    needs: ['server', 'tokenTrust'],
    look: ({ server, tokenTrust }) => differing(tokenTrust, ON_TOKEN, `the token ${server.token.label}`),
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
