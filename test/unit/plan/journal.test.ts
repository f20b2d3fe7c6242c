import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createJournal, readJournal } from '../../../src/plan/journal.ts';
import { Secret } from '../../../src/secret/secret.ts';

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'capstan-journal-'));
  path = join(folder, 'deep', 'journal.json');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const HEAD = { flow: 'server-install', capstan: '1.2.3', runs: ['a'], site: { realm: 'EXAMPLE.TEST' } };

it('is a file that only its owner can read, and is read back as it was', async () => {
  const written = await createJournal(path, HEAD);
  await written.record('one', 'applying');
  await written.remember('one', { ids: ['a'] });
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(readdirSync(join(folder, 'deep'))).toEqual(['journal.json']);
  const read = await readJournal(path);
  expect(read?.journal).toEqual(written.journal);
  expect(read?.journal).toMatchObject({ version: 1, ...HEAD, steps: [{ id: 'one', facts: { ids: ['a'] } }] });
  expect(read?.entry('one')?.state).toBe('applying');
  expect(read?.entry('two')).toBeUndefined();
});

it('keeps what was remembered when a step changes its state, and adds to it', async () => {
  const file = await createJournal(path, HEAD);
  await file.record('one', 'applying');
  await file.remember('one', { a: 1, b: 1 });
  await file.remember('one', { b: 2 });
  await file.record('one', 'done');
  expect((await readJournal(path))?.entry('one')).toMatchObject({ state: 'done', facts: { a: 1, b: 2 } });
});

it('remembers nothing of a step that has not begun', async () => {
  const file = await createJournal(path, HEAD);
  await expect(file.remember('one', { a: 1 })).rejects.toThrow('step one remembers before it has begun');
});

it('writes no secret, even where one is handed to it', async () => {
  const file = await createJournal(path, HEAD);
  await file.record('one', 'applying');
  await file.remember('one', { pin: new Secret('Sentinel.journal', 'token password') });
  expect(readFileSync(path, 'utf8')).not.toContain('Sentinel.journal');
});

it('is gone after its removal, and missing is no error', async () => {
  const file = await createJournal(path, HEAD);
  await file.remove();
  expect(existsSync(path)).toBe(false);
  expect(await readJournal(path)).toBeUndefined();
});

it.each([
  ['not JSON', '{"version": 1'],
  ['of another version', JSON.stringify({ version: 2, flow: 'x', site: {}, steps: [] })],
  [
    'without a site',
    JSON.stringify({ version: 1, flow: 'x', started: 'x', runs: [], site: null, steps: [] }),
  ],
  [
    'with a step that is none',
    JSON.stringify({ version: 1, flow: 'x', started: 'x', runs: [], site: {}, steps: [null] }),
  ],
  [
    'with a step in no known state',
    JSON.stringify({
      ...{ version: 1, flow: 'x', started: 'x', runs: [], site: {} },
      steps: [{ id: 'a', at: 'x', state: 'maybe', facts: {} }],
    }),
  ],
  ['without steps', JSON.stringify({ version: 1, flow: 'x', site: {} })],
  ['not an object', 'null'],
])('is refused when it is %s, and left as it is', async (_what, content) => {
  await createJournal(path, HEAD);
  writeFileSync(path, content);
  await expect(readJournal(path)).rejects.toMatchObject({
    code: 'journal-unreadable',
    exit: 2,
    message: expect.stringContaining(path),
  });
  expect(readFileSync(path, 'utf8')).toBe(content);
});
