import { readdir, readFile, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { removeFile } from '../host/files.ts';
import type { SubsystemName } from './certificates.ts';
import { instanceConfiguration } from './nssdb.ts';

/** What a clone is configured with and drops at the end: the password of its directory among it. */
const PASSING = /^preop\..*password=/m;

/**
 * Removes the archived versions of a subsystem's configuration that hold passwords: Dogtag keeps every version of CS.cfg, that
 * of a clone in the middle of its installation too, with the Directory Manager's password in clear
 * (`preop.internaldb.master.ldapauth.password`, seen with 10.10.2).
 * @returns how many there were
 */
export async function removeArchivedPasswords(
  instance: string,
  subsystem: SubsystemName = 'CA',
): Promise<number> {
  const folder = `${instanceConfiguration(instance)}/${subsystem.toLowerCase()}/archives`;
  const names = await readdir(folder).catch(() => []);
  let removed = 0;
  for (const name of names) {
    const file = `${folder}/${name}`;
    if (!PASSING.test(await readFile(file, 'utf8').catch(() => ''))) continue;
    await removeFile(file);
    removed += 1;
  }
  // A link to a version that is gone: with one, the start script fails (`backup_instance_configuration_files`, seen).
  const latest = `${dirname(folder)}/CS.cfg.bak`;
  const leads = await stat(latest).catch(() => undefined);
  if (removed > 0 && !leads) await removeFile(latest);
  return removed;
}
