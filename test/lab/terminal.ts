/** A person at a terminal of a host. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { inHost } from './support.ts';

const TERMINAL = readFileSync(join(import.meta.dirname, '../component/terminal/in_terminal.py'), 'utf8');

/** What became of a program in a terminal; `echo` and `canonical` are the terminal's flags after its end. */
export interface Conversation {
  output: string;
  exit: number;
  echo: boolean;
  canonical: boolean;
}

/** Runs a command in a terminal of a host: waits for a text, types, and so on. */
export async function inTerminal(
  host: string,
  command: readonly string[],
  dialogue: readonly (readonly [text: string, typed: string])[],
  seconds = 240,
): Promise<Conversation> {
  // What is typed may be a secret, which belongs into no command line.
  const input = JSON.stringify({ command, dialogue, seconds });
  const { stdout } = await inHost(host, ['python3', '-c', TERMINAL, '-'], { input, deadline: seconds + 20 });
  return JSON.parse(stdout) as Conversation;
}
