import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, statfsSync, statSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { withPrivateFolder } from '../../../src/secret/private-file.ts';
import { Secret } from '../../../src/secret/secret.ts';

const mode = (path: string) => statSync(path).mode & 0o777;

describe('withPrivateFolder', () => {
  it('keeps a secret in memory, for its owner alone, and removes it', async () => {
    const seen = await withPrivateFolder(async (folder) => {
      const path = folder.write('pin', new Secret('Secret.123', 'token password'));
      expect(readFileSync(path, 'utf8')).toBe('Secret.123');
      expect([mode(folder.path), mode(path)]).toEqual([0o700, 0o600]);
      expect([0x01021994, 0x858458f6]).toContain(statfsSync(path).type);
      return folder.path;
    });
    expect(existsSync(seen)).toBe(false);
  });

  it('removes it when the work fails', async () => {
    let seen = '';
    const work = withPrivateFolder(async (folder) => {
      seen = folder.path;
      folder.write('pin', 'x');
      throw new Error('no');
    });
    await expect(work).rejects.toThrow('no');
    expect(seen).not.toBe('');
    expect(existsSync(seen)).toBe(false);
  });

  it('lets the named owner read, and no other user', async () => {
    const owner = { uid: 65534, gid: 65534 };
    await withPrivateFolder(async (folder) => {
      const path = folder.write('pin', 'x');
      const readAs = (uid: number) =>
        execFileSync('cat', [path], { uid, gid: uid, stdio: 'pipe' }).toString();
      expect(readAs(65534)).toBe('x');
      expect(() => readAs(65533)).toThrow('Permission denied');
    }, owner);
  });

  it('neither overwrites a file nor follows a link', async () => {
    await withPrivateFolder(async (folder) => {
      folder.write('pin', 'x');
      expect(() => folder.write('pin', 'y')).toThrow('EEXIST');
      symlinkSync('/dev/null', join(folder.path, 'link'));
      expect(() => folder.write('link', 'y')).toThrow('EEXIST');
    });
  });

  it('removes it when the program exits in the middle', () => {
    const code = `import { withPrivateFolder } from './src/secret/private-file.ts';
      await withPrivateFolder(async (folder) => {
        folder.write('pin', 'x');
        process.stdout.write(folder.path, () => process.exit(3));
        await new Promise((resolve) => setTimeout(resolve, 10_000));
      });`;
    let path = '';
    try {
      execFileSync(process.execPath, ['--input-type=module', '-e', code], { stdio: 'pipe' });
    } catch (error) {
      path = String((error as { stdout: Buffer }).stdout);
    }
    expect(path).toMatch(/capstan-/);
    expect(existsSync(path)).toBe(false);
  });
});
