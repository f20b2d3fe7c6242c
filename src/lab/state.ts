import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { failure, refusal } from '../errors.ts';
import { labPlace, requireLabName } from './names.ts';
import { STATE_FOLDER } from './settings.ts';

/** The form of the state file; raised when an older one can no longer be read. */
const VERSION = 1;

/** Where a lab's keys are: in a SoftHSM folder that all hosts share, or behind a server on a host of its own. */
export type HsmKind = 'shared' | 'network';

/** A host of a lab, as planned; whether it runs is looked up, not kept. */
export interface LabHost {
  name: string;
  /** The last octet of its address. */
  octet: number;
  /** Whether everything that is done once in a new host was done. */
  ready: boolean;
}

/** What is known of a lab between two commands. */
export interface LabState {
  version: typeof VERSION;
  name: string;
  hsm: HsmKind;
  tokenName: string;
  /** The lowest overlay layer of all hosts. */
  root: string;
  /** The layer that holds Capstan's bundle, or null in a lab without one. */
  bundle: string | null;
  /** Whether the blank token was initialised. */
  tokenReady: boolean;
  created: string;
  hosts: LabHost[];
  /** The snapshot that is being restored: until that is done the lab is neither the old one nor the new one. */
  restoring?: string;
}

/** A new lab without hosts. */
export function newState(facts: Pick<LabState, 'name' | 'hsm' | 'tokenName' | 'root' | 'bundle'>): LabState {
  return { version: VERSION, ...facts, tokenReady: false, created: new Date().toISOString(), hosts: [] };
}

/**
 * The state of a lab, or undefined when there is no such lab.
 * @throws CapstanError `lab-state-unreadable`
 */
export async function readState(lab: string): Promise<LabState | undefined> {
  const { state: file } = labPlace(lab);
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    const state = JSON.parse(text) as LabState;
    if (state.version === VERSION && Array.isArray(state.hosts)) return state;
  } catch {
    // told below, like a file of another version
  }
  throw failure(
    'lab-state-unreadable',
    `The state of the lab ${lab} in ${file} was not written by this version of Capstan.`,
    `Remove the lab with 'capstan lab down --lab ${lab}' and build it again.`,
  );
}

/**
 * The state of a lab that must exist.
 * @throws CapstanError `bad-lab-name`, `lab-missing`, `lab-state-unreadable`
 */
export async function requireState(lab: string): Promise<LabState> {
  const state = await readState(requireLabName(lab));
  if (state) return state;
  throw refusal(
    'lab-missing',
    `There is no lab named ${lab}.`,
    'Build one with: capstan lab up ca1 ca2\nor name another with --lab; capstan lab list shows what there is.',
  );
}

/**
 * Refuses a lab whose restore was cut short.
 * @throws CapstanError `lab-half-restored`
 */
export function requireWhole(state: LabState): LabState {
  if (state.restoring === undefined) return state;
  throw refusal(
    'lab-half-restored',
    `Restoring the snapshot ${state.restoring} of the lab ${state.name} was cut short.`,
    `Restore it again: capstan lab restore ${state.restoring} --lab ${state.name}`,
  );
}

/**
 * A host of a lab.
 * @throws CapstanError `lab-host-missing`
 */
export function requireHost(state: LabState, name: string): LabHost {
  const host = state.hosts.find((candidate) => candidate.name === name);
  if (host) return host;
  const names = state.hosts.map((candidate) => candidate.name).join(', ') || 'none';
  throw refusal(
    'lab-host-missing',
    `The lab ${state.name} has no host ${name}; its hosts: ${names}.`,
    `Add it with: capstan lab up ${name}${state.name === 'default' ? '' : ` --lab ${state.name}`}`,
  );
}

/** Replaces the state file as a whole: a killed run leaves the old one or the new one. */
export async function writeState(state: LabState): Promise<void> {
  const { folder, state: file } = labPlace(state.name);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await writeFile(`${file}.new`, `${JSON.stringify(state, null, 2)}\n`, { flush: true });
  await rename(`${file}.new`, file);
}

/** The names of all labs that have a folder, whole or not. */
export async function labNames(): Promise<string[]> {
  const entries = await readdir(STATE_FOLDER, { withFileTypes: true }).catch(() => []);
  return entries
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name)
    .sort();
}
