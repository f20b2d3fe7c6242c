import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { failure } from '../errors.ts';
import { removeEmptyFolder } from '../host/files.ts';
import type { Host } from '../host/host.ts';
import { withLock } from '../host/lock.ts';
import { cgroupProcesses, removeCgroups } from './cgroup.ts';
import { writeHostsFiles } from './host-files.ts';
import { labLock, labWait } from './lock.ts';
import { findMachine, killMachine, stopMachine } from './machine.ts';
import {
  bridgeNamespace,
  hostPlace,
  labPlace,
  machineName,
  requireHostName,
  requireLabName,
} from './names.ts';
import { labNamespaces, removeEmptyNamespaceFolder, removeNamespace } from './network.ts';
import { removeFolders } from './remove.ts';
import { becomeLabRoot } from './requirements.ts';
import { NETWORK_HSM } from './settings.ts';
import { type LabState, readState, requireHost, writeState } from './state.ts';
import { removeTokenView } from './token.ts';

/** What is asked of {@link labDown}. */
export interface DownRequest {
  lab: string;
  /** The hosts to remove; all of them, and the lab itself, when none is named. */
  hosts?: readonly string[];
  /** Whether the snapshots outlive the lab. */
  keepSnapshots?: boolean;
}

/**
 * Removes hosts, or a whole lab: stops them, then takes away what was made for them. It goes as far as it can
 * after any crash, and reports at the end what it could not remove.
 * @returns the names of the hosts that were removed
 * @throws CapstanError `bad-lab-name`, `bad-host-name`, `lab-host-missing`, `not-root`, `interrupted`, `lab-remains`
 */
export async function labDown(
  host: Host,
  request: DownRequest,
  onLine: (line: string) => void = () => {},
): Promise<string[]> {
  const lab = requireLabName(request.lab);
  const some = [...new Set((request.hosts ?? []).map(requireHostName))];
  becomeLabRoot();
  const remove = async () => {
    // A state that cannot be read must not keep its lab alive.
    const state = await readState(lab).catch(() => undefined);
    if (state && some.length > 0) return downSome(host, state, some, onLine);
    if (some.length > 0) return [];
    return downAll(host, lab, state, request.keepSnapshots ?? false, onLine);
  };
  return withLock(labLock(lab), remove, labWait(host, lab, onLine));
}

async function downSome(
  host: Host,
  state: LabState,
  names: readonly string[],
  onLine: (line: string) => void,
) {
  for (const name of names) requireHost(state, name);
  const left = await Promise.all(names.map((name) => removeHost(host, state.name, name, onLine)));
  // A host that left something stays known, so that the next call can remove it.
  const gone = names.filter((_, index) => left[index]?.length === 0);
  const rest = { ...state, hosts: state.hosts.filter(({ name }) => !gone.includes(name)) };
  // The token of a network HSM goes with its host; the next one of that name gets a blank one.
  if (state.hsm === 'network' && gone.includes(NETWORK_HSM.host)) rest.tokenReady = false;
  await writeState(rest);
  await writeHostsFiles(rest);
  report(left.flat());
  return [...names];
}

async function downAll(
  host: Host,
  lab: string,
  state: LabState | undefined,
  keepSnapshots: boolean,
  onLine: (line: string) => void,
) {
  const names = await everyHost(lab, state);
  const left = (await Promise.all(names.map((name) => removeHost(host, lab, name, onLine)))).flat();
  const place = labPlace(lab);
  await attempt(left, `the mount ${place.tokenView}`, async () => {
    if (!(await removeTokenView(host, lab))) throw new Error('bindfs still runs');
  });
  for (const namespace of [bridgeNamespace(lab), ...(await labNamespaces(lab))]) {
    await attempt(left, `the network namespace ${namespace}`, () => removeNamespace(host, namespace));
  }
  await attempt(left, 'the mount /run/netns', () => removeEmptyNamespaceFolder(host));
  await attempt(left, place.folder, () => removeFolder(host, lab, keepSnapshots));
  report(left);
  return names;
}

/** The hosts in the state, and those that only left traces. */
async function everyHost(lab: string, state: LabState | undefined): Promise<string[]> {
  const prefix = machineName(lab, '');
  const planned = state?.hosts.map(({ name }) => name) ?? [];
  const folders = await readdir(join(labPlace(lab).folder, 'hosts')).catch(() => []);
  const namespaces = (await labNamespaces(lab)).filter((name) => name.startsWith(prefix));
  return [
    ...new Set([...planned, ...folders, ...namespaces.map((name) => name.slice(prefix.length))]),
  ].sort();
}

/**
 * Removes a host, whatever state it is in.
 * @returns what could not be removed
 */
export async function removeHost(host: Host, lab: string, name: string, onLine: (line: string) => void) {
  const left: string[] = [];
  if (await findMachine(lab, name)) {
    onLine(`${name}: stopping`);
    await attempt(left, `the host ${name}`, async () => {
      if (!(await stopMachine(lab, name))) onLine(`${name}: did not stop in time; its power was cut`);
    });
  }
  const machine = machineName(lab, name);
  await attempt(left, `the processes of ${name}`, async () => {
    const ids = await killMachine(lab, name);
    if (ids.length > 0) throw new Error(`still there: ${(await cgroupProcesses(machine)).join(', ')}`);
  });
  await attempt(left, `the network namespace ${machine}`, () => removeNamespace(host, machine));
  left.push(...(await removeCgroups(machine)));
  await attempt(left, hostPlace(lab, name).folder, async () => {
    await removeFolders(host, [hostPlace(lab, name).folder]);
  });
  return left;
}

async function removeFolder(host: Host, lab: string, keepSnapshots: boolean): Promise<void> {
  const { folder, snapshots } = labPlace(lab);
  const names = await readdir(folder).catch(() => []);
  const doomed = names
    .map((name) => join(folder, name))
    .filter((path) => !(keepSnapshots && path === snapshots));
  await removeFolders(host, doomed);
  await removeEmptyFolder(folder);
}

async function attempt(left: string[], what: string, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    left.push(`${what} (${error instanceof Error ? error.message : error})`);
  }
}

/** @throws CapstanError `lab-remains` */
function report(left: readonly string[]): void {
  if (left.length === 0) return;
  throw failure(
    'lab-remains',
    `Not everything could be removed: ${left.join('; ')}`,
    'Run the command again.',
  );
}
