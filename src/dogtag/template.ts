import { readFileSync } from 'node:fs';
import { assetPath } from '../host/assets.ts';
import { type ConfigEntry, parseConfig } from '../host/configparser.ts';

/**
 * The keys of one of the deployment configuration's templates, in the order of the file.
 * @param name the file name in `templates/`: `ca.cfg`
 * @throws CapstanError `installation-incomplete`, `config-syntax`
 */
export function readTemplate(name: string): ConfigEntry[] {
  const path = assetPath(`templates/${name}`);
  return parseConfig(readFileSync(path, 'utf8'), path);
}
