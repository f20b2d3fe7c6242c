import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { inside, requireLeader } from './exec.ts';
import { enter } from './machine.ts';
import { childrenOf, signalAll } from './processes.ts';

/**
 * Waits for the command and turns a death by signal into an exit code, as shells do. The trap keeps Ctrl+C, which
 * a terminal sends to everyone, from ending the waiter before the command; the command does not inherit it.
 */
const WAITER = `trap : INT QUIT; "$@"; exit $?`;

const PASSED_ON = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const;

/**
 * Runs a command in a host with this process's own standard input, output and error, and passes signals on to it.
 * @returns its exit code; 128 and the signal's number when a signal ended it
 * @throws CapstanError `lab-missing`, `lab-host-missing`, `lab-host-off`
 */
export async function labAttach(lab: string, name: string, argv: readonly string[]): Promise<number> {
  const leader = await requireLeader(lab, name);
  const command = ['/bin/sh', '-c', WAITER, 'sh', ...inside(argv, process.env.TERM)];
  // Not host.run: that captures what a program writes and gives it no terminal.
  const child = spawn('nsenter', [...enter(leader), ...command], { stdio: 'inherit' });
  const passOn = (signal: NodeJS.Signals) => {
    if (fromTerminal(signal) || child.pid === undefined) return;
    void childrenOf(child.pid).then((ids) => signalAll(ids, signal));
  };
  for (const signal of PASSED_ON) process.on(signal, passOn);
  try {
    return await new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', (code, signal) => resolve(code ?? 128 + constants.signals[signal ?? 'SIGKILL']));
    });
  } finally {
    for (const signal of PASSED_ON) process.off(signal, passOn);
  }
}

/** Whether the kernel sent a signal to the terminal's whole foreground group, the command included. */
function fromTerminal(signal: NodeJS.Signals): boolean {
  if (signal !== 'SIGINT' && signal !== 'SIGQUIT') return false;
  // proc_pid_stat(5): after the name in parentheses come state, ppid, pgrp, session, tty_nr, tpgid.
  const stat = readFileSync('/proc/self/stat', 'utf8');
  const [, , group, , , foreground] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return group === foreground;
}
