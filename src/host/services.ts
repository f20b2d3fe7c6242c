import type { Host } from './host.ts';

/** Whether systemd starts the unit at boot (systemctl(1), `is-enabled`). */
export async function isEnabled(host: Host, unit: string): Promise<boolean> {
  const { stdout } = await host.run('systemctl', ['is-enabled', unit], { accept: [0, 1, 3, 4] });
  return stdout.trim() === 'enabled';
}

/** Whether the unit is up. For a subsystem of Dogtag that says little: ask the subsystem itself. */
export async function isActive(host: Host, unit: string): Promise<boolean> {
  const { exitCode } = await host.run('systemctl', ['is-active', '--quiet', unit], { accept: [0, 1, 3, 4] });
  return exitCode === 0;
}

/** Whether the unit is down and stays so: one that was just told to start runs soon, though it is not up yet. */
export async function isAtRest(host: Host, unit: string): Promise<boolean> {
  const { stdout } = await host.run('systemctl', ['is-active', unit], { accept: [0, 1, 3, 4] });
  return ['inactive', 'failed', 'unknown'].includes(stdout.trim());
}

/** The units that must have started before the unit does, where they start at all (systemd.unit(5), `After`). */
export async function startsAfter(host: Host, unit: string): Promise<string[]> {
  const { stdout } = await host.run('systemctl', ['show', '--property=After', '--value', unit]);
  return stdout.split(/\s+/).filter(Boolean);
}

/** Has systemd start the units at boot, and read the files of all units anew (systemctl(1), `enable`). @throws CapstanError `command-failed` */
export async function enable(host: Host, ...units: string[]): Promise<void> {
  await host.run('systemctl', ['enable', '--quiet', ...units]);
}

/** @throws CapstanError `command-failed` */
export async function disable(host: Host, unit: string): Promise<void> {
  await host.run('systemctl', ['disable', '--quiet', unit]);
}

/** @throws CapstanError `command-failed`, `command-deadline` */
export async function start(host: Host, unit: string): Promise<void> {
  await host.run('systemctl', ['start', unit], { deadline: 'service', what: `${unit} to start` });
}

/** @throws CapstanError `command-failed`, `command-deadline` */
export async function stop(host: Host, unit: string): Promise<void> {
  await host.run('systemctl', ['stop', unit], { deadline: 'service', what: `${unit} to stop` });
}

/** Ends all processes of the unit at once, by SIGKILL; that there are none is no error. */
export async function kill(host: Host, unit: string): Promise<void> {
  await host.run('systemctl', ['kill', '--signal=SIGKILL', unit], { accept: [0, 1] });
}

/** @throws CapstanError `command-failed`, `command-deadline` */
export async function restart(host: Host, unit: string): Promise<void> {
  await host.run('systemctl', ['restart', unit], { deadline: 'service', what: `${unit} to restart` });
}
