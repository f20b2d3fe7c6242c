import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { CommandOptions } from '../../../src/host/command.ts';
import { openHost } from '../../../src/host/host.ts';
import { openLog } from '../../../src/host/log.ts';
import { Secret } from '../../../src/secret/secret.ts';

const folder = mkdtempSync(join(tmpdir(), 'capstan-command-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Runs a line of shell; answers what it left, or the error, with the lines of the log and the time that it took. */
async function shell(line: string, options: CommandOptions = {}, signal?: AbortSignal) {
  const path = join(folder, 'log');
  rmSync(path, { force: true });
  const begun = performance.now();
  const outcome = await openHost(openLog(path), signal)
    .run('sh', ['-c', line], options)
    .then(
      (result) => ({ result, error: undefined }),
      (error) => ({ result: undefined, error }),
    );
  const log = readFileSync(path, 'utf8').trimEnd().split('\n');
  return { ...outcome, log, seconds: (performance.now() - begun) / 1000 };
}

/** Whether a process still works; one that is dead and not yet collected does not. */
function lives(pid: string): boolean {
  const stat = `/proc/${pid.trim()}/stat`;
  return existsSync(stat) && !/\) Z /.test(readFileSync(stat, 'latin1'));
}

it('gives back output, exit code and time, and logs all of it', async () => {
  const { result, log } = await shell('cat; echo problem >&2; exit 3', { input: 'typed\n', accept: [0, 3] });
  expect(result).toMatchObject({ exitCode: 3, stdout: 'typed\n', stderr: 'problem\n' });
  expect(log).toEqual([
    expect.stringMatching(/^\S+Z run sh -c 'cat; .*'$/),
    expect.stringMatching(/^\S+Z exit 3 after [\d.]+ s: sh -c /),
    '    typed',
    '    problem',
  ]);
});

it('shows a program nothing of its own environment', async () => {
  process.env.CAPSTAN_SENTINEL = 'seen';
  const { result } = await shell('env', { env: { MORE: 'x' } });
  expect(result?.stdout).toContain('MORE=x');
  expect(result?.stdout).not.toContain('CAPSTAN_SENTINEL');
});

it('ends what the program started, too, at the deadline', async () => {
  const { error, log, seconds } = await shell('sleep 60 & echo $!; wait', { deadline: 1 });
  expect(error).toMatchObject({ code: 'command-deadline', message: expect.stringContaining('within 1 s') });
  expect(seconds).toBeLessThan(4);
  // A machine with much to do takes a moment to end what was signalled.
  await expect.poll(() => lives(log.at(-1) ?? ''), { timeout: 5000 }).toBe(false);
});

it('kills what will not listen', async () => {
  const { error, seconds } = await shell('trap "" TERM; sleep 60; sleep 60', { deadline: 1 });
  expect(error).toMatchObject({ code: 'command-deadline' });
  expect(seconds).toBeLessThan(8);
});

it('does not wait for a daemon that keeps the output of an ended program', async () => {
  const { error, log, seconds } = await shell('setsid sleep 30 & echo $!; sleep 60', { deadline: 1 });
  process.kill(Number(log.at(-1)));
  expect(error).toMatchObject({ code: 'command-deadline' });
  expect(seconds).toBeLessThan(12);
});

const FREEZER = '/sys/fs/cgroup/freezer';

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

// A process in a frozen cgroup of version 1 is as deaf to SIGKILL as one that waits for a disk that is gone.
describe.skipIf(!isWritable(FREEZER))('a program that cannot be killed', () => {
  const frozen = `${FREEZER}/capstan-command-test-${process.pid}`;
  const thaw = () => writeFileSync(`${frozen}/freezer.state`, 'THAWED');
  beforeAll(() => mkdirSync(frozen));
  afterEach(async () => {
    thaw();
    await expect.poll(() => readFileSync(`${frozen}/cgroup.procs`, 'utf8'), { timeout: 5000 }).toBe('');
  });
  afterAll(() => rmdirSync(frozen));
  const freeze = `echo $$ > ${frozen}/cgroup.procs; echo FROZEN > ${frozen}/freezer.state; sleep 60`;

  it('is left behind some seconds after its deadline', async () => {
    const { error, seconds } = await shell(freeze, { deadline: 1 });
    expect(error).toMatchObject({
      code: 'command-deadline',
      message: 'sh did not end within 1 s and cannot even be killed.',
    });
    expect(seconds).toBeLessThan(14);
  });

  it('is left behind by an interrupted run', async () => {
    const { error, seconds } = await shell(freeze, {}, AbortSignal.timeout(500));
    expect(error).toMatchObject({ code: 'command-interrupted', exit: 130 });
    expect(seconds).toBeLessThan(14);
  });
});

it('is interrupted with all that it started, with the exit code of an interruption', async () => {
  const controller = new AbortController();
  void pause(300).then(() => controller.abort());
  const { error, log, seconds } = await shell('sleep 60 & echo $!; wait', {}, controller.signal);
  expect(error).toMatchObject({ code: 'command-interrupted', exit: 130 });
  expect(seconds).toBeLessThan(4);
  expect(lives(log.at(-1) ?? '')).toBe(false);
});

it('starts nothing after an interruption', async () => {
  const file = join(folder, 'made');
  const { error } = await shell(`touch ${file}`, {}, AbortSignal.abort());
  expect(error).toMatchObject({ code: 'command-interrupted', exit: 130 });
  await pause(100);
  expect(existsSync(file)).toBe(false);
});

it('gives a program no terminal to ask at', async () => {
  const { result } = await shell('(: < /dev/tty) 2>/dev/null && echo asked; ps -o sid= -p $$; echo $$');
  const [session, pid, ...others] = result?.stdout.trim().split(/\s+/) ?? [];
  expect(session).toBe(pid);
  expect(others).toEqual([]);
});

it('says which program is missing, and what cannot be run', async () => {
  const host = openHost();
  await expect(host.run('no-such-program', [])).rejects.toMatchObject({ code: 'command-missing', exit: 2 });
  await expect(host.run('/etc/passwd', [])).rejects.toMatchObject({
    code: 'command-failed',
    message: '/etc/passwd could not be run: EACCES.',
  });
  await expect(host.run('true', [], { cwd: '/no/such/folder' })).rejects.toMatchObject({
    code: 'command-failed',
  });
});

it('lets no secret into the log, the lines or the error', async () => {
  const pin = new Secret("it's 100%", 'token password');
  const lines: string[] = [];
  const { error, log } = await shell('text=$(cat); echo "$text"; echo "$text" >&2; exit 1', {
    input: pin,
    onLine: (line) => lines.push(line),
  });
  expect(lines).toEqual(['[secret]', '[secret]']);
  expect(`${log.join()}${error.message}`).not.toContain('100%');
  expect(error.message).toBe('sh failed with exit code 1: [secret]');
});

it('keeps a private key out of the lines, the log and the error, even where the error holds its end only', async () => {
  const body = 'Sentinel'.repeat(8);
  const key = ['-----BEGIN PRIVATE KEY-----', ...Array(9).fill(body), '-----END PRIVATE KEY-----'];
  const lines: string[] = [];
  const { error, log } = await shell('cat >&2; exit 1', {
    input: `${key.join('\n')}\n`,
    onLine: (line) => lines.push(line),
  });
  expect(error.message).toBe('sh failed with exit code 1: [secret]');
  expect(log.at(-1)).toBe('    [secret]');
  expect(lines).toEqual(key.map(() => '[secret]'));
});
