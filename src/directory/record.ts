import { failure } from '../errors.ts';
import type { Directory } from './client.ts';
import { hostAuthorityDn } from './tree.ts';

const ATTRIBUTE = 'ipaCaHSMConfiguration';

/** What later installs read: which token holds the CA's keys, and which library reaches it. */
export interface HsmRecord {
  tokenName: string;
  libraryPath: string;
}

/** What the entry of the CA says besides the record (FreeIPA's class `ipaCa`). */
export interface AuthorityFacts {
  /** Dogtag's identifier of the host authority, a UUID. */
  id: string;
  subjectDn: string;
  issuerDn: string;
}

/** The record as FreeIPA writes it: `token-name;library-path`. */
export function formatHsmRecord({ tokenName, libraryPath }: HsmRecord): string {
  return `${tokenName};${libraryPath}`;
}

/**
 * Reads a record. It is split at its first semicolon: a token name cannot hold one, a path can.
 * @throws CapstanError `hsm-record-malformed`
 */
export function parseHsmRecord(value: string): HsmRecord {
  const [, tokenName, libraryPath] = /^([^;]+);(\/.+)$/.exec(value) ?? [];
  if (tokenName === undefined || libraryPath === undefined) {
    throw failure(
      'hsm-record-malformed',
      `The HSM record in the directory is "${value}"; "token-name;/path/of/library" was expected.`,
      `Correct the attribute ${ATTRIBUTE} of the entry cn=ipa,cn=cas,cn=ca under the domain's suffix.`,
    );
  }
  return { tokenName, libraryPath };
}

/**
 * The HSM record of the domain, or undefined where its CA keeps its keys elsewhere.
 * @throws CapstanError `hsm-record-malformed`
 */
export async function readHsmRecord(directory: Directory, suffix: string): Promise<HsmRecord | undefined> {
  const entry = await directory.entry(hostAuthorityDn(suffix), [ATTRIBUTE]);
  const [value] = entry?.values(ATTRIBUTE) ?? [];
  return value === undefined ? undefined : parseHsmRecord(value);
}

/** Writes the record, with the entry of the CA that bears it. */
export async function writeHsmRecord(
  directory: Directory,
  suffix: string,
  record: HsmRecord,
  authority: AuthorityFacts,
): Promise<void> {
  const dn = hostAuthorityDn(suffix);
  const value = [formatHsmRecord(record)];
  const added = await directory.add(dn, {
    objectClass: ['top', 'ipaCa'],
    cn: ['ipa'],
    description: ['Certificate authority of the domain'],
    ipaCaId: [authority.id],
    ipaCaSubjectDN: [authority.subjectDn],
    ipaCaIssuerDN: [authority.issuerDn],
    [ATTRIBUTE]: value,
  });
  if (!added) await directory.replace(dn, { [ATTRIBUTE]: value });
}
