import { COMMANDS } from './commands.ts';

/**
 * Replaces what the process list shows (`/proc/PID/cmdline`, `ps`) by the program's name and the command's,
 * so that a secret given as an argument does not stay visible. `process.argv` keeps the arguments.
 * libuv writes the title over the argument area and fills the rest with NUL (uv_set_process_title).
 * What was visible before, in the shell that started the program for instance, cannot be taken back.
 */
export function concealArguments(): void {
  const command = COMMANDS.find(({ name }) => name === process.argv[2]);
  process.title = command ? `capstan ${command.name}` : 'capstan';
}
