import { refusal } from '../errors.ts';
import { type ConfigEntry, type ConfigSections, type ConfigValue, unwritable } from '../host/configparser.ts';
import { escapeValue, formatDn, parseDn } from '../names/dn.ts';
import type { Secret } from '../secret/secret.ts';
import { readTemplate } from './template.ts';
import type { DogtagProfile } from './version.ts';

/** What every subsystem of a cluster is made from. */
export interface SubsystemSite {
  /** The name of the security domain: `EXAMPLE.TEST`. */
  realm: string;
  /** The fully qualified name of this host. */
  hostname: string;
  /** What the subjects of system certificates end with: `O=EXAMPLE.TEST`. */
  subjectBase: string;
  token: TokenAccess;
  directory: DirectoryAccess;
  /** The password of pkispawn's client database; random, made for this installation. */
  clientDatabasePassword: Secret;
  /** The folder of pkispawn's client database: `/root/.dogtag/pki-tomcat`. */
  clientFolder: string;
}

/** What every CA of a cluster is made from, the first and its clones. */
export interface CaSite extends SubsystemSite {
  /** The distinguished name of the CA: `CN=Certificate Authority,O=EXAMPLE.TEST`. */
  caSubject: string;
  /** The size of the CA's RSA key in bits. */
  keySize: 2048 | 3072 | 4096;
  /** The OCSP address in issued certificates; this host's own unless told. */
  ocspUri?: string;
}

/** What the first CA of a cluster is made from. */
export interface CaDeployment extends CaSite {
  /** The password of the CA's administrator, and of the PKCS #12 file with the agent's key. */
  adminPassword: Secret;
  /** The PKCS #12 file with the agent's key and certificate that pkispawn writes. */
  agentFile: string;
  /** The file with the request (PEM) whose certificate another authority has signed; see `storeExternalChain`. */
  requestFile?: string;
  /** The administrator's override file, already checked by `readOverride`. */
  override?: readonly ConfigEntry[];
}

/** The token on which the keys are made. */
export interface TokenAccess {
  label: string;
  libraryPath: string;
  /** The name of the PKCS#11 module in the NSS database. */
  moduleName: string;
  pin: Secret;
}

/** The directory that a subsystem stores its data in; always over LDAPS. */
export interface DirectoryAccess {
  ldapsPort: number;
  /** The certificate (PEM) of the authority that issued the directory's TLS certificate. */
  caFile: string;
  /** The password of cn=Directory Manager. */
  password: Secret;
}

/** One run of pkispawn. */
export interface Deployment {
  /** Which run it is; `whole` where one is enough. */
  name: 'whole' | 'installation' | 'configuration';
  sections: ConfigSections;
  /** The arguments of pkispawn beside `-f FILE`. */
  arguments: readonly string[];
}

/** The directory's database of the CA (`pki_ds_database` in templates/ca.cfg). */
export const CA_BACKEND = 'ipaca';
/** The subtree of the CA (`pki_ds_base_dn` in templates/ca.cfg). */
export const CA_SUFFIX = 'o=ipaca';

/** The system certificates of a CA whose keys are made on the token, as their parameters are called. */
export const CA_TOKEN_TAGS = ['ca_signing', 'ocsp_signing', 'audit_signing', 'subsystem'] as const;

/**
 * The runs of pkispawn that make the first CA of a cluster with its keys on the token and the TLS server key in the
 * internal token. Where another authority signed the CA they are two always, and its certificate is put in place
 * between them. The key of the CA is there by then: the first run makes none where it is told no file for a request.
 * @throws CapstanError `password-unsuitable`, `dn-invalid`
 */
export function caDeployments(wanted: CaDeployment, profile: DogtagProfile): Deployment[] {
  const ca = withNormalNames(wanted);
  checkPasswords([ca.token.pin, ca.directory.password, ca.adminPassword, ca.clientDatabasePassword]);
  if (ca.requestFile !== undefined) return externalRuns(ca, profile, ca.requestFile);
  return deploymentRuns(ca.token, profile, (hsm) => firstSections(ca, profile, hsm));
}

/** The same two runs as in {@link deploymentRuns}, as steps one and two of Dogtag's way to an externally signed CA. */
function externalRuns(ca: CaDeployment, profile: DogtagProfile, requestFile: string): Deployment[] {
  const hsm = hsmParameters(ca.token);
  const one = { pki_external: 'True', pki_external_step_two: 'False' };
  const two = { pki_external: 'True', pki_external_step_two: 'True', pki_ca_signing_csr_path: requestFile };
  return [
    {
      name: 'installation',
      sections: firstSections(ca, profile, hsm, one),
      arguments: ['-s', 'CA', '--skip-configuration'],
    },
    {
      name: 'configuration',
      sections: firstSections(ca, profile, profile.tlsKey === 'plain' ? hsm : INTERNAL_RUN, two),
      arguments: ['-s', 'CA', '--skip-installation'],
    },
  ];
}

