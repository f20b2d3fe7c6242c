import { refusal } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { blankToken } from './blank-token.ts';
import { bootHosts, ensureShared, stopHosts } from './boot.ts';
import { bundleLayer } from './bundle.ts';
import { labExec } from './exec.ts';
import { writeHostsFiles } from './host-files.ts';
import { labLock, withLock } from './lock.ts';
import { findMachine } from './machine.ts';
import { octetFor, requireHostName, requireLabName } from './names.ts';
import { clientLibrary } from './network-hsm.ts';
import { requireTools } from './requirements.ts';
import { rootFilesystem } from './root.ts';
import { DEFAULT_LAB, HOST_ROOT, NETWORK_HSM, PKI_USER, SOFTHSM, TOKEN_NAME } from './settings.ts';
import { type HsmKind, type LabState, newState, readState, requireWhole, writeState } from './state.ts';
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

/**
 * Builds a lab, or adds what is missing to it: hosts that are new, hosts that are off. What runs is left alone,
 * except that a host whose bundle is another than the one asked for is booted with that one.
 * A killed run is completed by the next.
 * @param onLine told each step, in a few words
 * @throws CapstanError `bad-lab-name`, `bad-host-name`, `lab-hosts-missing`, `lab-hsm-differs`, `lab-full`,
 *   `lab-half-restored`,
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
  await ensureShared(host, state);
  if (state.hsm === 'network') await clientLibrary(host, onLine);
  const started = await bootMissing(host, state, refreshed, onLine);
  await writeHostsFiles(state);
  await finishHosts(host, state, onLine);
  return { state, created, started };
}

/** The state to reach, and whether its hosts are to get another bundle. */
async function plan(host: Host, lab: string, request: LabRequest, onLine: (line: string) => void) {
  const known = await readState(lab);
  if (known) requireWhole(known);
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

/** Boots every host that is off, and those that are to get another bundle. @returns their names */
async function bootMissing(host: Host, state: LabState, refreshed: boolean, onLine: (line: string) => void) {
  if (refreshed) {
    onLine('the bundle is another one: booting the hosts with it');
    await stopHosts(state, onLine);
  }
  const running = await Promise.all(state.hosts.map(({ name }) => findMachine(state.name, name)));
  const off = state.hosts.filter((_, index) => running[index] === undefined);
  await bootHosts(host, state, off, onLine);
  return off.map(({ name }) => name);
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
  if (state.tokenReady) return;
  onLine(`initialising the token ${state.tokenName}`);
  await blankToken(host, state);
  state.tokenReady = true;
  await writeState(state);
}
