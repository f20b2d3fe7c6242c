/** What is set in the configuration of a KRA, and what the CA of the same instance knows of KRAs. */
import { readFile } from 'node:fs/promises';
import { editFile } from '../host/files.ts';
import { instanceConfiguration } from './nssdb.ts';
import type { DogtagProfile } from './version.ts';

/** KRAs listen where the CAs of their instances do. */
const PORT = '8443';

function configurationOf(instance: string, subsystem: 'ca' | 'kra'): string {
  return `${instanceConfiguration(instance)}/${subsystem}/CS.cfg`;
}

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
  await editFile(configurationOf(instance, 'kra'), (text) => {
    const others = text.split('\n').filter((line) => !line.startsWith('kra.allowEncDecrypt.'));
    return `${others.join('\n').trimEnd()}\n${settings.join('\n')}\n`;
  });
}

/** The KRAs that the CA of an instance sends keys to, by host name; none where it knows of none. */
export async function connectedKras(instance: string): Promise<string[]> {
  return krasIn(await readFile(configurationOf(instance, 'ca'), 'utf8'));
}

/**
 * The KRAs in a CA's configuration. Dogtag writes the first as a name beside its port, and several as a list of names
 * with ports (`KRAConnectorProcessor` of 10.10.2).
 */
export function krasIn(text: string): string[] {
  const host = /^ca\.connector\.KRA\.host=(.*)$/m.exec(text)?.[1] ?? '';
  return host
    .split(' ')
    .filter(Boolean)
    .map((one) => one.replace(/:\d+$/, ''));
}

/** Has the CA of an instance that is stopped forget a KRA; that it does not know it is no error. */
export async function disconnectKra(instance: string, hostname: string): Promise<void> {
  const file = configurationOf(instance, 'ca');
  const known = krasIn(await readFile(file, 'utf8'));
  if (!known.includes(hostname)) return;
  await editFile(file, (text) =>
    withKras(
      text,
      known.filter((one) => one !== hostname),
    ),
  );
}

/** A CA's configuration with these KRAs in the place of those that it has; without a connector where there are none. */
export function withKras(text: string, kras: readonly string[]): string {
  const [first] = kras;
  if (first === undefined) {
    const lines = text.split('\n').filter((line) => !line.startsWith('ca.connector.KRA.'));
    return lines.join('\n');
  }
  const host = kras.length === 1 ? first : kras.map((one) => `${one}:${PORT}`).join(' ');
  return text.replace(/^(ca\.connector\.KRA\.host=).*$/m, (_, key: string) => key + host);
}
