import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { openLog } from '../../../src/host/log.ts';
import { Secret } from '../../../src/secret/secret.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'capstan-log-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const mode = (path: string) => statSync(path).mode & 0o777;

it('adds to a file that only its owner can read, keeps the lines of an entry together, and tells no secret', () => {
  const path = join(folder, 'deep', 'log');
  new Secret('Sentinel.log', 'test');
  for (const text of ['one', 'two\nlines with Sentinel.log']) {
    const log = openLog(path);
    log.write(text);
    log.close();
    log.write('too late');
  }
  expect(readFileSync(path, 'utf8').replaceAll(/^20\S+Z /gm, '')).toBe('one\ntwo\n    lines with [secret]\n');
  expect(mode(path)).toBe(0o600);
});

it('takes the rights of others from a file that was there', () => {
  const path = join(folder, 'log');
  writeFileSync(path, 'older\n');
  chmodSync(path, 0o644);
  openLog(path).close();
  expect(mode(path)).toBe(0o600);
  expect(readFileSync(path, 'utf8')).toBe('older\n');
});

const unusable = expect.objectContaining({ code: 'log-file-unusable', exit: 2 });

it('is no device, whose rights stay as they are', () => {
  expect(() => openLog('/dev/null')).toThrow(unusable);
  expect(mode('/dev/null')).toBe(0o666);
});

it('is no pipe, which is not waited for', () => {
  const path = join(folder, 'pipe');
  execFileSync('mkfifo', [path]);
  expect(() => openLog(path)).toThrow(unusable);
});

it('is no folder and no symbolic link', () => {
  const path = join(folder, 'link');
  symlinkSync('/etc/passwd', path);
  expect(() => openLog(path)).toThrow(unusable);
  expect(() => openLog(folder)).toThrow(unusable);
});

it('on a full disk goes on, and later tells of the gap', () => {
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', folder]);
  try {
    const log = openLog(join(folder, 'log'));
    log.write('before');
    execFileSync('sh', ['-c', 'dd if=/dev/zero of="$0/filler" bs=1k count=100 2>/dev/null || true', folder]);
    log.write('x'.repeat(8192));
    log.write('y'.repeat(8192));
    rmSync(join(folder, 'filler'));
    log.write('after');
    log.close();
    const lines = readFileSync(join(folder, 'log'), 'utf8').split('\n');
    expect(lines[0]).toMatch(/ before$/);
    expect(lines.at(-3)).toMatch(/^\S+Z [12] entries are missing here/);
    expect(lines.at(-2)).toMatch(/ after$/);
  } finally {
    execFileSync('umount', [folder]);
  }
});
