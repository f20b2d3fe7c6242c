import { execFile } from 'node:child_process';
import { copyFileSync, mkdirSync, symlinkSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const root = resolve(import.meta.dirname, '../../..');

/** What became of a program in a terminal. */
export interface TerminalResult {
  output: string;
  exit: number;
  /** Whether the terminal shows what is typed, after the program's end. */
  echo: boolean;
  canonical: boolean;
}

/** Runs a program in a pseudo terminal; each pair of the dialogue waits for a text and then types one. */
export async function inTerminal(
  command: readonly string[],
  dialogue: readonly (readonly [string, string])[] = [],
): Promise<TerminalResult> {
  const task = JSON.stringify({ command, dialogue, seconds: 30 });
  const { stdout } = await run('python3', [join(import.meta.dirname, 'in_terminal.py'), task], {
    maxBuffer: 2 ** 24,
  });
  return JSON.parse(stdout);
}

/** Compiles the program into a folder as `npm run build` does in a checkout; returns the launcher's path. */
export async function buildInto(folder: string): Promise<string> {
  const tsc = join(root, 'node_modules/.bin/tsc');
  // Type errors are another test's concern: what is compiled is what counts here.
  await run(tsc, ['-p', join(root, 'tsconfig.build.json'), '--outDir', join(folder, 'dist')]).catch(() => {});
  mkdirSync(join(folder, 'bin'));
  for (const file of ['bin/capstan', 'package.json']) copyFileSync(join(root, file), join(folder, file));
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
  return join(folder, 'bin/capstan');
}
