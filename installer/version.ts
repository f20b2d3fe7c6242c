import { readFileSync } from 'node:fs';

/** Where package.json lies: beside `installer/` in a checkout, beside `dist/` when compiled. */
const PLACES = ['../package.json', '../../package.json'];

/** The version of Capstan, from its package.json. */
export function version(): string {
  for (const place of PLACES) {
    try {
      return JSON.parse(readFileSync(new URL(place, import.meta.url), 'utf8')).version;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
  throw new Error('package.json is missing beside the program');
}
