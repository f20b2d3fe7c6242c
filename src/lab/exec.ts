import { failure, refusal } from '../errors.ts';
import type { CommandOptions, CommandResult } from '../host/command.ts';
import type { Host } from '../host/host.ts';
import { enter, findMachine } from './machine.ts';
import { requireHostName, requireLabName } from './names.ts';
import { becomeLabRoot } from './requirements.ts';
import { requireHost, requireState } from './state.ts';

/** What a command inside a host sees: its own machine, and nothing of the one outside. */
const ENVIRONMENT = [
  'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  'HOME=/root',
  'USER=root',
  'LOGNAME=root',
  'SHELL=/bin/bash',
  'LANG=C.UTF-8',
];

/** What `timeout` exits with when it had to end the command (timeout(1)). */
const TIMED_OUT = 124;

/**
 * The id of a host's process 1, as this machine sees it.
 * @throws CapstanError `bad-lab-name`, `bad-host-name`, `not-root`, `lab-missing`, `lab-host-missing`, `lab-host-off`
 */
export async function requireLeader(lab: string, name: string): Promise<number> {
  requireLabName(lab);
  requireHostName(name);
  becomeLabRoot();
  requireHost(await requireState(lab), name);
  const machine = await findMachine(lab, name);
  if (machine) return machine.leader;
  throw refusal(
    'lab-host-off',
    `The host ${name} of the lab ${lab} is off.`,
    `Start it with: capstan lab up ${name}${lab === 'default' ? '' : ` --lab ${lab}`}`,
  );
}

/** The program and its arguments, with the clean environment that a host's own login has. */
export function inside(argv: readonly string[], term: string | undefined = undefined): string[] {
  return ['/usr/bin/env', '-i', ...ENVIRONMENT, `TERM=${term ?? 'dumb'}`, ...argv];
}

/** How a command inside a host is run: {@link CommandOptions} less the environment of this machine. */
export type LabExecOptions = Pick<CommandOptions, 'input' | 'accept' | 'onLine'> & {
  /** Seconds; 60 unless told. */
  deadline?: number;
};

/**
 * Runs a command in a host as root and captures what it writes. It and its children end at the deadline.
 * @throws CapstanError `lab-missing`, `lab-host-missing`, `lab-host-off`, `command-failed`, `command-deadline`,
 *   `command-interrupted`
 */
export async function labExec(
  host: Host,
  lab: string,
  name: string,
  argv: readonly string[],
  options: LabExecOptions = {},
): Promise<CommandResult> {
  const leader = await requireLeader(lab, name);
  const deadline = options.deadline ?? 60;
  const accept = options.accept ?? [0];
  const timeout = ['/usr/bin/timeout', '--kill-after=5', String(deadline)];
  const result = await host.run('nsenter', [...enter(leader), ...timeout, ...inside(argv)], {
    ...options,
    deadline: deadline + 15,
    accept: [...accept, TIMED_OUT],
  });
  if (result.exitCode === TIMED_OUT && !accept.includes(TIMED_OUT)) {
    throw failure(
      'command-deadline',
      `${argv[0]} on the host ${name} did not end within ${deadline} s and was stopped.`,
    );
  }
  return result;
}
