import { spawn } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openHost } from '../../../src/host/host.ts';
import { openLog } from '../../../src/host/log.ts';
import { withModule } from '../../../src/hsm/module.ts';
import { Secret } from '../../../src/secret/secret.ts';
import {
  errorOf,
  hostWithLog,
  isAlive,
  library,
  removeWorkspace,
  run,
  SOFTHSM,
  type SoftTokens,
  softTokens,
  until,
  workspace,
} from './support.ts';

const HOLD = fileURLToPath(new URL('./hold.ts', import.meta.url));
const GROUP_USER = `capstan-test-${process.pid}`;

let directory: string;
let misbehaving: string;
let tokens: SoftTokens;

beforeAll(() => {
  directory = workspace();
  misbehaving = library(directory, 'misbehaves');
  tokens = softTokens(directory, 'plain');
  tokens.add('hsm');
});
afterAll(() => removeWorkspace(directory));

/** What comes of a library that does this in C_Initialize. */
function misbehave(how: string, env: Record<string, string> = {}, host = hostWithLog(undefined, 2).host) {
  const request = { libraryPath: misbehaving, env: { MISBEHAVE: how, ...env } };
  return errorOf(withModule(host, request, async () => 'never'));
}

/** The process ids of everything in the session of a module process. */
function sessionOf(pid: number): number[] {
  return run('ps', ['-o', 'pid=', '-s', String(pid)])
    .trim()
    .split(/\s+/)
    .map(Number);
}

describe('a library that cannot be loaded', () => {
  const open = (libraryPath: string, user?: string) =>
    errorOf(withModule(hostWithLog().host, { libraryPath, ...(user && { user }) }, async () => 'never'));

  test('is missing: the part of the path that is not there is named', async () => {
    const error = await open(join(directory, 'nothing', 'lib.so'));
    expect(error).toMatchObject({ code: 'module-missing', exit: 2 });
    expect(error.message).toContain(`${join(directory, 'nothing')} is missing`);
  });

  test('is a directory', async () => {
    expect(await open(directory)).toMatchObject({ code: 'module-not-file' });
  });

  test('is a text file: the loader’s reason is told', async () => {
    const path = join(directory, 'text.so');
    writeFileSync(path, 'This is a text, and long enough to be no short file either. '.repeat(9));
    const error = await open(path);
    expect(error.code).toBe('module-load-failed');
    expect(error.message).toContain('invalid ELF header');
  });

  test('is a library without C_GetFunctionList', async () => {
    expect(await open(library(directory, 'no-pkcs11'))).toMatchObject({ code: 'module-not-pkcs11' });
  });

  test('lies behind a directory that the user may not enter', async () => {
    const closed = join(directory, 'closed');
    mkdirSync(closed);
    const path = join(closed, 'lib.so');
    writeFileSync(path, '');
    chmodSync(closed, 0o700);
    const error = await open(path, 'nobody');
    expect(error).toMatchObject({ code: 'module-unreadable', exit: 2 });
    expect(error.message).toMatch(`as user nobody: the user may not enter ${closed}.`);
  });

  test('may not be read by the user', async () => {
    const path = join(directory, 'private.so');
    writeFileSync(path, '', { mode: 0o600 });
    expect((await open(path, 'nobody')).message).toContain('may not read the file');
  });

  test('is for a user who does not exist', async () => {
    expect(await open(SOFTHSM, 'no-such-user')).toMatchObject({ code: 'user-missing', exit: 2 });
  });
});

describe('a library that misbehaves', () => {
  test.each(['hang', 'hang-deaf'])('that does not return (%s) is ended at the deadline', async (how) => {
    const started = performance.now();
    const error = await misbehave(how);
    expect(error.code).toBe('module-hangs');
    expect(error.message).toContain(`${misbehaving} did not return within 2 s in C_Initialize`);
    expect(performance.now() - started).toBeLessThan(4000);
  });

  test('that crashes is told with the signal and the function', async () => {
    const error = await misbehave('crash');
    expect(error.code).toBe('module-crashed');
    expect(error.message).toContain('crashed (SIGSEGV) in C_Initialize');
  });

  test('that ends its process is told with the exit code', async () => {
    expect((await misbehave('exit')).message).toContain('ended its process (exit code 3) in C_Initialize');
  });

  test('that prints is heard in the log, without the secret, and its last line explains the error', async () => {
    const secret = new Secret('Printed-Secret-9', 'token password');
    const path = join(directory, 'test.log');
    const error = await misbehave('print', { PRINTED: secret.reveal() }, openHost(openLog(path)));
    expect(error.code).toBe('module-init-failed');
    const log = readFileSync(path, 'utf8');
    expect(log).toContain('trying with pin [secret]');
    expect(log).toContain('cannot reach the appliance with [secret]');
    expect(error.message).toMatch(/It printed: .* \[secret\]$/);
    expect(log + error.message).not.toContain(secret.reveal());
  });

  test('takes the helpers it started along when it ends', async () => {
    const file = join(directory, 'helper.pid');
    expect((await misbehave('helper', { HELPER_PID: file })).code).toBe('module-init-failed');
    const pid = Number(readFileSync(file, 'utf8'));
    expect(pid).toBeGreaterThan(1);
    await until(() => !isAlive(pid));
  });

  test('is ended when the run is interrupted', async () => {
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 300);
    const error = await misbehave('hang', {}, hostWithLog(controller.signal).host);
    expect(error).toMatchObject({ code: 'module-interrupted', exit: 130 });
  });

  test.each(['hang', 'hang-deaf'])('dies with its parent (%s)', async (how) => {
    const parent = spawn(process.execPath, [HOLD, misbehaving, how], { stdio: 'ignore' });
    const children = () =>
      readFileSync(`/proc/${parent.pid}/task/${parent.pid}/children`, 'utf8')
        .trim()
        .split(' ')
        .filter(Boolean);
    // The library is mapped by the time it hangs.
    await until(() =>
      children().some((pid) => readFileSync(`/proc/${pid}/maps`, 'utf8').includes('misbehaves.so')),
    );
    const all = children().flatMap((pid) => sessionOf(Number(pid)));
    expect(all.length).toBeGreaterThanOrEqual(2);
    parent.kill('SIGKILL');
    await until(() => !all.some(isAlive));
  });
});

