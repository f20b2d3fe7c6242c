/** Where a renewed certificate waits for the servers that share its key; FreeIPA's place and form. */
import type { Directory } from './client.ts';
import { addContainers, renewalsDn } from './tree.ts';

const CERTIFICATE = 'userCertificate';

function entryDn(suffix: string, nickname: string): string {
  return `cn=${nickname},${renewalsDn(suffix)}`;
}

/** Publishes a renewed certificate, DER, in the place of the one before. */
export async function publishRenewal(
  directory: Directory,
  suffix: string,
  nickname: string,
  certificate: Buffer,
): Promise<void> {
  await addContainers(directory, suffix);
  const dn = entryDn(suffix, nickname);
  const added = await directory.add(dn, {
    objectClass: ['top', 'pkiUser', 'nsContainer'],
    cn: [nickname],
    [CERTIFICATE]: [certificate],
  });
  if (!added) await directory.replace(dn, { [CERTIFICATE]: [certificate] });
}

/** The certificate that was published last under a nickname, DER; undefined where none was. */
export async function publishedRenewal(
  directory: Directory,
  suffix: string,
  nickname: string,
): Promise<Buffer | undefined> {
  const base = renewalsDn(suffix);
  if (!(await directory.entry(base, ['1.1']))) return undefined;
  const [entry] = await directory.search(base, {
    scope: 'one',
    filter: `(cn=${nickname})`,
    attributes: [CERTIFICATE],
    explicitBufferAttributes: [CERTIFICATE],
  });
  return entry?.bytes(CERTIFICATE)[0];
}
