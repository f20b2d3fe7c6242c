import { mkdir, readFile, rm } from 'node:fs/promises';
import { failure } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { cgroupProcesses, makeCgroups } from './cgroup.ts';
import { hostPlace, labPlace, machineName } from './names.ts';
import { namespacePath } from './network.ts';
import { childrenOf, commandLineOf, isNamespaceInit, lives, signalAll, waitUntil } from './processes.ts';
import { NETWORK_HSM, SOFTHSM } from './settings.ts';
import type { LabState } from './state.ts';

/** Seconds until a host that does not come up is given up. */
const BOOT_DEADLINE = 120;
/** Seconds that a host gets to stop its services; Dogtag and the directory need 10 to 15. */
const STOP_DEADLINE = 90;
/** What systemd-nspawn --keep-unit exits with when its host reboots. */
const REBOOT = 133;

/**
 * Starts a host in a mount namespace of its own, so that its overlay is nowhere else and goes when it goes.
 * Arguments: console file, pid file, overlay options, mount point, cgroup.procs files, `--`, the program.
 * The program is run again when the host reboots. A cgroup takes `0` as the process that writes it.
 */
const LAUNCHER = `
exec </dev/null >"$1" 2>&1
cd /
echo $$ >"$2"
mount -t overlay overlay -o "$3" "$4" || exit 1
shift 4
groups=
while [ "$1" != -- ]; do groups="$groups $1"; shift; done
shift
while
  (for group in $groups; do echo 0 >"$group" || exit 1; done; exec "$@")
  [ $? -eq ${REBOOT} ]
do :; done
`;

/** The processes of a running host, as this machine sees them. */
export interface Machine {
  launcher: number;
  nspawn: number;
  /** The host's own process 1. */
  leader: number;
}

/** The processes of a host, or undefined when it does not run. */
export async function findMachine(lab: string, name: string): Promise<Machine | undefined> {
  const launcher = await findLauncher(lab, name);
  if (launcher === undefined) return undefined;
  for (const nspawn of await childrenOf(launcher)) {
    for (const leader of await childrenOf(nspawn)) {
      if (await isNamespaceInit(leader)) return { launcher, nspawn, leader };
    }
  }
  return undefined;
}

/** Whether a host runs on other layers than its lab has now: it was booted with another bundle. */
export async function isOutdated(state: LabState, name: string): Promise<boolean> {
  const launcher = await findLauncher(state.name, name);
  if (launcher === undefined) return false;
  return !(await commandLineOf(launcher)).includes(overlayOptions(state, name));
}

/** What the host's root is put together from (mount(8), overlay). */
function overlayOptions(state: LabState, name: string): string {
  const { upper, work } = hostPlace(state.name, name);
  const lower = [state.bundle, state.root].filter(Boolean).join(':');
  return `lowerdir=${lower},upperdir=${upper},workdir=${work},index=off,metacopy=off`;
}

/** The launcher of a host; the number in the pid file may be another process's by now. */
async function findLauncher(lab: string, name: string): Promise<number | undefined> {
  const pid = Number(await readFile(hostPlace(lab, name).pid, 'utf8').catch(() => ''));
  if (!pid || !(await lives(pid))) return undefined;
  const commandLine = await commandLineOf(pid);
  return commandLine.includes(`--machine=${machineName(lab, name)}`) ? pid : undefined;
}

/**
 * Boots a host and waits until systemd has started everything (`running`, or `degraded` when a unit failed).
 * @throws CapstanError `host-start-failed`, `host-start-deadline`
 */
export async function startMachine(host: Host, state: LabState, name: string): Promise<void> {
  const place = hostPlace(state.name, name);
  // What a killed launcher left running would write to the same files.
  await killMachine(state.name, name);
  const groups = await makeCgroups(machineName(state.name, name));
  for (const folder of [place.upper, place.work, place.root]) {
    await mkdir(folder, { recursive: true, mode: 0o755 });
  }
  await rm(place.pid, { force: true });
  await host.run('setsid', [
    ...['--fork', 'unshare', '--mount', '--propagation', 'slave', 'sh', '-c', LAUNCHER, 'launcher'],
    ...[
      place.console,
      place.pid,
      overlayOptions(state, name),
      place.root,
      ...groups,
      '--',
      ...nspawn(state, name),
    ],
  ]);
  if (!(await waitUntil(() => booted(host, state.name, name), BOOT_DEADLINE))) {
    throw failure(
      'host-start-deadline',
      `The host ${name} did not start within ${BOOT_DEADLINE} s.`,
      `Look at its console: ${place.console}`,
    );
  }
}