/**
 * The runs of pkispawn for a CA. Dogtag up to 11.2 takes `pki_sslserver_token=internal` for the default token, so that
 * two are needed: the installation knows the HSM; the configuration has `internal` for its default token, and every key
 * that belongs on the HSM named (seen on 10.10.2 with stock files; the module and the PIN are in place by then).
 * @param sections the configuration with the parameters of a run in its [DEFAULT]
 * @param configuration further parameters of the second of two runs
 */
export function deploymentRuns(
  token: TokenAccess,
  profile: DogtagProfile,
  sections: (run: Parameters) => ConfigSections,
  configuration: Parameters = {},
): Deployment[] {
  const whole = sections(hsmParameters(token));
  if (profile.tlsKey === 'plain') return [{ name: 'whole', sections: whole, arguments: ['-s', 'CA'] }];
  return [
    { name: 'installation', sections: whole, arguments: ['-s', 'CA', '--skip-configuration'] },
    {
      name: 'configuration',
      sections: sections({ ...INTERNAL_RUN, ...configuration }),
      arguments: ['-s', 'CA', '--skip-installation'],
    },
  ];
}

/** What the second of two runs is told instead of the HSM. */
const INTERNAL_RUN: Parameters = { pki_hsm_enable: 'False', pki_token_name: 'internal' };

/** The parameters that an override file may change, with the section in which each takes effect. */
export function freeParameters(): ConfigEntry[] {
  return readTemplate('ca-defaults.cfg');
}

/** Parameters of pkispawn, by name. */
export type Parameters = Record<string, ConfigValue>;

/** What pkispawn is told of the HSM. */
export function hsmParameters(token: TokenAccess): Parameters {
  return {
    pki_hsm_enable: 'True',
    pki_hsm_libfile: token.libraryPath,
    pki_hsm_modulename: token.moduleName,
    pki_token_name: token.label,
    pki_token_password: token.pin,
  };
}

/** A configuration under construction: later parameters win over earlier ones of the same section. */
export interface Draft {
  sections: Record<string, Parameters>;
  put(section: string, parameters: Parameters): void;
  /** Puts all of a template, {@link readTemplate}. */
  template(name: string): void;
}

/** A configuration without parameters. */
export function draft(subsystem: 'CA' | 'KRA' = 'CA'): Draft {
  const sections: Record<string, Parameters> = { DEFAULT: {}, [subsystem]: {} };
  const put = (section: string, parameters: Parameters) => {
    sections[section] = { ...sections[section], ...parameters };
  };
  const template = (name: string) => {
    for (const { section, key, value } of readTemplate(name)) put(section, { [key]: value });
  };
  return { sections, put, template };
}

/** @param kind what of [CA] says which kind of CA it is; a self-signed one without it */
function firstSections(
  ca: CaDeployment,
  profile: DogtagProfile,
  run: Parameters,
  kind: Parameters = {},
): ConfigSections {
  const { sections, put, template } = draft();
  const override = ca.override ?? [];
  const free = freeParameters();
  for (const { section, key, value } of additions(override, free))
    put(section, { [key]: interpolated(value) });
  template('ca.cfg');
  for (const { section, key, value } of free) {
    const chosen = overrideOf(override, key);
    put(section, { [key]: chosen === undefined ? value : interpolated(chosen) });
  }
  put('DEFAULT', {
    ...defaultParameters(ca, profile),
    pki_security_domain_user: 'admin',
    pki_security_domain_password: ca.adminPassword,
    pki_client_pkcs12_password: ca.adminPassword,
    pki_client_admin_cert_p12: ca.agentFile,
    ...run,
  });
  put('CA', {
    ...caParameters(ca, profile),
    pki_admin_password: ca.adminPassword,
    pki_admin_subject_dn: `cn=ipa-ca-agent,${ca.subjectBase}`,
    ...kind,
  });
  return sections;
}

/** The value of a free parameter: the override's, or the default. @param key one of {@link freeParameters} */
export function chosenValue(override: readonly ConfigEntry[], key: string): string {
  return overrideOf(override, key) ?? freeParameters().find((entry) => entry.key === key)?.value ?? '';
}

/** The override of a free parameter, from whichever section it stands in; the more specific one wins. */
function overrideOf(override: readonly ConfigEntry[], key: string): string | undefined {
  const given = override.filter((entry) => entry.key === key);
  const bySection = (section: string) => given.find((entry) => entry.section === section)?.value;
  return bySection('CA') ?? bySection('DEFAULT') ?? bySection('Tomcat');
}

