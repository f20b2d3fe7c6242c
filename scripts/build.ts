/** Compiles the program into dist/. The old one stays in place until the new one is whole. */
import { renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Host } from '../src/host/host.ts';
import { checkoutAddon } from './addon.ts';
import { HOME, NODE, say, script, scriptHost, shown, since } from './lib/task.ts';

/**
 * Compiles installer/ and src/ into dist/, and the addon when it is missing.
 * @throws CapstanError `command-failed` when the compiler finds errors, which it has shown
 */
export async function build(host: Host): Promise<void> {
  const start = performance.now();
  await checkoutAddon(host);
  // The same depth as dist/, so that the source maps are right after the move.
  const fresh = join(HOME, 'dist.new');
  rmSync(fresh, { recursive: true, force: true });
  await shown(host, NODE, [
    join(HOME, 'node_modules/.bin/tsc'),
    '-p',
    'tsconfig.build.json',
    '--outDir',
    fresh,
  ]);
  const dist = join(HOME, 'dist');
  rmSync(dist, { recursive: true, force: true });
  renameSync(fresh, dist);
  say(`compiled into dist/ (${since(start)})`);
}

if (import.meta.main) {
  await script(async () => {
    await build(scriptHost());
    return 0;
  });
}
