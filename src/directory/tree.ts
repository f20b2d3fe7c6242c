import type { Directory } from './client.ts';

/** Where FreeIPA keeps the certificate authorities of a domain; Capstan uses the same place. */
export function authoritiesDn(suffix: string): string {
  return `cn=cas,cn=ca,${suffix}`;
}

/** The entry of the domain's own CA, which bears the HSM record. */
export function hostAuthorityDn(suffix: string): string {
  return `cn=ipa,${authoritiesDn(suffix)}`;
}

/** Where clients of the directory find the CA certificate (FreeIPA: `cn=CAcert,cn=ipa,cn=etc,$SUFFIX`). */
export function caCertificateDn(suffix: string): string {
  return `cn=CAcert,cn=ipa,cn=etc,${suffix}`;
}

/** Where the servers of the domain and their roles are recorded. */
export function mastersDn(suffix: string): string {
  return `cn=masters,cn=ipa,cn=etc,${suffix}`;
}

/** Where renewed certificates wait for the servers that share their keys. */
export function renewalsDn(suffix: string): string {
  return `cn=ca_renewal,cn=ipa,cn=etc,${suffix}`;
}

/** The containers that Capstan's entries lie in, parents first. */
export function containers(suffix: string): string[] {
  return [
    `cn=etc,${suffix}`,
    `cn=ipa,cn=etc,${suffix}`,
    mastersDn(suffix),
    renewalsDn(suffix),
    `cn=sysaccounts,cn=etc,${suffix}`,
    `cn=ca,${suffix}`,
    authoritiesDn(suffix),
  ];
}

/** Makes the containers that are missing. */
export async function addContainers(directory: Directory, suffix: string): Promise<void> {
  for (const dn of containers(suffix)) {
    await directory.add(dn, { objectClass: ['top', 'nsContainer'], cn: [nameOf(dn)] });
  }
}

/** Whether all containers are there. */
export async function hasContainers(directory: Directory, suffix: string): Promise<boolean> {
  for (const dn of containers(suffix)) {
    if (!(await directory.entry(dn, ['1.1']))) return false;
  }
  return true;
}

/** Lets everybody read the CA certificate; 389-ds shows nothing that no ACI allows (access control, RHDS guide). */
const READABLE =
  '(targetattr = "cACertificate || cn || objectClass")' +
  '(version 3.0; acl "CA certificate for anyone"; allow (read, search, compare) userdn = "ldap:///anyone";)';

/** Publishes the CA certificate, and those above it, DER, in the directory, for anyone to read. */
export async function publishCaCertificate(
  directory: Directory,
  suffix: string,
  certificates: readonly Buffer[],
): Promise<void> {
  const dn = caCertificateDn(suffix);
  const added = await directory.add(dn, {
    objectClass: ['top', 'nsContainer', 'pkiCA'],
    cn: ['CAcert'],
    'cACertificate;binary': [...certificates],
    aci: [READABLE],
  });
  if (!added) await directory.replace(dn, { 'cACertificate;binary': [...certificates] });
}

/** The CA certificates that the directory publishes, DER; several where the CA's own was renewed (FreeIPA). */
export async function publishedCaCertificates(directory: Directory, suffix: string): Promise<Buffer[]> {
  const entry = await directory.entry(caCertificateDn(suffix), ['cACertificate;binary']);
  return entry?.bytes('cACertificate;binary') ?? [];
}

function nameOf(dn: string): string {
  return dn.slice('cn='.length, dn.indexOf(','));
}