/**
 * The overrides of parameters that the templates do not have. One in [DEFAULT] goes into [CA] as well, because
 * pkispawn's default.cfg defines some in [CA], where they would win.
 */
function additions(override: readonly ConfigEntry[], free: readonly ConfigEntry[]): ConfigEntry[] {
  const isFree = new Set(free.map((entry) => entry.key));
  const added = override.filter((entry) => !isFree.has(entry.key));
  const inCa = new Set(added.filter((entry) => entry.section === 'CA').map((entry) => entry.key));
  const copies = added.filter((entry) => entry.section === 'DEFAULT' && !inCa.has(entry.key));
  return [...added, ...copies.map((entry) => ({ ...entry, section: 'CA' }))];
}

function interpolated(value: string): ConfigValue {
  return { interpolated: value };
}

/** What pkispawn's default.cfg has in [DEFAULT], and what paths are derived from. */
export function defaultParameters(ca: SubsystemSite, profile: DogtagProfile): Parameters {
  return {
    pki_hostname: ca.hostname,
    pki_security_domain_name: ca.realm,
    pki_client_dir: ca.clientFolder,
    pki_client_database_dir: `${ca.clientFolder}/ca/alias`,
    pki_client_database_password: ca.clientDatabasePassword,
    pki_ds_secure_connection_ca_pem_file: ca.directory.caFile,
    pki_ds_password: ca.directory.password,
    pki_sslserver_subject_dn: `cn=${escapeValue(ca.hostname)},${ca.subjectBase}`,
    pki_subsystem_subject_dn: `cn=CA Subsystem,${ca.subjectBase}`,
    ...(profile.restartSetting && { pki_restart_configured_instance: 'False' }),
  };
}

/** What pkispawn's default.cfg has in [CA], and what must not be lost to it. */
export function caParameters(ca: CaSite, profile: DogtagProfile): Parameters {
  const tokens = CA_TOKEN_TAGS.map((tag) => [`pki_${tag}_token`, ca.token.label]);
  return {
    pki_ca_signing_key_size: String(ca.keySize),
    pki_ca_signing_subject_dn: ca.caSubject,
    pki_ocsp_signing_subject_dn: `cn=OCSP Subsystem,${ca.subjectBase}`,
    pki_audit_signing_subject_dn: `cn=CA Audit,${ca.subjectBase}`,
    pki_default_ocsp_uri: ca.ocspUri ?? `http://${ca.hostname}:8080/ca/ocsp`,
    ...directoryAddress(ca, profile),
    ...(profile.randomSerialNumbers && {
      pki_cert_id_generator: 'random',
      pki_request_id_generator: 'random',
    }),
    ...Object.fromEntries(tokens),
  };
}

/** Where a subsystem finds its directory. */
export function directoryAddress(
  ca: Pick<SubsystemSite, 'hostname' | 'directory'>,
  profile: DogtagProfile,
): Parameters {
  const port = ca.directory.ldapsPort;
  if (profile.dsUrl) return { pki_ds_url: `ldaps://${ca.hostname}:${port}` };
  return {
    pki_ds_hostname: ca.hostname,
    pki_ds_secure_connection: 'True',
    pki_ds_ldaps_port: String(port),
  };
}

/**
 * The site with its names as every parser reads them: without the blanks around `,` and `=` that some take for a part
 * of the value.
 * @throws CapstanError `dn-invalid`
 */
export function withNormalNames<Site extends CaSite>(ca: Site): Site {
  const normal = (dn: string) => formatDn(parseDn(dn));
  return { ...ca, caSubject: normal(ca.caSubject), subjectBase: normal(ca.subjectBase) };
}

/** Refuses passwords that Dogtag cannot keep. @throws CapstanError `password-unsuitable` */
export function checkPasswords(passwords: readonly Secret[]): void {
  for (const password of passwords) {
    const reason = passwordFault(password.reveal());
    if (reason) {
      throw refusal(
        'password-unsuitable',
        `The ${password.what} ${reason}; Dogtag cannot keep that.`,
        `Choose another ${password.what}.`,
      );
    }
  }
}

/**
 * Why Dogtag cannot keep a password in its password.conf, as the end of a sentence; undefined when it can.
 * `load_properties` of pki.util joins a line that ends in a backslash with the next one.
 */
export function passwordFault(password: string): string | undefined {
  if (password === '') return 'is empty';
  if (password.endsWith('\\')) return 'ends with a backslash';
  return unwritable(password);
}
