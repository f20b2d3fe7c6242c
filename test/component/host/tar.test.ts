/** The archives, judged by tar(1). */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type TarFile, tarBlocks } from '../../../src/host/tar.ts';

function archive(files: TarFile[]): Buffer {
  return Buffer.concat([...tarBlocks(files)]);
}

function listed(files: TarFile[]): string[] {
  const options = ['--list', '--verbose', '--full-time', '--utc', '--quoting-style=literal'];
  return execFileSync('tar', options, { input: archive(files), encoding: 'utf8', env: { LC_ALL: 'C.UTF-8' } })
    .split('\n')
    .filter(Boolean);
}

const modified = new Date('2026-11-22T06:23:40Z');

test('files have their time, belong to root and nobody else may read them', () => {
  expect(listed([{ path: 'a/b.log', content: Buffer.from('hello'), modified }])).toEqual([
    '-rw------- root/root         5 2026-11-22 06:23:40 a/b.log',
  ]);
});

test('long names and names in other alphabets arrive as they are', () => {
  const paths = [
    `${'folder/'.repeat(30)}file`,
    'é'.repeat(60),
    `${'x'.repeat(99)}é`,
    'x'.repeat(100),
    'x'.repeat(101),
  ];
  const lines = listed(paths.map((path) => ({ path, content: Buffer.alloc(0), modified })));
  expect(lines.map((line) => line.replace(/^.*\d\d:\d\d:\d\d /, ''))).toEqual(paths);
});

test('property: contents of any length come back, byte by byte', () => {
  const folder = mkdtempSync(join(tmpdir(), 'capstan-tar-'));
  const contents = fc.array(fc.uint8Array({ maxLength: 1600 }), { minLength: 1, maxLength: 5 });
  try {
    fc.assert(
      fc.property(contents, (found) => {
        const files = found.map((content, index) => ({
          path: `${'d'.repeat(95 + index)}/${index}`,
          content: Buffer.from(content),
          modified,
        }));
        const all = execFileSync('tar', ['--extract', '--to-stdout'], { input: archive(files), cwd: folder });
        expect(all.equals(Buffer.concat(files.map(({ content }) => content)))).toBe(true);
      }),
      { numRuns: 30 },
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
});
