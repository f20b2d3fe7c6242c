/** What is set in the configuration of a KRA. */
import { editFile } from '../host/files.ts';
import { instanceConfiguration } from './nssdb.ts';
import type { DogtagProfile } from './version.ts';

/**
 * Has a KRA archive private keys by encrypting them where its Dogtag wraps by a mechanism that no HSM has; see
 * {@link DogtagProfile}. Both are done on the token. For an instance that is stopped.
 */
export async function configureArchival(
  instance: string,
  { standardKeyWrap }: Pick<DogtagProfile, 'standardKeyWrap'>,
): Promise<void> {
  if (standardKeyWrap) return;
  const settings = ['archival', 'recovery'].map((what) => `kra.allowEncDecrypt.${what}=true`);
  await editFile(`${instanceConfiguration(instance)}/kra/CS.cfg`, (text) => {
    const others = text.split('\n').filter((line) => !line.startsWith('kra.allowEncDecrypt.'));
    return `${others.join('\n').trimEnd()}\n${settings.join('\n')}\n`;
  });
}
