/** The name of the instance; FreeIPA's, and Dogtag's own default. */
export const INSTANCE = 'pki-tomcat';

/** A subsystem of an instance, as Dogtag calls its type. */
export type SubsystemName = 'CA' | 'KRA';

/** A certificate that a subsystem needs to run. */
export interface SystemCertificate {
  /** The name of its tracking request. */
  id: string;
  nickname: string;
  /** Where its private key lives. What is on the HSM is the same for all servers of a cluster. */
  token: 'hsm' | 'internal';
  /** The CA's profile by which it is renewed (FreeIPA's choice). */
  profile: string;
  /** How the internal token trusts it, where Dogtag needs it there; certutil(1)'s flags, those of pkispawn. */
  trust?: string;
}

/** The system certificates of a CA. Only the TLS server's key stays out of the HSM: each host has its own. */
export const CA_CERTIFICATES: readonly SystemCertificate[] = [
  {
    id: 'capstan-ca-signing',
    nickname: 'caSigningCert cert-pki-ca',
    token: 'hsm',
    profile: 'caCACert',
    trust: 'CT,C,C',
  },
  {
    id: 'capstan-ca-ocsp-signing',
    nickname: 'ocspSigningCert cert-pki-ca',
    token: 'hsm',
    profile: 'caOCSPCert',
  },
  {
    id: 'capstan-ca-audit-signing',
    nickname: 'auditSigningCert cert-pki-ca',
    token: 'hsm',
    profile: 'caSignedLogCert',
    trust: ',,P',
  },
  {
    id: 'capstan-subsystem',
    nickname: 'subsystemCert cert-pki-ca',
    token: 'hsm',
    profile: 'caSubsystemCert',
  },
  {
    id: 'capstan-tls-server',
    nickname: 'Server-Cert cert-pki-ca',
    token: 'internal',
    profile: 'caServerCert',
  },
];

/** The system certificates of a KRA; it shares the TLS server's and the subsystem's with the CA of its instance. */
export const KRA_CERTIFICATES: readonly SystemCertificate[] = [
  {
    id: 'capstan-kra-transport',
    nickname: 'transportCert cert-pki-kra',
    token: 'hsm',
    profile: 'caTransportCert',
  },
  { id: 'capstan-kra-storage', nickname: 'storageCert cert-pki-kra', token: 'hsm', profile: 'caStorageCert' },
  {
    id: 'capstan-kra-audit-signing',
    nickname: 'auditSigningCert cert-pki-kra',
    token: 'hsm',
    profile: 'caAuditSigningCert',
    trust: ',,P',
  },
];

/** The nicknames of the CA's certificates whose keys live on the HSM. */
export const CA_TOKEN_NICKNAMES: readonly string[] = onHsm(CA_CERTIFICATES);
/** The nicknames of the KRA's. */
export const KRA_TOKEN_NICKNAMES: readonly string[] = onHsm(KRA_CERTIFICATES);

/** The system certificates of all subsystems. */
export const SYSTEM_CERTIFICATES: readonly SystemCertificate[] = [...CA_CERTIFICATES, ...KRA_CERTIFICATES];

/** The nicknames of those whose keys a first server makes on the HSM. */
export function tokenNicknames(withKra = false): readonly string[] {
  return withKra ? [...CA_TOKEN_NICKNAMES, ...KRA_TOKEN_NICKNAMES] : CA_TOKEN_NICKNAMES;
}

function onHsm(certificates: readonly SystemCertificate[]): string[] {
  return certificates.filter(({ token }) => token === 'hsm').map(({ nickname }) => nickname);
}

/** The nickname of the CA's own certificate. */
export const CA_SIGNING_NICKNAME = 'caSigningCert cert-pki-ca';