function nspawn(state: LabState, name: string): string[] {
  const machine = machineName(state.name, name);
  return [
    ...['systemd-nspawn', '--quiet', `--directory=${hostPlace(state.name, name).root}`],
    ...[`--machine=${machine}`, '--register=no', '--keep-unit', '--link-journal=no', '--console=pipe'],
    ...[`--network-namespace-path=${namespacePath(machine)}`, '--resolv-conf=off', '--timezone=off'],
    ...binds(state),
    ...['--boot', 'systemd.unit=multi-user.target'],
  ];
}

/** What the hosts of a lab share. */
function binds(state: LabState): string[] {
  const place = labPlace(state.name);
  return state.hsm === 'shared'
    ? [`--bind=${place.tokenView}:${SOFTHSM.tokens}`]
    : [`--bind=${place.socket}:${NETWORK_HSM.folder}`];
}

/** Whether the host is up. @throws CapstanError `host-start-failed` when its processes ended */
async function booted(host: Host, lab: string, name: string): Promise<boolean> {
  const place = hostPlace(lab, name);
  const machine = await findMachine(lab, name);
  if (!machine) {
    const written = await readFile(place.pid, 'utf8').catch(() => '');
    if (written && (await findLauncher(lab, name)) === undefined) {
      const console = await readFile(place.console, 'utf8').catch(() => '');
      throw failure(
        'host-start-failed',
        `The host ${name} ended while it started: ${console.trim().split('\n').slice(-3).join('\n')}`,
        `Look at its console: ${place.console}`,
      );
    }
    return false;
  }
  const args = [...enter(machine.leader), 'timeout', '10', 'systemctl', 'is-system-running'];
  // Exit codes other than 0 are states (starting, degraded), or a systemd that does not listen yet.
  const { stdout } = await host.run('nsenter', args, { accept: [0, 1, 124, 125, 127] });
  return /^(running|degraded)$/m.test(stdout);
}

/**
 * The arguments of nsenter(1) that lead into a host. The program that follows stays outside the host's pid
 * namespace and what it starts is inside: it can wait for that and signal it, where nsenter's own fork cannot.
 */
export function enter(leader: number): string[] {
  const namespaces = ['--mount', '--uts', '--ipc', '--net', '--pid', '--cgroup', '--root', '--wd'];
  return ['--no-fork', `--target=${leader}`, ...namespaces, '--'];
}

/**
 * Stops a host as its administrator would; one that does not end in time loses its power.
 * @returns whether it ended by itself
 */
export async function stopMachine(lab: string, name: string): Promise<boolean> {
  const machine = await findMachine(lab, name);
  // On SIGTERM systemd-nspawn asks the host's systemd to halt (systemd-nspawn(1), --kill-signal).
  if (machine) signalAll([machine.nspawn], 'SIGTERM');
  const ended = await waitUntil(async () => (await findLauncher(lab, name)) === undefined, STOP_DEADLINE);
  await killMachine(lab, name);
  return ended;
}

/**
 * Cuts the power of a host: every process ends at once.
 * @returns the processes that could not be ended
 */
export async function killMachine(lab: string, name: string): Promise<number[]> {
  const left = async () => {
    const launcher = await findLauncher(lab, name);
    const machine = await findMachine(lab, name);
    const known = [launcher, machine?.nspawn, machine?.leader].filter((id) => id !== undefined);
    return [...new Set([...known, ...(await cgroupProcesses(machineName(lab, name)))])];
  };
  await waitUntil(async () => {
    const ids = await left();
    signalAll(ids, 'SIGKILL');
    return ids.length === 0;
  }, 15);
  return left();
}
