/** What the scripts share: where things are, and how their work is shown. */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CapstanError, sentenceOf } from '../../src/errors.ts';
import type { CommandOptions, CommandResult } from '../../src/host/command.ts';
import { type Host, openHost } from '../../src/host/host.ts';
import { noLog } from '../../src/host/log.ts';

/** The folder of the checkout. */
export const HOME = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** The Node that npm installed, which runs the tests and goes into the bundle. */
export const NODE = join(HOME, 'node_modules/.bin/node');

/** The version in package.json. */
export const VERSION: string = JSON.parse(readFileSync(join(HOME, 'package.json'), 'utf8')).version;

/** The bundle that `npm run package` makes and the lab installs. */
export const BUNDLE = join(HOME, `build/capstan-${VERSION}-linux-x64.tar.gz`);

/** This machine, for scripts: Ctrl+C ends the running program first and then the script. */
export function scriptHost(): Host {
  const interrupt = new AbortController();
  process.once('SIGINT', () => interrupt.abort());
  process.once('SIGTERM', () => interrupt.abort());
  return openHost(noLog, interrupt.signal);
}

/** Prints one line of a script's own. */
export function say(text: string): void {
  console.log(`[capstan] ${text}`);
}

/** Seconds since `start` (from performance.now()), as people read them: `7.3 s`, `2 min 5 s`. */
export function since(start: number): string {
  const seconds = (performance.now() - start) / 1000;
  if (seconds < 100) return `${seconds.toFixed(1)} s`;
  return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
}

/**
 * Runs a program of node_modules or the system in the checkout, its lines shown while it works.
 * @throws CapstanError `command-missing`, `command-failed`, `command-deadline`, `command-interrupted`
 */
export function shown(host: Host, file: string, args: string[], options: CommandOptions = {}) {
  const onLine = (line: string) => console.log(line);
  return host.run(file, args, { cwd: HOME, deadline: 600, onLine, ...options });
}

/** As {@link shown}, with the program's lines kept back; for programs whose answer is wanted, not their talk. */
export function quiet(
  host: Host,
  file: string,
  args: string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  return host.run(file, args, { cwd: HOME, deadline: 600, ...options });
}

/** Gives the terminal to a program, as for Vitest and the lab, and resolves to its exit code. */
export function handOver(file: string, args: string[]): Promise<number> {
  const path = `${join(HOME, 'node_modules/.bin')}:${process.env.PATH}`;
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { cwd: HOME, stdio: 'inherit', env: { ...process.env, PATH: path } });
    const ignore = () => {};
    process.on('SIGINT', ignore);
    child.once('error', reject);
    child.once('close', (code, signal) => {
      process.off('SIGINT', ignore);
      resolve(code ?? (signal === 'SIGINT' ? 130 : 1));
    });
  });
}

/** Runs a script's main function: an error becomes its sentence and a non-zero exit code. */
export async function script(main: () => Promise<number | undefined>): Promise<void> {
  try {
    process.exitCode = (await main()) ?? 0;
  } catch (error) {
    console.error(`[capstan] ${error instanceof CapstanError ? sentenceOf(error) : (error as Error).stack}`);
    if (error instanceof CapstanError && error.next) console.error(`[capstan] ${error.next}`);
    process.exitCode = error instanceof CapstanError ? error.exit : 1;
  }
}
