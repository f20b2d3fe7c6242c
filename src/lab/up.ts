import { refusal } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { withLock } from '../host/lock.ts';
import { blankToken } from './blank-token.ts';
import { bootHosts, ensureShared, stopHosts } from './boot.ts';
import { bundleLayer } from './bundle.ts';
import { labExec } from './exec.ts';
import { writeHostsFiles } from './host-files.ts';
import { labLock, labWait } from './lock.ts';
import { findMachine, isOutdated } from './machine.ts';
import { octetFor, requireHostName, requireLabName, requireTokenName } from './names.ts';
import { clientLibrary } from './network-hsm.ts';
import { requireTools } from './requirements.ts';
import { rootFilesystem } from './root.ts';
import { DEFAULT_LAB, HOST_ROOT, NETWORK_HSM, PKI_USER, SOFTHSM, TOKEN_NAME } from './settings.ts';
import {
  type HsmKind,
  type LabHost,
  type LabState,
  newState,
  readState,
  requireWhole,
  writeState,
} from './state.ts';
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
  /** Whether anything was done at all. */
  changed: boolean;
}

/**
 * Builds a lab, or adds what is missing to it: hosts that are new, hosts that are off. What runs is left alone,
 * except that all hosts are booted anew when the bundle is another one, or when they lost their way to the token.
 * A killed run is completed by the next.
 * @param onLine told each step, in a few words
 * @throws CapstanError `bad-lab-name`, `bad-host-name`, `lab-hosts-missing`, `lab-hsm-differs`, `lab-token-differs`,
 *   `bad-token-name`, `lab-full`, `lab-half-restored`,
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
  if (request.tokenName !== undefined) requireTokenName(request.tokenName);
  if (names.length === 0) {
    throw refusal('lab-hosts-missing', 'No host was named.', 'Name at least one: capstan lab up ca1');
  }
  await requireTools(host);
  return withLock(labLock(lab), () => build(host, lab, names, request, onLine), labWait(host, lab, onLine));
}

async function build(
  host: Host,
  lab: string,
  names: readonly string[],
  request: LabRequest,
  onLine: (line: string) => void,
): Promise<LabUp> {
  const state = await plan(host, lab, request, onLine);
  const created = addHosts(state, state.hsm === 'network' ? [NETWORK_HSM.host, ...names] : names);
  await ensurePasswords(lab);
  await writeState(state);
  const newView = await ensureShared(host, state);
  if (state.hsm === 'network') await clientLibrary(host, onLine);
  await stopHosts(state, newView ? state.hosts : await outdatedHosts(state), onLine);
  const started = await bootMissing(host, state, onLine);
  await writeHostsFiles(state);
  const finished = await finishHosts(host, state, onLine);
  return { state, created, started, changed: started.length > 0 || finished };
}

/** The state to reach: the lab's own with the bundle asked for, or a new one. */
async function plan(
  host: Host,
  lab: string,
  request: LabRequest,
  onLine: (line: string) => void,
): Promise<LabState> {
  const known = await readState(lab);
  if (known) requireSame(requireWhole(known), request);
  const root = known?.root ?? (await rootFilesystem(host, HOST_ROOT, onLine));
  // A lab that was built without a bundle gets one only when it is asked for by name.
  const bundle = await bundleLayer(host, request.bundle ?? (known?.bundle === null ? 'none' : undefined));
  if (known) return { ...known, bundle };
  const hsm = request.hsm ?? 'shared';
  return newState({ name: lab, hsm, tokenName: request.tokenName ?? TOKEN_NAME, root, bundle });
}

/** Refuses to make another lab of one that exists. @throws CapstanError `lab-hsm-differs`, `lab-token-differs` */
function requireSame({ name, hsm, tokenName }: LabState, request: LabRequest): void {
  const next = `Use another lab with --lab NAME, or remove this one with: capstan lab down --lab ${name}`;
  if (request.hsm && request.hsm !== hsm) {
    throw refusal('lab-hsm-differs', `The lab ${name} has a ${hsm} HSM.`, next);
  }
  if (request.tokenName && request.tokenName !== tokenName) {
    throw refusal('lab-token-differs', `The token of the lab ${name} is ${tokenName}.`, next);
  }
}

/** The hosts that run with another bundle than the lab has now. */
async function outdatedHosts(state: LabState): Promise<LabHost[]> {
  const outdated = await Promise.all(state.hosts.map(({ name }) => isOutdated(state, name)));
  return state.hosts.filter((_, index) => outdated[index]);
}

/** Adds the hosts that the lab does not have. @returns their names */
function addHosts(state: LabState, names: readonly string[]): string[] {
  const known = new Set(state.hosts.map(({ name }) => name));
  const added = [...new Set(names)].filter((name) => !known.has(name));
  for (const name of added) {
    const octet = octetFor(name, new Set(state.hosts.map((other) => other.octet)));
    state.hosts.push({ name, octet, ready: false });
  }
  return added;
}

/** Boots every host that is off. @returns their names */
async function bootMissing(host: Host, state: LabState, onLine: (line: string) => void): Promise<string[]> {
  const running = await Promise.all(state.hosts.map(({ name }) => findMachine(state.name, name)));
  const off = state.hosts.filter((_, index) => running[index] === undefined);
  await bootHosts(host, state, off, onLine);
  return off.map(({ name }) => name);
}

/** Does what is done once: in each host, and to the token. @returns whether there was anything to do */
async function finishHosts(host: Host, state: LabState, onLine: (line: string) => void): Promise<boolean> {
  const unfinished = state.hosts.filter(({ ready }) => !ready);
  for (const one of unfinished) {
    if (state.hsm === 'shared') {
      // The set-up of SoftHSM's clients: its configuration is readable by this group only.
      await labExec(host, state.name, one.name, ['usermod', '--append', '--groups', SOFTHSM.group, PKI_USER]);
    }
    one.ready = true;
    await writeState(state);
  }
  if (state.tokenReady) return unfinished.length > 0;
  onLine(`initialising the token ${state.tokenName}`);
  await blankToken(host, state);
  state.tokenReady = true;
  await writeState(state);
  return true;
}
