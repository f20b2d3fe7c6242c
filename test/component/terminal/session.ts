import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

/** A rehearsed run that works, or waits to be ended. */
export interface Rehearsal {
  /** Sends the signals one after the other, and tells what became of the run. */
  end(signals: NodeJS.Signals[]): Promise<{
    code: number | null;
    secretFolder: string;
    events: Record<string, unknown>[];
    log: string;
  }>;
}

/** Starts a run of session-run.ts in a mode and waits until it works; its log lies in `folder`. */
export async function rehearsal(folder: string, mode: string, name = mode): Promise<Rehearsal> {
  const log = join(folder, `${name}.log`);
  const child: ChildProcess = spawn(
    process.execPath,
    [join(import.meta.dirname, 'session-run.ts'), log, mode],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  let output = '';
  child.stdout?.on('data', (data) => {
    output += data;
  });
  const exit = once(child, 'exit');
  while (!output.includes('\n') && child.exitCode === null) await pause(20);
  return {
    async end(signals) {
      for (const signal of signals) {
        await pause(200);
        child.kill(signal);
      }
      const [code] = await exit;
      const lines = output.trim().split('\n').filter(Boolean);
      const first = lines.find((line) => line.startsWith('folder ')) ?? '';
      const events = lines.filter((line) => line !== first).map((line) => JSON.parse(line));
      return { code, secretFolder: first.replace('folder ', ''), events, log };
    },
  };
}