describe('the module process', () => {
  const request = () => ({ libraryPath: SOFTHSM, env: tokens.env });

  test('runs apart: own session, clean environment, root directory, no core file', async () => {
    await withModule(hostWithLog().host, request(), async ({ pid }) => {
      const proc = `/proc/${pid}`;
      const names = readFileSync(`${proc}/environ`, 'utf8')
        .split('\0')
        .filter(Boolean)
        .map((entry) => entry.split('=')[0]);
      const expected = [
        'CAPSTAN_RUN',
        'LANG',
        'NODE_CHANNEL_FD',
        'NODE_CHANNEL_SERIALIZATION_MODE',
        'PATH',
        'SOFTHSM2_CONF',
      ];
      // A shell sets PWD and a few of its own.
      expect(names.filter((name) => !['PWD', 'OLDPWD', 'SHLVL', '_'].includes(name ?? '')).sort()).toEqual(
        expected,
      );
      expect(run('readlink', [`${proc}/cwd`]).trim()).toBe('/');
      expect(readFileSync(`${proc}/limits`, 'utf8')).toMatch(/Max core file size\s+0 /);
      expect(run('ps', ['-o', 'sid=', '-p', String(pid)]).trim()).toBe(String(pid));
    });
  });

  test('is gone afterwards, with all that came with it', async () => {
    const pids = await withModule(hostWithLog().host, request(), async ({ pid }) => sessionOf(pid ?? 0));
    expect(pids.length).toBeGreaterThanOrEqual(2);
    await until(() => !pids.some(isAlive));
  });

  test('is gone when the work throws', async () => {
    let seen = 0;
    const work = withModule(hostWithLog().host, request(), async ({ pid }) => {
      seen = pid ?? 0;
      throw new Error('the work failed');
    });
    await expect(work).rejects.toThrow('the work failed');
    await until(() => !isAlive(seen));
  });

  test('never shows the PIN in its arguments or its environment', async () => {
    const secret = new Secret('Looked-For-3', 'token password');
    await withModule(hostWithLog().host, request(), async (module) => {
      const token = (await module.tokens()).find(({ label }) => label === 'hsm');
      expect((await errorOf(module.login(token?.slot ?? -1, secret))).code).toBe('pin-incorrect');
      for (const file of ['cmdline', 'environ']) {
        expect(readFileSync(`/proc/${module.pid}/${file}`, 'utf8')).not.toContain(secret.reveal());
      }
    });
  });
});

describe('the user of the module process', () => {
  beforeAll(() => {
    run('groupadd', [`${GROUP_USER}-hsm`]);
    run('useradd', ['--no-create-home', '--groups', `${GROUP_USER}-hsm`, GROUP_USER]);
  });
  afterAll(() => {
    run('userdel', [GROUP_USER]);
    run('groupdel', [`${GROUP_USER}-hsm`]);
  });

  test('has all its groups, and reaches a token that only a supplementary group opens', async () => {
    const store = softTokens(directory, 'grouped');
    store.add('grouped');
    run('chgrp', ['-R', `${GROUP_USER}-hsm`, store.directory]);
    run('chmod', ['-R', 'u=rwX,g=rwX,o=', store.directory]);
    const request = { libraryPath: SOFTHSM, env: store.env };

    const ids = [`${GROUP_USER}-hsm`, GROUP_USER].map((name) => run('getent', ['group', name]).split(':')[2]);
    const uid = run('id', ['-u', GROUP_USER]).trim();
    await withModule(hostWithLog().host, { ...request, user: GROUP_USER }, async (module) => {
      const status = readFileSync(`/proc/${module.pid}/status`, 'utf8');
      expect(status).toMatch(new RegExp(`^Uid:(\\s+${uid}){4}$`, 'm'));
      expect(status).toMatch(new RegExp(`^Gid:(\\s+${ids[1]}){4}$`, 'm'));
      const groups = /^Groups:(.*)$/m.exec(status)?.[1]?.trim().split(' ').sort();
      expect(groups).toEqual([...ids].sort());
      expect(status).toMatch(/^CapEff:\s+0+$/m);
      expect((await module.tokens()).map(({ label }) => label)).toContain('grouped');
    });

    const outsider = await errorOf(
      withModule(hostWithLog().host, { ...request, user: 'nobody' }, async () => 'never'),
    );
    expect(outsider.code).toBe('module-init-failed');
    expect(outsider.message).toContain('as user nobody');
    expect(outsider.next).toContain('the groups it needs');
  });
});
