import type { ConfigSections } from '../host/configparser.ts';
import { formatDn, parseDn } from '../names/dn.ts';
import type { Secret } from '../secret/secret.ts';
import {
  CA_SUFFIX,
  checkPasswords,
  type Deployment,
  defaultParameters,
  directoryAddress,
  draft,
  hsmParameters,
  type SubsystemSite,
} from './deployment.ts';
import type { DogtagProfile } from './version.ts';

/** The subtree of the KRA (`pki_ds_base_dn` in templates/kra.cfg), a part of the CA's and replicated with it. */
export const KRA_SUFFIX = `o=kra,${CA_SUFFIX}`;

/** The system certificates of a KRA, as their parameters are called. */
const KRA_TAGS = ['transport', 'storage', 'audit_signing', 'subsystem'] as const;

/** What a KRA is made from, in an instance that has a CA. */
export interface KraDeployment extends SubsystemSite {
  /** Who may put a KRA into the security domain: a member of `Enterprise KRA Administrators`. */
  member: { user: string; password: Secret };
  /** The first password of the KRA's administrator, and that of files that pkispawn insists on. */
  adminPassword: Secret;
  /** The certificate of the CA's administrator: DER in base64, one line. */
  adminCertificateFile: string;
  /** The server whose KRA is cloned; the first of a cluster without it. */
  master?: string | undefined;
  /** Whether keys are wrapped with RSA-OAEP instead of PKCS#1 v1.5. */
  oaep: boolean;
}

/**
 * The run of pkispawn that makes a KRA with its keys on the token, or a clone that uses those that are there. One is
 * enough, in all releases: the TLS server key of the instance is there already.
 * @throws CapstanError `password-unsuitable`, `dn-invalid`
 */
export function kraDeployment(wanted: KraDeployment, profile: DogtagProfile): Deployment {
  const kra = { ...wanted, subjectBase: formatDn(parseDn(wanted.subjectBase)) };
  const passwords = [kra.token.pin, kra.directory.password, kra.member.password, kra.adminPassword];
  checkPasswords([...passwords, kra.clientDatabasePassword]);
  return { name: 'whole', sections: kraSections(kra, profile), arguments: ['-s', 'KRA'] };
}

function kraSections(kra: KraDeployment, profile: DogtagProfile): ConfigSections {
  const { sections, put, template } = draft('KRA');
  const { master, hostname } = kra;
  template('kra.cfg');
  if (master !== undefined) template('kra-clone.cfg');
  put('DEFAULT', {
    ...defaultParameters(kra, profile),
    pki_client_database_dir: `${kra.clientFolder}/kra/alias`,
    pki_client_pkcs12_password: kra.clientDatabasePassword,
    // A clone gets its numbers and its configuration from a server that knows the install token.
    pki_security_domain_hostname: master ?? hostname,
    pki_security_domain_user: kra.member.user,
    pki_security_domain_password: kra.member.password,
    ...hsmParameters(kra.token),
    ...(kra.oaep && { pki_use_oaep_rsa_keywrap: 'True' }),
  });
  put('KRA', {
    ...subjects(kra),
    ...directoryAddress(kra, profile),
    ...Object.fromEntries(KRA_TAGS.map((tag) => [`pki_${tag}_token`, kra.token.label])),
    pki_issuing_ca_uri: `https://${hostname}:8443`,
    pki_admin_password: kra.adminPassword,
    pki_admin_cert_file: kra.adminCertificateFile,
    pki_client_admin_cert_p12: `${kra.clientFolder}/kra-agent.p12`,
    ...(profile.randomKeyIds && { pki_key_id_generator: 'random', pki_request_id_generator: 'random' }),
    ...(master !== undefined && { pki_clone_uri: `https://${master}:8443` }),
    ...(master !== undefined && profile.reindexSetting && { pki_clone_reindex_data: 'True' }),
  });
  return sections;
}

/** The subjects of the system certificates, FreeIPA's. */
function subjects({ subjectBase }: KraDeployment) {
  return {
    pki_admin_subject_dn: `cn=ipa-ca-agent,${subjectBase}`,
    pki_transport_subject_dn: `cn=KRA Transport Certificate,${subjectBase}`,
    pki_storage_subject_dn: `cn=KRA Storage Certificate,${subjectBase}`,
    pki_audit_signing_subject_dn: `cn=KRA Audit,${subjectBase}`,
  };
}
