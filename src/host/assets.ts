import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { failure } from '../errors.ts';

/**
 * The path of a data file that comes with Capstan (`schema/…`, `templates/…`): at the root of a checkout, and
 * beside `dist/` in a bundle; looked for upwards from here.
 * @throws CapstanError `installation-incomplete`
 */
export function assetPath(name: string): string {
  for (const up of ['../..', '../../..']) {
    const path = fileURLToPath(new URL(`${up}/${name}`, import.meta.url));
    if (existsSync(path)) return path;
  }
  throw failure(
    'installation-incomplete',
    `Capstan's own file ${name} is not where Capstan is installed.`,
    'Install Capstan again from its bundle.',
  );
}
