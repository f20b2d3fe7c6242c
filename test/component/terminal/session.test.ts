import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { rehearsal } from './session.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'capstan-session-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const ended = async (mode: string, signals: NodeJS.Signals[]) =>
  (await rehearsal(folder, mode, `${mode}-${signals.join('-')}`)).end(signals);

describe('a run', () => {
  it.each<[NodeJS.Signals]>([['SIGINT'], ['SIGTERM'], ['SIGHUP']])(
    'ends its programs and itself on %s',
    async (signal) => {
      const { code, events, secretFolder, log } = await ended('listening', [signal]);
      expect(code).toBe(130);
      expect(events).toEqual([
        expect.objectContaining({ type: 'error', code: 'command-interrupted', exit: 130 }),
      ]);
      expect(existsSync(secretFolder)).toBe(false);
      expect(readFileSync(log, 'utf8')).toContain('error command-interrupted');
      expect(statSync(log).mode & 0o777).toBe(0o600);
    },
    30_000,
  );

  it('ends at once on the second signal, and still leaves no secret behind', async () => {
    const { code, secretFolder } = await ended('deaf', ['SIGINT', 'SIGTERM']);
    expect(code).toBe(143);
    expect(secretFolder).toMatch(/capstan-/);
    expect(existsSync(secretFolder)).toBe(false);
  }, 30_000);

  it('without a log leaves no secret behind either, and is interrupted, not unwell', async () => {
    const { code, secretFolder } = await ended('look', ['SIGINT']);
    expect(code).toBe(130);
    expect(secretFolder).toMatch(/capstan-/);
    expect(existsSync(secretFolder)).toBe(false);
  }, 30_000);

  it('tells a defect as one, with the stack in the log', async () => {
    const { code, events, log } = await ended('defect', []);
    expect(code).toBe(1);
    expect(events).toEqual([
      expect.objectContaining({
        code: 'defect',
        message: expect.stringContaining('not foreseen'),
        next: expect.stringContaining(log),
      }),
    ]);
    expect(readFileSync(log, 'utf8')).toMatch(/TypeError: not foreseen\n\s+at .*session-run/);
  }, 30_000);

  it('keeps in the log where the defect behind an error happened, and the signal that ended a run', async () => {
    const { log } = await ended('behind', []);
    expect(readFileSync(log, 'utf8')).toMatch(/TypeError: not foreseen\n\s+at .*session-run/);
    const interrupted = await ended('listening', ['SIGTERM']);
    expect(readFileSync(interrupted.log, 'utf8')).toMatch(/ SIGTERM: stop$/m);
  }, 30_000);
});
