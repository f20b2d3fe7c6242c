import { mkdir } from 'node:fs/promises';
import { refusal } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { bundleLayer } from './bundle.ts';
import { labExec } from './exec.ts';
import { prepareHost, writeHostsFiles } from './host-files.ts';
import { withLock } from './lock.ts';
import { findMachine, startMachine, stopMachine } from './machine.ts';
import { labPlace, octetFor, requireHostName, requireLabName } from './names.ts';
import { ensureAttached, ensureBridge } from './network.ts';
import { requireTools } from './requirements.ts';
import { rootFilesystem } from './root.ts';
import { DEFAULT_LAB, HOST_ROOT, NETWORK_HSM, PKI_USER, SOFTHSM, TOKEN_NAME } from './settings.ts';
import { type HsmKind, type LabHost, type LabState, newState, readState, writeState } from './state.ts';
import { ensureTokenView, initialiseToken } from './token.ts';
import { ensurePasswords } from './values.ts';

/** What is asked of {@link labUp}. */
export interface LabRequest {
  /** `default` unless told. */
  lab?: string;
  /** At least one short host name. */
  hosts: readonly string[];
  /** `shared` in a new lab unless told; an existing lab keeps what it has. */
  hsm?: HsmKind;
  /** The token's label in a new lab. */
  tokenName?: string;
  /** A bundle file, or `none`; the checkout's own build unless told. */
  bundle?: string;
}

/** What {@link labUp} did. */
export interface LabUp {
  state: LabState;
  /** The hosts that are new. */
  created: string[];
  /** The hosts that were booted, new ones among them. */
  started: string[];
}

/** The lock that every change of a lab runs under. */
export function labLock(lab: string): string {
  return labPlace(lab).folder;
}

/**
 * Builds a lab, or adds what is missing to it: hosts that are new, hosts that are off. What runs is left alone,
 * except that a host whose bundle is another than the one asked for is booted with that one.
 * A killed run is completed by the next.
 * @param onLine told each step, in a few words
 * @throws CapstanError `bad-lab-name`, `bad-host-name`, `lab-hosts-missing`, `lab-hsm-differs`, `lab-full`,
 *   `not-root`, `not-linux`, `preflight-failed`, those of {@link rootFilesystem}, {@link bundleLayer} and
 *   {@link startMachine}
 */
export async function labUp(
  host: Host,
  request: LabRequest,
  onLine: (line: string) => void = () => {},
): Promise<LabUp> {
  const lab = requireLabName(request.lab ?? DEFAULT_LAB);
  const names = [...new Set(request.hosts.map(requireHostName))];
  if (names.length === 0) {
    throw refusal('lab-hosts-missing', 'No host was named.', 'Name at least one: capstan lab up ca1');
  }
  await requireTools(host);
  return withLock(
    labLock(lab),
    () => build(host, lab, names, request, onLine),
    () => {
      onLine(`waiting for another command that works on the lab ${lab}`);
    },
  );
}

async function build(
  host: Host,
  lab: string,
  names: readonly string[],
  request: LabRequest,
  onLine: (line: string) => void,
): Promise<LabUp> {
  const { state, refreshed } = await plan(host, lab, request, onLine);
  const created = addHosts(state, state.hsm === 'network' ? [NETWORK_HSM.host, ...names] : names);
  await ensurePasswords(lab);
  await writeState(state);
  await ensureBridge(host, lab);
  if (state.hsm === 'shared') await ensureTokenView(host, state);
  else await mkdir(labPlace(lab).socket, { recursive: true });
  const started = await bootHosts(host, state, refreshed, onLine);
  await writeHostsFiles(state);
  await finishHosts(host, state, onLine);
  return { state, created, started };
}

/** The state to reach, and whether its hosts are to get another bundle. */
async function plan(host: Host, lab: string, request: LabRequest, onLine: (line: string) => void) {
  const known = await readState(lab);
  if (known && request.hsm && known.hsm !== request.hsm) {
    throw refusal(
      'lab-hsm-differs',
      `The lab ${lab} has a ${known.hsm} HSM.`,
      `Use another lab with --lab NAME, or remove this one with: capstan lab down --lab ${lab}`,
    );
  }
  // An existing lab that is asked for no bundle by name, and whose checkout has none now, keeps its own.
  const bundle = await bundleLayer(host, request.bundle ?? (known?.bundle === null ? 'none' : undefined));
  if (known) return { state: { ...known, bundle }, refreshed: known.bundle !== bundle };
  const root = await rootFilesystem(host, HOST_ROOT, onLine);
  const hsm = request.hsm ?? 'shared';
  const state = newState({ name: lab, hsm, tokenName: request.tokenName ?? TOKEN_NAME, root, bundle });
  return { state, refreshed: false };
}

/** Adds the hosts that the lab does not have. @returns their names */
function addHosts(state: LabState, names: readonly string[]): string[] {
  const known = new Set(state.hosts.map(({ name }) => name));
  const added = names.filter((name) => !known.has(name));
  for (const name of added) {
    const octet = octetFor(name, new Set(state.hosts.map((other) => other.octet)));
    state.hosts.push({ name, octet, ready: false });
  }
  return added;
}

/** Boots every host that is off; the network HSM's first, the others need it while they boot. */
async function bootHosts(host: Host, state: LabState, refreshed: boolean, onLine: (line: string) => void) {
  const started: string[] = [];
  const bootOne = async (one: LabHost) => {
    if (await findMachine(state.name, one.name)) {
      if (!refreshed) return;
      onLine(`${one.name}: stopping it, to boot it with another bundle`);
      await stopMachine(state.name, one.name);
    }
    onLine(`${one.name}: booting`);
    await bootHost(host, state, one);
    started.push(one.name);
  };
  const isHsm = ({ name }: LabHost) => state.hsm === 'network' && name === NETWORK_HSM.host;
  await Promise.all(state.hosts.filter(isHsm).map(bootOne));
  await Promise.all(state.hosts.filter((one) => !isHsm(one)).map(bootOne));
  return started.sort();
}

/** Boots one host that is off, with everything that a reboot of this machine would have taken from it. */
export async function bootHost(host: Host, state: LabState, one: LabHost): Promise<void> {
  await ensureAttached(host, state.name, one);
  if (!one.ready) await prepareHost(state, one.name);
  await startMachine(host, state, one.name);
}

/** Does what is done once: in each host, and to the token. */
async function finishHosts(host: Host, state: LabState, onLine: (line: string) => void): Promise<void> {
  for (const one of state.hosts.filter(({ ready }) => !ready)) {
    if (state.hsm === 'shared') {
      // The set-up of SoftHSM's clients: its configuration is readable by this group only.
      await labExec(host, state.name, one.name, ['usermod', '--append', '--groups', SOFTHSM.group, PKI_USER]);
    }
    one.ready = true;
    await writeState(state);
  }
  const first = state.hosts[0];
  if (!state.tokenReady && state.hsm === 'shared' && first) {
    onLine(`${first.name}: initialising the token ${state.tokenName}`);
    await initialiseToken(host, state, first.name, PKI_USER);
    state.tokenReady = true;
    await writeState(state);
  }
}
