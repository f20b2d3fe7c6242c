import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { lockHolder, takeLock, withLock } from '../../../src/host/lock.ts';

const name = `lock test ${process.pid}`;

test('work under one name never runs at the same time', async () => {
  let running = 0;
  let most = 0;
  const work = async () => {
    most = Math.max(most, ++running);
    await new Promise((resolve) => setTimeout(resolve, 20));
    running--;
  };
  await Promise.all([withLock(name, work), withLock(name, work), withLock(name, work)]);
  expect(most).toBe(1);
});

test('the lock is free again after work that threw', async () => {
  await expect(withLock(name, () => Promise.reject(new Error('no')))).rejects.toThrow('no');
  expect(await withLock(name, async () => 'done')).toBe('done');
});

test('the lock of a killed process is free at once; until then the waiter is told', async () => {
  const module = new URL('../../../src/host/lock.ts', import.meta.url).href;
  const program = `
    const { withLock } = await import(${JSON.stringify(module)});
    await withLock(${JSON.stringify(name)}, async () => {
      process.stdout.write('held');
      await new Promise((resolve) => setTimeout(resolve, 60_000));
    });`;
  const holder = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(holder.stdout, 'data');
  const told: string[] = [];
  const waiter = withLock(name, async () => told.push('mine'), {
    onWait: () => {
      told.push('waiting');
      holder.kill('SIGKILL');
    },
  });
  await waiter;
  expect(told).toEqual(['waiting', 'mine']);
});

test('a wait ends when the run is ended', async () => {
  const end = new AbortController();
  await withLock(name, async () => {
    const waiter = withLock(name, async () => 'done', { signal: end.signal, onWait: () => end.abort() });
    await expect(waiter).rejects.toMatchObject({ code: 'interrupted', exit: 130 });
  });
});

test('a holder says who it is, on one short line; nobody says nothing', async () => {
  expect(await lockHolder(name)).toBe('');
  const lock = await takeLock(name, `rehearsal\n${'x'.repeat(500)}`);
  expect(await takeLock(name)).toBeUndefined();
  const words = await lockHolder(name);
  expect(words).toMatch(/^rehearsal x+$/);
  expect(words).toHaveLength(200);
  await lock?.release();
});
