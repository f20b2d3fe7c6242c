/**
 * Which CA of a cluster generates the CRLs. Each of them could, and Dogtag decides by its own CS.cfg; the parameters are
 * those that pkispawn sets for a clone and that FreeIPA's ipa-crlgen-manage changes (10.10.2, seen).
 */
import { readFile } from 'node:fs/promises';
import { failure } from '../errors.ts';
import { editFile } from '../host/files.ts';
import type { Host } from '../host/host.ts';
import { isActive } from '../host/services.ts';
import { instanceUnit } from './destroy.ts';
import { instanceConfiguration } from './nssdb.ts';

/** What a CA does about CRLs; `mixed` is what FreeIPA calls inconsistent. */
export type CrlGeneration = 'on' | 'off' | 'mixed';

/** The parameters with their values where CRLs are generated and where they are not; undefined: not in the file. */
const PARAMETERS: readonly { key: string; on: string | undefined; off: string }[] = [
  { key: 'ca.crl.MasterCRL.enableCRLCache', on: 'true', off: 'false' },
  { key: 'ca.crl.MasterCRL.enableCRLUpdates', on: 'true', off: 'false' },
  // Whether it learns what is revoked on the others. pkispawn leaves it out on the first CA, where it means no.
  { key: 'ca.listenToCloneModifications', on: 'true', off: 'false' },
  // Seconds between looks for certificates that expired; without the parameter 600, with 0 never.
  { key: 'ca.certStatusUpdateInterval', on: undefined, off: '0' },
];

/** What the text of a CS.cfg makes of CRLs. A single CA need not listen to clones. */
export function crlGenerationIn(text: string): CrlGeneration {
  const [cache, updates, listens, interval] = PARAMETERS.map(({ key }) =>
    settingOf(text, key)?.toLowerCase(),
  );
  const generates = (cache ?? 'true') === 'true';
  if (generates !== ((updates ?? 'true') === 'true')) return 'mixed';
  if (generates) return interval === '0' ? 'mixed' : 'on';
  return listens === 'true' ? 'mixed' : 'off';
}

/** The text of a CS.cfg in which a CA does what it is to do about CRLs; nothing else is changed. */
export function withCrlGeneration(text: string, generation: 'on' | 'off'): string {
  const lines = text.split('\n');
  for (const parameter of PARAMETERS) {
    const wanted = parameter[generation];
    const line = wanted === undefined ? [] : [`${parameter.key}=${wanted}`];
    const at = lines.findIndex((one) => one.startsWith(`${parameter.key}=`));
    if (at >= 0) lines.splice(at, 1, ...line);
    else lines.splice(lines.at(-1) === '' ? -1 : lines.length, 0, ...line);
  }
  return lines.join('\n');
}

function settingOf(text: string, key: string): string | undefined {
  const line = text.split('\n').find((one) => one.startsWith(`${key}=`));
  return line?.slice(key.length + 1).trim();
}

/** The configuration of the CA of an instance. */
export function caConfiguration(instance: string): string {
  return `${instanceConfiguration(instance)}/ca/CS.cfg`;
}

/** What the CA of an instance does about CRLs from its next start on. @throws an ENOENT where there is no CA */
export async function crlGeneration(instance: string): Promise<CrlGeneration> {
  return crlGenerationIn(await readFile(caConfiguration(instance), 'utf8'));
}

/**
 * Sets what the CA of an instance does about CRLs from its next start on.
 * @throws CapstanError `dogtag-running`: Dogtag writes its configuration from memory and would undo this
 */
export async function setCrlGeneration(
  host: Host,
  instance: string,
  generation: 'on' | 'off',
): Promise<void> {
  if (await isActive(host, instanceUnit(instance))) {
    throw failure(
      'dogtag-running',
      `${caConfiguration(instance)} cannot be changed while ${instanceUnit(instance)} runs.`,
    );
  }
  await editFile(caConfiguration(instance), (text) => withCrlGeneration(text, generation));
}
