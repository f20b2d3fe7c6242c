import type { ConfigSections } from '../host/configparser.ts';
import type { Secret } from '../secret/secret.ts';
import {
  type CaSite,
  caParameters,
  checkPasswords,
  type Deployment,
  defaultParameters,
  deploymentRuns,
  draft,
  freeParameters,
  type Parameters,
  withNormalNames,
} from './deployment.ts';
import type { DogtagProfile } from './version.ts';

/** What a clone of the cluster's CA is made from. Its directory has the data of the CA already, by replication. */
export interface CaCloneDeployment extends CaSite {
  /** The fully qualified name of the server that is cloned; it must be in the security domain. */
  master: string;
  /** Who may put a CA into the security domain: a member of `Enterprise CA Administrators`. */
  member: { user: string; password: Secret };
  /** The certificate (PEM) of the cluster's CA. */
  chainFile: string;
}

/**
 * A file that need not be there. Without HSM pkispawn insists on a PKCS#12 file for a clone; it opens it in the
 * installation only, which the second of two runs skips (seen on 10.10.2).
 */
const UNUSED_PKCS12 = '/nonexistent/keys-are-in-the-hsm.p12';

/**
 * The runs of pkispawn that make a clone, which uses the keys that are on the token already: no PKCS#12 file, and no
 * replication by pkispawn. Between two runs, or after a single one, `trustCloneCertificates` is to be called.
 * @throws CapstanError `password-unsuitable`, `dn-invalid`
 */
export function caCloneDeployments(wanted: CaCloneDeployment, profile: DogtagProfile): Deployment[] {
  const ca = withNormalNames(wanted);
  checkPasswords([ca.token.pin, ca.directory.password, ca.member.password, ca.clientDatabasePassword]);
  return deploymentRuns(ca.token, profile, (run) => cloneSections(ca, profile, run), {
    pki_server_pkcs12_path: UNUSED_PKCS12,
  });
}

function cloneSections(ca: CaCloneDeployment, profile: DogtagProfile, run: Parameters): ConfigSections {
  const { sections, put, template } = draft();
  template('ca.cfg');
  for (const { section, key, value } of freeParameters()) put(section, { [key]: value });
  template('ca-clone.cfg');
  put('DEFAULT', {
    ...defaultParameters(ca, profile),
    pki_security_domain_hostname: ca.master,
    pki_security_domain_user: ca.member.user,
    pki_security_domain_password: ca.member.password,
    // For a file with an agent that a clone does not make; pkispawn insists on it.
    pki_client_pkcs12_password: ca.clientDatabasePassword,
    pki_cert_chain_path: ca.chainFile,
    ...run,
  });
  put('CA', {
    ...caParameters(ca, profile),
    pki_clone_uri: `https://${ca.master}:8443`,
    ...(profile.reindexSetting && { pki_clone_reindex_data: 'True' }),
  });
  return sections;
}
