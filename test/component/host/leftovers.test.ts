import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { openHost } from '../../../src/host/host.ts';
import { clearLeftovers, startGuard } from '../../../src/host/leftovers.ts';
import { noLog } from '../../../src/host/log.ts';

/** The processes that bear the mark of a run. */
function marked(runId: string): string[] {
  return readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    try {
      return readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0').includes(`CAPSTAN_RUN=${runId}`);
    } catch {
      return false;
    }
  });
}

/** Starts a run, waits until its program works, and kills it. */
async function killedRun(guarded: boolean) {
  const runId = randomUUID();
  const run = spawn(
    process.execPath,
    [join(import.meta.dirname, 'killed-run.ts'), runId, guarded ? 'guarded' : ''],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const [path] = await once(run.stdout, 'data');
  const folder = String(path).trim();
  expect(marked(runId).length).toBeGreaterThanOrEqual(2);
  expect(existsSync(folder)).toBe(true);
  run.kill('SIGKILL');
  await once(run, 'exit');
  return { runId, folder };
}

describe('a run that is killed', () => {
  it('has a guard that ends its programs, deaf ones too, and removes its secrets', async () => {
    const { runId, folder } = await killedRun(true);
    const until = performance.now() + 15_000;
    while ((existsSync(folder) || marked(runId).length > 0) && performance.now() < until) await pause(100);
    expect(marked(runId)).toEqual([]);
    expect(existsSync(folder)).toBe(false);
  }, 30_000);

  it('without a guard leaves them to the next run, which leaves everybody else alone', async () => {
    const { runId, folder } = await killedRun(false);
    const other = spawn('sleep', ['60'], { env: { CAPSTAN_RUN: `${runId}0` } });
    const strangers = [`/run/capstan-${process.pid}-stays`, '/run/capstan-rehearsal-stays'];
    for (const stranger of strangers) mkdirSync(stranger);
    try {
      const host = openHost(noLog, undefined, { runId: randomUUID() });
      await clearLeftovers(host, [runId]);
      expect(marked(runId)).toEqual([]);
      expect(existsSync(folder)).toBe(false);
      expect(marked(`${runId}0`)).toEqual([String(other.pid)]);
      for (const stranger of strangers) expect(existsSync(stranger)).toBe(true);
      await clearLeftovers(host, []);
      await clearLeftovers(host, [runId]);
    } finally {
      other.kill();
      for (const stranger of strangers) rmSync(stranger, { recursive: true });
    }
  }, 30_000);
});

it('a guard that is released does nothing, and is gone', async () => {
  const runId = randomUUID();
  const bystander = spawn('sleep', ['60'], { env: { CAPSTAN_RUN: runId } });
  try {
    await startGuard(runId).release();
    expect(bystander.exitCode).toBeNull();
    expect(marked(runId)).toEqual([String(bystander.pid)]);
  } finally {
    bystander.kill();
  }
});
