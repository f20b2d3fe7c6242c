/** A support bundle of the machine that the tests run on, which has no server: judged by tar(1) and its manifest. */
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { supportBundle } from '../../../src/flow/support-bundle.ts';
import { openHost } from '../../../src/host/host.ts';
import { noLog } from '../../../src/host/log.ts';
import type { PlanEvent } from '../../../src/plan/step.ts';

let folder: string;
let file: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'capstan-bundle-'));
  file = join(folder, 'bundle.tar.gz');
});

afterEach(() => rmSync(folder, { recursive: true }));

const quiet = () => {};

/** What is in the folder: names, kinds, sizes and times. */
function statsOf(): string {
  return execFileSync('find', [folder, '-printf', '%p %y %s %T@\\n'], { encoding: 'utf8' });
}

interface Manifest {
  host: string;
  members: { member: string; what: string; source: string; bytes?: number; missing?: string }[];
}

function unpacked(): { root: string; names: string[]; manifest: Manifest } {
  execFileSync('tar', ['-xzf', file, '-C', folder]);
  const names = execFileSync('tar', ['-tzf', file], { encoding: 'utf8' }).trim().split('\n');
  const root = join(folder, dirname(names[0] ?? ''));
  return { root, names, manifest: JSON.parse(readFileSync(join(root, 'manifest.json'), 'utf8')) };
}

describe.runIf(process.getuid?.() === 0)('a support bundle', () => {
  test('is one file for its owner alone, and its manifest tells of every member', async () => {
    const events: PlanEvent[] = [];
    const report = await supportBundle(openHost(), { file, listen: (event) => events.push(event) });
    expect(report.title).toContain(file);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const { root, names, manifest } = unpacked();
    expect(names[0]).toMatch(/^capstan-support-[\w.-]+-\d{8}T\d{6}Z\/manifest\.json$/);
    const had = manifest.members.filter(({ missing }) => missing === undefined);
    expect(names.slice(1).toSorted()).toEqual(
      had.map(({ member }) => `${dirname(names[0] ?? '')}/${member}`).toSorted(),
    );
    for (const { member, bytes } of had) expect(statSync(join(root, member)).size).toBe(bytes);
    expect(had.map(({ member }) => member)).toEqual(
      expect.arrayContaining(['host/packages.txt', 'host/os-release', 'host/disk.txt', 'host/processes.txt']),
    );
    const lost = manifest.members.filter(({ missing }) => missing !== undefined);
    expect(lost.map(({ member }) => member)).toContain('capstan/status.json');
    for (const { what, source, missing } of lost) {
      expect(what && source).not.toBe('');
      expect(missing).toMatch(/\.$/);
    }
    const plan = events.flatMap((event) => (event.type === 'plan' ? event.steps.map(({ id }) => id) : []));
    const finished = events.flatMap((event) => (event.type === 'step-finished' ? [event.id] : []));
    expect(finished).toEqual(plan);
  });

  test.each([
    ['a file', () => writeFileSync(file, 'precious')],
    ['a folder', () => mkdirSync(file)],
    ['a dangling link', () => symlinkSync(join(folder, 'target'), file)],
  ])('is never written over %s', async (_, make) => {
    make();
    const before = statsOf();
    await expect(supportBundle(openHost(), { file, listen: quiet })).rejects.toMatchObject({
      code: 'output-file-exists',
      exit: 2,
    });
    expect(statsOf()).toEqual(before);
  });

  test('in a folder that is not there is refused before anything is gathered', async () => {
    const events: PlanEvent[] = [];
    const nowhere = { file: join(folder, 'no/bundle'), listen: (event: PlanEvent) => events.push(event) };
    await expect(supportBundle(openHost(), nowhere)).rejects.toMatchObject({
      code: 'output-file-unusable',
      exit: 2,
    });
    expect(events).toEqual([]);
  });

  test('that is interrupted leaves nothing', async () => {
    const controller = new AbortController();
    const host = openHost(noLog, controller.signal);
    const stop = (event: PlanEvent) => {
      if (event.type === 'step-started') controller.abort();
    };
    await expect(supportBundle(host, { file, listen: stop })).rejects.toMatchObject({
      code: 'interrupted',
      exit: 130,
    });
    expect(existsSync(file)).toBe(false);
  });
});
