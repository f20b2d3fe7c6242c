import { readFileSync } from 'node:fs';
import { assetPath } from './host/assets.ts';

/** The version of Capstan, from its package.json. @throws CapstanError `installation-incomplete` */
export function version(): string {
  return JSON.parse(readFileSync(assetPath('package.json'), 'utf8')).version;
}
