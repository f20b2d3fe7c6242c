import { removeEmptyFolder } from '../host/files.ts';
import type { Host } from '../host/host.ts';
import { type Directory, withLocalDirectory } from './client.ts';
import type { DirectoryInstance } from './instance.ts';

/**
 * Makes an empty database of the instance, and has it serve a suffix; one that is there stays as it is. There is no
 * entry in it, not even that of the suffix: it comes with the first replication.
 * @param name the backend's name: `ipaca`
 */
export async function addBackend(directory: Directory, name: string, suffix: string): Promise<void> {
  await directory.add(`cn=${name},cn=ldbm database,cn=plugins,cn=config`, {
    objectClass: ['top', 'extensibleObject', 'nsBackendInstance'],
    cn: [name],
    'nsslapd-suffix': [suffix],
  });
  await directory.add(mappingTreeDn(suffix), {
    objectClass: ['top', 'extensibleObject', 'nsMappingTree'],
    cn: [suffix],
    'nsslapd-state': ['backend'],
    'nsslapd-backend': [name],
  });
}

/** The entry that tells which database serves a suffix, in the form in which 389-ds writes its name. */
export function mappingTreeDn(suffix: string): string {
  return `cn=${suffix.replaceAll('=', '\\3D').replaceAll(',', '\\2C')},cn=mapping tree,cn=config`;
}

/**
 * Removes a database of the instance with its suffix and all its data; that there is none is no error. Over LDAP, as
 * lib389 does it: `dsconf backend delete` has another way to confirm in each release.
 * @param name the backend's name: `ipaca`
 * @throws CapstanError `directory-unreachable`
 */
export async function removeBackend(host: Host, instance: DirectoryInstance, name: string): Promise<void> {
  await withLocalDirectory(host, instance, async (directory) => {
    const trees = await directory.search('cn=mapping tree,cn=config', {
      scope: 'one',
      filter: `(nsslapd-backend=${name})`,
      attributes: ['1.1'],
    });
    for (const { dn } of trees) await removeBranch(directory, dn);
    const dn = `cn=${name},cn=ldbm database,cn=plugins,cn=config`;
    const database = await directory.entry(dn, ['nsslapd-directory']);
    await removeBranch(directory, dn);
    // The server removes the files and leaves their folder (389-ds 1.4.4.11, seen).
    for (const folder of database?.values('nsslapd-directory') ?? []) await removeEmptyFolder(folder);
  });
}

/** Removes an entry and all below it, the deepest first: a name is longer than that of what it is below. */
export async function removeBranch(directory: Directory, dn: string): Promise<void> {
  if (!(await directory.entry(dn, ['1.1']))) return;
  const entries = await directory.search(dn, { scope: 'sub', attributes: ['1.1'] });
  for (const entry of entries.toSorted((a, b) => b.dn.length - a.dn.length)) await directory.remove(entry.dn);
}
