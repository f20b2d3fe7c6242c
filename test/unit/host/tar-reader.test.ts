import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type TarFile, tarBlocks } from '../../../src/host/tar.ts';
import { readTar } from '../../../src/host/tar-reader.ts';

const LIMITS = { files: 10, bytes: 1024 * 1024 };
const modified = new Date('2026-11-22T06:23:40Z');

function file(path: string, content = ''): TarFile {
  return { path, content: Buffer.from(content), modified };
}

function written(...files: TarFile[]): Buffer {
  return Buffer.concat([...tarBlocks(files)]);
}

/** The archive with another word at this place of its first header, and the sum made right again. */
function forged(archive: Buffer, at: number, word: string): Buffer {
  const copy = Buffer.from(archive);
  copy.write(word, at, 'latin1');
  copy.fill(' ', 148, 156);
  const sum = copy.subarray(0, 512).reduce((total, byte) => total + byte, 0);
  copy.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return copy;
}

const refused = (archive: Buffer, why: string, limits = LIMITS) =>
  expect(() => readTar(archive, limits)).toThrow(
    expect.objectContaining({ code: 'archive-invalid', message: expect.stringContaining(why) }),
  );

test('property: what was written is read', () => {
  const contents = fc.array(fc.uint8Array({ maxLength: 1600 }), { maxLength: 10 });
  fc.assert(
    fc.property(contents, (found) => {
      const files = found.map((content, index) => ({
        path: index % 2 ? `folder/${index}.object` : `${index}`,
        content: Buffer.from(content),
        modified,
      }));
      expect(readTar(written(...files), LIMITS)).toEqual(files);
    }),
  );
});

describe('a path', () => {
  test.each(['../x', '/etc/x', 'a/../x', 'a/b/c', 'a//b', 'a/', '.x', 'a/.x', '..', 'a b', 'a\\b'])(
    '%j is refused',
    (path) => refused(written(file(path)), 'must not be in it'),
  );

  test('that the header cannot hold is refused', () => {
    refused(written(file('x'.repeat(101))), 'not a regular file');
    refused(written(file('ä')), 'not a regular file');
  });

  test('that is in it twice is refused', () => refused(written(file('a'), file('a')), 'twice'));
});

describe('a member', () => {
  const archive = written(file('a', 'content'));

  test.each([
    ['hard link', '1'],
    ['symbolic link', '2'],
    ['character device', '3'],
    ['folder', '5'],
    ['pipe', '6'],
    ['extended header', 'x'],
    ['long name of GNU', 'L'],
    ['file of the old form', '\0'],
  ])('that is a %s is refused', (_, type) => refused(forged(archive, 156, type), 'not a regular file'));

  test.each([
    ['a name to link to', 157, 'target'],
    ['a prefix of its path', 345, '/etc'],
    ['another magic', 257, 'ustar  '],
    ['something behind the end of its name', 5, 'x'],
    ['another owner', 265, 'user'],
    ['a mode of its own', 100, '0004755'],
  ])('with %s is refused', (_, at, word) => {
    expect(() => readTar(forged(archive, at, word), LIMITS)).toThrow(
      expect.objectContaining({ code: 'archive-invalid' }),
    );
  });

  test('with a size beyond the end is refused', () => {
    refused(forged(archive, 124, '00000077777'), 'cut off');
    refused(forged(archive, 124, '77777777777'), 'cut off');
  });

  test('with a size that is no octal number is refused', () => {
    refused(forged(archive, 124, '-0000000007'), 'number');
    refused(forged(archive, 124, '\x80\0\0\0\0\0\0\0\0\0\0\x07'), 'number');
  });
});

describe('an archive', () => {
  test('with anything behind its end is refused', () => {
    refused(Buffer.concat([written(file('a')), Buffer.alloc(512)]), 'not of the form');
    refused(Buffer.concat([written(file('a')), written(file('b'))]), 'not of the form');
  });

  test('that is cut off is refused, wherever', () => {
    const whole = written(file('a', 'content'), file('b'));
    for (let length = 0; length < whole.length; length += 100) {
      expect(() => readTar(whole.subarray(0, length), LIMITS)).toThrow(
        expect.objectContaining({ code: 'archive-invalid' }),
      );
    }
  });

  test('with more or larger files than may be is refused', () => {
    const many = Array.from({ length: 11 }, (_, index) => file(`${index}`));
    refused(written(...many), 'more than 10 files');
    refused(written(file('a', 'x'.repeat(5000))), 'bytes', { files: 10, bytes: 4096 });
  });

  test('of tar(1) with a symbolic link is refused', () => {
    const folder = mkdtempSync(join(tmpdir(), 'capstan-tar-'));
    try {
      mkdirSync(join(folder, 'token'));
      writeFileSync(join(folder, 'token', 'token.lock'), '');
      symlinkSync('/etc/passwd', join(folder, 'token', 'token.object'));
      const names = ['token/token.lock', 'token/token.object'];
      refused(
        execFileSync('tar', ['-cf', '-', '--format=ustar', ...names], { cwd: folder }),
        'not a regular',
      );
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
