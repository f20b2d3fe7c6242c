import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { debianMirror, machineMirror, parseDeb822, parseOneLine } from '../../../src/lab/mirror.ts';

describe('the one-line format', () => {
  test('gives address, suite and components of binary sources', () => {
    const text = `
# deb http://old.example/debian bookworm main
deb [arch=amd64 signed-by=/usr/share/keyrings/x.gpg] http://mirror.example/debian/ bookworm main contrib # ours
deb-src http://mirror.example/debian bookworm main
deb http://add.on/repo ./`;
    expect(parseOneLine(text)).toEqual([
      { uri: 'http://mirror.example/debian/', suite: 'bookworm', components: ['main', 'contrib'] },
      { uri: 'http://add.on/repo', suite: './', components: [] },
    ]);
  });
});

describe('the deb822 format', () => {
  test('gives every address with every suite', () => {
    const text = `Types: deb deb-src
# a comment
URIs: http://a.example/debian
  http://b.example/debian
Suites: bookworm bookworm-updates
Components: main`;
    expect(parseDeb822(text)).toEqual(
      ['http://a.example/debian', 'http://b.example/debian'].flatMap((uri) =>
        ['bookworm', 'bookworm-updates'].map((suite) => ({ uri, suite, components: ['main'] })),
      ),
    );
  });

  test('leaves out sources that are disabled, and source packages', () => {
    const disabled = 'Types: deb\nURIs: http://a/debian\nSuites: x\nComponents: main\nEnabled: no\n';
    const sources = 'Types: deb-src\nURIs: http://a/debian\nSuites: x\nComponents: main\n';
    expect(parseDeb822(`${disabled}\n${sources}`)).toEqual([]);
  });
});

describe('the Debian archive among the sources', () => {
  const source = (uri: string, suite = 'bookworm', components = ['main']) => ({ uri, suite, components });

  test('is the first with main that is neither security nor an add-on', () => {
    expect(
      debianMirror([
        source('https://vendor.example.org/node_24.x', 'nodistro'),
        source('http://m.example/debian-security', 'bookworm-security'),
        source('http://m.example/debian', 'bookworm', ['contrib']),
        source('http://m.example/debian', 'bookworm-backports'),
        source('https://m.example/debian/'),
        source('http://second.example/debian'),
      ]),
    ).toBe('https://m.example/debian');
  });

  test("is the one with a release's updates where a vendor's archive looks the same", () => {
    expect(
      debianMirror([
        source('https://vendor.example/stable/debian'),
        source('http://m.example/debian'),
        source('http://m.example/debian/', 'bookworm-updates'),
      ]),
    ).toBe('http://m.example/debian');
  });

  test('is unknown where there is none', () => {
    expect(debianMirror([source('http://archive.ubuntu.com/ubuntu', 'noble')])).toBeUndefined();
  });
});

describe('the apt configuration of a machine', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'apt-'));
    await mkdir(join(folder, 'sources.list.d'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  test('is read in both formats, sources.list first', async () => {
    const deb822 = 'Types: deb\nURIs: http://late/debian\nSuites: bookworm\nComponents: main\n';
    await writeFile(join(folder, 'sources.list.d/debian.sources'), deb822);
    expect(await machineMirror(folder)).toBe('http://late/debian');
    await writeFile(join(folder, 'sources.list'), 'deb http://early/debian bookworm main\n');
    expect(await machineMirror(folder)).toBe('http://early/debian');
  });

  test('does not count files that apt ignores', async () => {
    await writeFile(
      join(folder, 'sources.list.d/debian.list.save'),
      'deb http://saved/debian bookworm main\n',
    );
    await expect(machineMirror(folder)).rejects.toMatchObject({ code: 'mirror-unknown', exit: 2 });
  });
});
