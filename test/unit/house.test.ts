import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { COMMANDS } from '../../installer/commands.ts';

const HOME = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const DOMAINS = ['dogtag', 'directory', 'certmonger', 'hsm'];
const GROUND = ['host', 'secret', 'errors.ts', 'names'];

/** What each folder may import besides itself. The lab rehearses the product; no flow may need it. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  installer: ['flow', 'plan', 'health', 'lab', 'version.ts', ...GROUND],
  flow: ['plan', 'health', 'root', 'external', 'version.ts', ...DOMAINS, ...GROUND],
  health: [...DOMAINS, ...GROUND],
  root: GROUND,
  external: ['root', ...GROUND],
  plan: GROUND,
  lab: GROUND,
  ...Object.fromEntries(DOMAINS.map((domain) => [domain, GROUND])),
  host: ['secret', 'errors.ts', 'names'],
  secret: ['host', 'errors.ts', 'names'],
  'errors.ts': [],
  'version.ts': ['host'],
  names: ['errors.ts'],
};

function sources(...folders: string[]): string[] {
  return folders.flatMap((folder) =>
    existsSync(join(HOME, folder))
      ? readdirSync(join(HOME, folder), { recursive: true, encoding: 'utf8' })
          .filter((name) => name.endsWith('.ts') || name.endsWith('.mjs'))
          .map((name) => join(folder, name))
      : [],
  );
}

function read(file: string): string {
  return readFileSync(join(HOME, file), 'utf8');
}

/** The room of the house that a file is in: `installer`, `flow`, `errors.ts`. */
function roomOf(file: string): string {
  const [top = '', second = ''] = file.split('/');
  return top === 'src' ? second : top;
}

/** The project's files that a file imports, in any form, with `..` resolved. */
function importsOf(file: string): string[] {
  const found = read(file).matchAll(/(?:\bfrom|\bimport)\s*\(?\s*['"](\.[^'"]+)['"]/g);
  return [...found].map(([, path = '']) => normalize(join(dirname(file), path)));
}

/** The exported functions and types of a file that have no doc comment right before them. */
function undocumented(file: string): string[] {
  const lines = read(file).split('\n');
  return lines.flatMap((line, index) => {
    const name = /^export (?:async function|function\*?|class|interface|type) (\w+)/.exec(line)?.[1];
    return name && !lines[index - 1]?.trimEnd().endsWith('*/') ? [`${file}: ${name}`] : [];
  });
}

describe('the house', () => {
  const house = sources('installer', 'src');

  test('there is something to look at', () => {
    expect(house.length).toBeGreaterThan(5);
    expect(house.flatMap(importsOf).length).toBeGreaterThan(5);
  });

  test('every room is known', () => {
    const rooms = new Set(house.map(roomOf));
    expect([...rooms].filter((room) => !(room in MAY_IMPORT))).toEqual([]);
  });

  test('imports run one way', () => {
    const wrong = house.flatMap((file) =>
      importsOf(file)
        .filter(
          (target) => roomOf(target) !== roomOf(file) && !MAY_IMPORT[roomOf(file)]?.includes(roomOf(target)),
        )
        .map((target) => `${file} imports ${target}`),
    );
    expect(wrong).toEqual([]);
  });

  test('relative imports name a file that is there, with its ending', () => {
    const wrong = house.flatMap((file) =>
      importsOf(file)
        .filter((target) => !target.endsWith('.ts') || !existsSync(join(HOME, target)))
        .map((target) => `${file} imports ${target}`),
    );
    expect(wrong).toEqual([]);
  });

  test('nothing in src prints', () => {
    const printing = /\bconsole\.(log|error|warn|info|debug|table|trace|dir)\(|\bprocess\.(stdout|stderr)\b/;
    // The process that loads a PKCS#11 library answers its parent, which is no terminal.
    const answering = join('src', 'hsm', 'module-child.ts');
    const wrong = sources('src').filter((file) => file !== answering && printing.test(read(file)));
    expect(wrong).toEqual([]);
  });

  test('no file is longer than 400 lines', () => {
    const all = [...house, ...sources('scripts')];
    const long = all.filter((file) => read(file).trimEnd().split('\n').length > 400);
    expect(long).toEqual([]);
  });

  test('every exported function and type has a doc comment', () => {
    expect([...house, ...sources('scripts')].flatMap(undocumented)).toEqual([]);
  });

  test('the word TODO is not in what is shipped', () => {
    const left = house.filter((file) => /\b(TODO|FIXME|XXX)\b/.test(read(file)));
    expect(left.map((file) => relative('.', file))).toEqual([]);
  });

  test("the README's table has every command", () => {
    const table = read('README.md');
    const missing = COMMANDS.filter(({ name, hidden }) => !hidden && !table.includes(`| \`capstan ${name}`));
    expect(missing.map(({ name }) => name)).toEqual([]);
  });
});
