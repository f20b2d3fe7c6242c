import { readdir } from 'node:fs/promises';
import { certmongerSecrets } from '../../certmonger/evidence.ts';
import { directorySecrets } from '../../directory/evidence.ts';
import { INSTANCE } from '../../dogtag/certificates.ts';
import { dogtagSecrets, passwordsOf } from '../../dogtag/evidence.ts';
import { textIfThere } from '../../host/evidence.ts';
import { secretFieldsOf } from '../../secret/fields.ts';
import { PRIVATE_PARENTS } from '../../secret/private-file.ts';
import { forgetSecret, hideSecret } from '../../secret/redaction.ts';

/**
 * Hides every secret that the programs of this host keep in files while `work` goes on, wherever it turns up: a password
 * that a daemon wrote into its log, or that a trace shows.
 */
export async function withKnownSecretsHidden<Result>(work: () => Promise<Result>): Promise<Result> {
  // pkispawn's INI files double the percent sign.
  const secrets = (await knownSecrets()).flatMap((secret) => [secret, secret.replaceAll('%%', '%')]);
  for (const secret of secrets) hideSecret(secret);
  try {
    return await work();
  } finally {
    for (const secret of secrets) forgetSecret(secret);
  }
}

async function knownSecrets(): Promise<string[]> {
  const found = await Promise.all([
    dogtagSecrets(INSTANCE),
    directorySecrets(),
    certmongerSecrets(),
    leftSecrets(),
  ]);
  return [...new Set(found.flat())];
}

/**
 * What a killed run left in its private folder: files that hold one secret each, and configurations that hold several.
 */
async function leftSecrets(): Promise<string[]> {
  const folders = await Promise.all(PRIVATE_PARENTS.map(privateFolders));
  const files = await Promise.all(folders.flat().map(filesIn));
  const texts = await Promise.all(files.flat().map(textIfThere));
  // Databases and archives are no text.
  return texts.filter((text) => !/[\0\ufffd]/.test(text)).flatMap(secretsOf);
}

/** A text of one line is a secret by itself, or a password.conf with one: `internal=...`. */
function secretsOf(text: string): string[] {
  const [only, ...more] = text.split('\n').filter((line) => line.trim() !== '');
  if (more.length > 0 || only === undefined) return secretFieldsOf(text);
  return [only, ...passwordsOf(only)].filter((secret) => secret.length >= 4);
}

async function privateFolders(parent: string): Promise<string[]> {
  const names = await readdir(parent).catch(() => []);
  return names.filter((name) => name.startsWith('capstan-')).map((name) => `${parent}/${name}`);
}

async function filesIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true, recursive: true }).catch(() => []);
  return entries.filter((entry) => entry.isFile()).map((entry) => `${entry.parentPath}/${entry.name}`);
}
