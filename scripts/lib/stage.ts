/** What goes into the bundle: the production packages of the lock file, without what only their authors need. */
import { cpSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { basename, dirname, extname, join, relative } from 'node:path';
import { failure } from '../../src/errors.ts';
import { HOME } from './task.ts';

interface LockedPackage {
  version: string;
  dev?: boolean;
  devOptional?: boolean;
  optional?: boolean;
  peer?: boolean;
}

const AUTHORS_FOLDERS = new Set([
  'test',
  'tests',
  '__tests__',
  'example',
  'examples',
  'docs',
  'doc',
  'benchmark',
]);
const AUTHORS_FILES = new Set([
  '.ts',
  '.mts',
  '.cts',
  '.map',
  '.md',
  '.markdown',
  '.flow',
  '.yml',
  '.coffee',
]);
/** What single packages bring that a program never loads: the sources of addons. */
const UNUSED: Readonly<Record<string, readonly string[]>> = {
  pkcs11js: ['src', 'includes', 'build', 'binding.gyp'],
};

/** The paths (`node_modules/x`) of the packages that the program needs when it runs, as the lock file names them. */
export function productionPackages(): string[] {
  const lock = JSON.parse(readFileSync(join(HOME, 'package-lock.json'), 'utf8'));
  return Object.entries(lock.packages as Record<string, LockedPackage>)
    .filter(
      ([path, entry]) => path !== '' && !entry.dev && !entry.devOptional && !entry.optional && !entry.peer,
    )
    .map(([path]) => path)
    .sort();
}

/**
 * Copies the production packages into `folder`.
 * @throws CapstanError `package-missing` when node_modules does not hold what the lock file names
 */
export function stagePackages(folder: string): void {
  for (const path of productionPackages()) {
    const from = join(HOME, path);
    if (!existsSync(from)) {
      throw failure('package-missing', `${path} is in package-lock.json, but not installed.`, 'Run npm ci.');
    }
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    cpSync(from, join(folder, path), {
      recursive: true,
      filter: (file) => needed(basename(path), from, file),
    });
  }
}

function needed(name: string, root: string, file: string): boolean {
  const inside = relative(root, file);
  const top = inside.split('/')[0] ?? '';
  if (inside === '') return true;
  // Nested packages have lock entries of their own and are copied by these.
  if (top === 'node_modules' || top.startsWith('.')) return false;
  if (AUTHORS_FOLDERS.has(top) || UNUSED[name]?.includes(top)) return false;
  return /^(licen[cs]e|notice|copying)/i.test(basename(file)) || !AUTHORS_FILES.has(extname(file));
}
