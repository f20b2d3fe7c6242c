import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { requireMetricsFile } from '../../../src/flow/heartbeat.ts';

const folder = mkdtempSync(join(tmpdir(), 'capstan-metrics-'));
afterAll(() => rmSync(folder, { recursive: true }));

describe('a metrics file', () => {
  test('is a *.prom in a folder that is there', async () => {
    expect(await requireMetricsFile(`${folder}/capstan.prom`)).toBe(`${folder}/capstan.prom`);
  });

  test.each([
    `${folder}/capstan.txt`,
    'capstan.prom',
    `${folder}/../etc/capstan.prom`,
    `${folder}/a b.prom`,
    `${folder}/%h.prom`,
    `${folder}/a\n.prom`,
    '/.prom',
  ])('cannot be %j', async (path) => {
    await expect(requireMetricsFile(path)).rejects.toMatchObject({
      code: 'metrics-file-unsuitable',
      exit: 2,
    });
  });

  test('needs its folder', async () => {
    await expect(requireMetricsFile(`${folder}/none/capstan.prom`)).rejects.toMatchObject({
      code: 'metrics-folder-missing',
      exit: 2,
    });
  });
});
