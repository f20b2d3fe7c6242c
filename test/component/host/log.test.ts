import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { holdLog, openLog } from '../../../src/host/log.ts';
import { Secret } from '../../../src/secret/secret.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'capstan-log-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** An entry of an earlier run. */
const OLDER = '2026-01-02T03:04:05.678Z begin server-install\n';

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
  writeFileSync(path, OLDER);
  chmodSync(path, 0o644);
  openLog(path).close();
  expect(mode(path)).toBe(0o600);
  expect(readFileSync(path, 'utf8')).toBe(OLDER);
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

it('is no file of another program, whose content and rights stay as they are', () => {
  const path = join(folder, 'passwd');
  writeFileSync(path, 'root:x:0:0\n');
  chmodSync(path, 0o644);
  expect(() => openLog(path)).toThrow(unusable);
  expect(mode(path)).toBe(0o644);
  writeFileSync(path, '');
  openLog(path).close();
});

it('is no file of another user, and none with a second name', () => {
  const path = join(folder, 'log');
  writeFileSync(path, OLDER);
  chownSync(path, 65534, 65534);
  expect(() => openLog(path)).toThrow(unusable);
  chownSync(path, 0, 0);
  linkSync(path, join(folder, 'other'));
  expect(() => openLog(path)).toThrow(unusable);
});

it.each(['', '-', 'a\nb', 'log/', '../log', 'x'.repeat(300)])('cannot be named %j', (name) => {
  expect(() => holdLog(name)).toThrow(unusable);
});

it('is not in a folder where any user can put another file in its place', () => {
  const open = join(folder, 'open');
  mkdirSync(open);
  chmodSync(open, 0o777);
  expect(() => openLog(join(open, 'log'))).toThrow(unusable);
  expect(() => openLog(join(open, 'new', 'log'))).toThrow(unusable);
  chmodSync(open, 0o1777);
  openLog(join(open, 'log')).close();
});

it('that is held leaves nothing behind unless it is kept', () => {
  const path = join(folder, 'deep', 'log');
  const refused = holdLog(path);
  refused.write('begin');
  refused.close();
  expect(existsSync(join(folder, 'deep'))).toBe(false);
  const kept = holdLog(path);
  kept.write('begin');
  kept.keep();
  kept.keep();
  kept.write('end');
  expect(readFileSync(path, 'utf8')).toMatch(/^\S+Z begin\n\S+Z end\n$/);
  kept.close();
});

it('removes the folders that it made for a file that cannot be made', () => {
  const log = holdLog(join(folder, 'deep', 'deeper', 'x'.repeat(300)));
  expect(() => log.keep()).toThrow(unusable);
  expect(existsSync(join(folder, 'deep'))).toBe(false);
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
