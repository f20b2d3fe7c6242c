/** What a killed run leaves behind on the host, and how it is taken away: by a guard at once, or by the next run. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { PRIVATE_PARENTS, privatePrefix } from '../secret/private-file.ts';
import { RUN_MARK } from './command.ts';
import type { Host } from './host.ts';

/** Seconds that a program of a killed run may take to end when it is asked to, before it is killed. */
const GRACE = 5;

/**
 * Shell functions: `sweep RUN...` ends every process that has one of the runs in its environment, and `clear_folders PID`
 * removes the private folders of a process; the ones of all processes that are gone, without a PID. A shell, because the
 * guard has to be small: it is there during every run.
 */
const FUNCTIONS = `
marked() {
  for run; do set -- "$@" -e "${RUN_MARK}=$run"; shift; done
  grep -lzxF "$@" /proc/[0-9]*/environ 2>/dev/null | sed 's#^/proc/##; s#/environ$##'
}
sweep() {
  [ $# -gt 0 ] || return 0
  for signal in TERM KILL; do
    found=$(marked "$@")
    [ -n "$found" ] || return 0
    for pid in $found; do echo "$signal $pid $(tr '\\0' ' ' 2>/dev/null < /proc/$pid/cmdline | cut -c1-60)"; done
    kill -$signal $found 2>/dev/null
    for tenth in $(seq ${GRACE}0); do
      [ -n "$(marked "$@")" ] || return 0
      sleep 0.1
    done
  done
  [ -z "$(marked "$@")" ]
}
clear_folders() {
  for folder in ${PRIVATE_PARENTS.map((parent) => `${parent}/${privatePrefix('*')}*`).join(' ')}; do
    [ -d "$folder" ] || continue
    pid=\${folder##*/}; pid=\${pid#capstan-}; pid=\${pid%%-*}
    case $pid in *[!0-9]*|'') continue ;; esac
    if [ $# -gt 0 ]; then [ "$pid" = "$1" ] || continue; else [ -d "/proc/$pid" ] && continue; fi
    rm -rf "$folder" && echo "removed $folder"
  done
}
`;

/** The guard waits for a word; where the pipe ends without one, the run was killed. Its own environment has no mark. */
const GUARD = `${FUNCTIONS}
read -r word
[ "$word" = done ] && exit 0
sweep "$2" >/dev/null
clear_folders "$1" >/dev/null
`;

/** A process that outlives this one, for as long as there is something to clear away. */
export interface Guard {
  /** The run came to its end: there is nothing to do. */
  release(): Promise<void>;
}

const ENVIRONMENT = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' };

/**
 * Starts the guard of a run: when this process is killed, it ends the programs that the run had started and removes
 * the files in memory that held secrets for them. It has a session of its own, out of reach of the terminal's signals.
 */
export function startGuard(runId: string): Guard {
  const guard = spawn('/bin/sh', ['-c', GUARD, 'capstan-guard', String(process.pid), runId], {
    stdio: ['pipe', 'ignore', 'ignore'],
    env: ENVIRONMENT,
    cwd: '/',
    detached: true,
  });
  // Without a guard the next run clears away what is left.
  guard.on('error', () => {});
  guard.stdin.on('error', () => {});
  guard.unref();
  (guard.stdin as unknown as { unref?(): void }).unref?.();
  return {
    async release() {
      if (guard.exitCode !== null || guard.signalCode !== null || guard.pid === undefined) return;
      const ended = once(guard, 'exit');
      guard.ref();
      guard.stdin.end('done\n');
      await ended;
    },
  };
}

/**
 * Ends what killed runs left running, and removes the private folders of processes that are gone.
 * @param runs the ids of the runs; none of them may be alive
 * @throws CapstanError `command-failed` when something does not end
 */
export async function clearLeftovers(host: Host, runs: readonly string[]): Promise<void> {
  const script = `${FUNCTIONS}\nsweep "$@"; ended=$?; clear_folders; exit $ended`;
  const others = runs.filter((run) => run !== host.runId);
  await host.run('/bin/sh', ['-c', script, 'capstan-sweep', ...others], {
    what: 'what a killed run left running',
  });
}
