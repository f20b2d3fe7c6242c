/** What certmonger keeps that helps to find a fault, and the secrets in it. */
import { readdir } from 'node:fs/promises';
import { type Evidence, fileEvidence, filesEvidence, outputEvidence, textIfThere } from '../host/evidence.ts';
import { secretFieldsOf } from '../secret/fields.ts';

const STORE = '/var/lib/certmonger';
/** certmonger's own store has a file a request or CA, named by the time of its making. */
const NUMBERED = '[0-9]*';

/** The tracking requests and CAs, as the daemon tells them and as its files have them. */
export async function certmongerEvidence(): Promise<Evidence[]> {
  const files = { form: 'fields', newest: 50 } as const;
  const stored = await Promise.all([
    filesEvidence(
      'certmonger/requests',
      'a tracking request, without PINs',
      `${STORE}/requests`,
      NUMBERED,
      files,
    ),
    filesEvidence('certmonger/cas', 'a CA that certmonger knows', `${STORE}/cas`, NUMBERED, files),
  ]);
  return [
    outputEvidence('certmonger/list.txt', 'the tracking requests', ['getcert', 'list']),
    outputEvidence('certmonger/list-cas.txt', 'the CAs that certmonger knows', ['getcert', 'list-cas']),
    fileEvidence(
      'certmonger/certmonger.conf',
      "certmonger's configuration",
      '/etc/certmonger/certmonger.conf',
      { form: 'fields' },
    ),
    ...stored.flat(),
  ];
}

/** The PINs and challenge passwords that certmonger keeps. */
export async function certmongerSecrets(): Promise<string[]> {
  const folders = [`${STORE}/requests`, `${STORE}/cas`];
  const files = await Promise.all(
    folders.map(async (folder) => (await readdir(folder).catch(() => [])).map((name) => `${folder}/${name}`)),
  );
  const texts = await Promise.all(files.flat().map((file) => textIfThere(file)));
  return texts.flatMap(secretFieldsOf);
}
