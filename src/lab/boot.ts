import { mkdir } from 'node:fs/promises';
import { failure } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { prepareHost } from './host-files.ts';
import { findMachine, killMachine, startMachine, stopMachine } from './machine.ts';
import { labPlace } from './names.ts';
import { ensureAttached, ensureBridge } from './network.ts';
import { prepareClient } from './network-hsm.ts';
import { NETWORK_HSM } from './settings.ts';
import { type LabHost, type LabState, requireHost } from './state.ts';
import { ensureTokenView } from './token.ts';

/**
 * Makes what the hosts of a lab share, where it is missing: the bridge, and the way to the token.
 * @returns whether the way to the token is new, so that a host that runs does not have it
 */
export async function ensureShared(host: Host, state: LabState): Promise<boolean> {
  await ensureBridge(host, state.name);
  if (state.hsm === 'shared') return ensureTokenView(host, state);
  await mkdir(labPlace(state.name).socket, { recursive: true, mode: 0o755 });
  return false;
}

/**
 * Boots hosts that are off, in parallel; the network HSM's first, for the others need it while they boot.
 * @param onLine told which host boots
 */
export async function bootHosts(
  host: Host,
  state: LabState,
  hosts: readonly LabHost[],
  onLine: (line: string) => void,
): Promise<void> {
  const bootOne = async (one: LabHost) => {
    onLine(`${one.name}: booting`);
    await bootHost(host, state, one);
  };
  await together(hosts.filter((one) => isHsm(state, one)).map(bootOne));
  await together(hosts.filter((one) => !isHsm(state, one)).map(bootOne));
}

/** Whether a host is the network HSM's own. */
function isHsm(state: LabState, { name }: LabHost): boolean {
  return state.hsm === 'network' && name === NETWORK_HSM.host;
}

/** Boots one host that is off, with everything that a reboot of this machine would have taken from it. */
async function bootHost(host: Host, state: LabState, one: LabHost): Promise<void> {
  await ensureAttached(host, state.name, one);
  if (!one.ready) {
    await prepareHost(state, one.name);
    if (state.hsm === 'network' && !isHsm(state, one)) await prepareClient(host, state, one.name);
  }
  await startMachine(host, state, one.name);
}

/**
 * Stops those of the hosts that run, in parallel.
 * @returns those that ran
 */
export async function stopHosts(
  state: LabState,
  candidates: readonly LabHost[],
  onLine: (line: string) => void,
): Promise<LabHost[]> {
  const running = await Promise.all(candidates.map(({ name }) => findMachine(state.name, name)));
  const hosts = candidates.filter((_, index) => running[index] !== undefined);
  const stopOne = async (one: LabHost) => {
    onLine(`${one.name}: stopping`);
    await stopMachine(state.name, one.name);
  };
  // Its clients first: a service that stops may still need a key.
  await together(hosts.filter((one) => !isHsm(state, one)).map(stopOne));
  await together(hosts.filter((one) => isHsm(state, one)).map(stopOne));
  return hosts;
}

/** What may be done to a host's power: stop it, cut it, turn it on. */
export type Power = 'off' | 'kill' | 'on';

/**
 * Turns a host off as its administrator would, cuts its power, or turns it on.
 * @throws CapstanError `lab-host-missing`, `host-kill-failed`, and those of {@link startMachine}
 */
export async function setPower(host: Host, state: LabState, name: string, power: Power): Promise<void> {
  const one = requireHost(state, name);
  if (power === 'off') await stopMachine(state.name, name);
  if (power === 'kill') {
    const left = await killMachine(state.name, name);
    if (left.length === 0) return;
    throw failure('host-kill-failed', `Processes of the host ${name} do not end: ${left.join(', ')}.`);
  }
  if (power === 'on' && !(await findMachine(state.name, name))) {
    await ensureShared(host, state);
    await bootHost(host, state, one);
  }
}

/** Waits for all, also when one fails: nothing of it goes on behind the caller's back. @throws the first error */
export async function together(work: readonly Promise<void>[]): Promise<void> {
  for (const result of await Promise.allSettled(work)) if (result.status === 'rejected') throw result.reason;
}
