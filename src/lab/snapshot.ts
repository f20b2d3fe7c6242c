import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { refusal } from '../errors.ts';
import { pathExists } from '../host/files.ts';
import type { Host } from '../host/host.ts';
import { bootHosts, ensureShared, stopHosts, together } from './boot.ts';
import { bundleLayer } from './bundle.ts';
import { removeHost } from './down.ts';
import { writeHostsFiles } from './host-files.ts';
import { killMachine } from './machine.ts';
import { hostPlace, labPlace, requireSnapshotName } from './names.ts';
import { removeFolders } from './remove.ts';
import { rootFilesystem } from './root.ts';
import { HOST_ROOT } from './settings.ts';
import { type LabState, readState, writeState } from './state.ts';

/** Seconds that copying one host may take. */
const COPY_DEADLINE = 600;

/** A snapshot as it is on disk. */
export interface Snapshot {
  name: string;
  /** When it was taken, ISO 8601. */
  taken: string;
  state: LabState;
}

function snapshotPlace(lab: string, name: string) {
  const folder = join(labPlace(lab).snapshots, name);
  return { folder, record: join(folder, 'snapshot.json') };
}

/** The snapshots of a lab, oldest first. */
export async function snapshotsOf(lab: string): Promise<Snapshot[]> {
  const names = await readdir(labPlace(lab).snapshots).catch(() => []);
  const whole = names.filter((name) => !name.startsWith('.'));
  const found = await Promise.all(whole.map((name) => readSnapshot(lab, name)));
  return found.filter((one) => one !== undefined).sort((a, b) => a.taken.localeCompare(b.taken));
}

async function readSnapshot(lab: string, name: string): Promise<Snapshot | undefined> {
  const text = await readFile(snapshotPlace(lab, name).record, 'utf8').catch(() => undefined);
  return text === undefined ? undefined : (JSON.parse(text) as Snapshot);
}

/**
 * Keeps the hosts' file systems, the token and the lab's values as they are. The hosts that run are stopped
 * meanwhile, cleanly, and booted again.
 * @throws CapstanError `bad-snapshot-name`, `snapshot-exists`
 */
export async function takeSnapshot(
  host: Host,
  state: LabState,
  name: string,
  replace: boolean,
  onLine: (line: string) => void,
): Promise<void> {
  const { folder } = snapshotPlace(state.name, requireSnapshotName(name));
  if (!replace && (await readSnapshot(state.name, name))) {
    throw refusal(
      'snapshot-exists',
      `The lab ${state.name} has a snapshot ${name} already.`,
      'Take another name, or replace it with --replace.',
    );
  }
  const running = await stopHosts(state, state.hosts, onLine);
  onLine(`copying ${state.hosts.length} hosts and the token`);
  const { snapshots } = labPlace(state.name);
  const [unfinished, replaced] = [join(snapshots, '.unfinished'), join(snapshots, '.replaced')];
  try {
    await removeFolders(host, [unfinished, replaced]);
    await mkdir(join(unfinished, 'hosts'), { recursive: true, mode: 0o700 });
    await copyLab(host, state, unfinished);
    const record: Snapshot = { name, taken: new Date().toISOString(), state };
    await writeFile(join(unfinished, 'snapshot.json'), `${JSON.stringify(record, null, 2)}\n`);
    // Out of the way first: a removal that is cut short must not leave half a snapshot that looks whole.
    if (await pathExists(folder)) await rename(folder, replaced);
    await rename(unfinished, folder);
    await removeFolders(host, [replaced]);
  } finally {
    // On a signal of its own: what an interrupted copy stopped must run again.
    await bootHosts(host.under(), state, running, onLine);
  }
}

async function copyLab(host: Host, state: LabState, target: string): Promise<void> {
  const place = labPlace(state.name);
  await together([
    ...state.hosts.map(({ name }) =>
      copy(host, hostPlace(state.name, name).upper, join(target, 'hosts', name)),
    ),
    copy(host, place.values, join(target, 'values')),
    ...(state.hsm === 'shared' ? [copy(host, place.token, join(target, 'token'))] : []),
  ]);
}

/** A copy with owners, modes, times and the overlay's own extended attributes; shared blocks where that can be. */
async function copy(host: Host, from: string, to: string): Promise<void> {
  await host.run('cp', ['-a', '--reflink=auto', '--no-target-directory', from, to], {
    deadline: COPY_DEADLINE,
  });
}

/** What may be different when a snapshot is restored. */
export interface RestoreOptions {
  /** As for {@link bundleLayer}; the bundle of the lab, or of the snapshot, unless told. */
  bundle?: string;
  /** The lab whose snapshot it is; the lab itself, unless told. */
  from?: string;
}

/**
 * Puts a lab back to a snapshot: its hosts, and only those, with the token and values of then. What the lab is now is
 * thrown away. A lab that was removed with its snapshots kept comes back, and one that never was is made from a
 * snapshot of another.
 * @throws CapstanError `snapshot-missing`, `snapshot-image-missing`, and those of {@link bundleLayer}
 */
export async function restoreSnapshot(
  host: Host,
  lab: string,
  name: string,
  { bundle, from = lab }: RestoreOptions,
  onLine: (line: string) => void,
): Promise<LabState> {
  const snapshot = await requireSnapshot(from, name);
  const now = await readState(lab).catch(() => undefined);
  await requireImage(host, snapshot.state, onLine);
  const chosen = await chooseBundle(host, snapshot, now, bundle);
  const state: LabState = { ...snapshot.state, name: lab, bundle: chosen };
  const doomed = [...new Set([...(now?.hosts ?? []), ...state.hosts].map((one) => one.name))];
  // Until the end this says that what is there is neither the old lab nor the snapshot.
  await writeState({ ...state, hosts: [...state.hosts, ...extra(now, state)], restoring: name });
  await Promise.all(doomed.map((one) => killMachine(lab, one)));
  await Promise.all(extra(now, state).map((one) => removeHost(host, lab, one.name, onLine)));
  onLine(`copying ${state.hosts.length} hosts and the token`);
  await copyBack(host, state, snapshotPlace(from, name).folder, doomed);
  await writeState(state);
  await ensureShared(host, state);
  await bootHosts(host, state, state.hosts, onLine);
  await writeHostsFiles(state);
  return state;
}

/** The hosts that the snapshot does not have: they stay known until they are gone. */
function extra(now: LabState | undefined, then: LabState) {
  const names = new Set(then.hosts.map(({ name }) => name));
  return (now?.hosts ?? []).filter(({ name }) => !names.has(name));
}

async function copyBack(host: Host, state: LabState, from: string, doomed: readonly string[]): Promise<void> {
  const place = labPlace(state.name);
  await together(
    doomed.map(async (name) => {
      const { upper, work } = hostPlace(state.name, name);
      await removeFolders(host, [upper, work]);
    }),
  );
  await mkdir(place.values, { recursive: true, mode: 0o700 });
  await together([
    ...state.hosts.map(async ({ name }) => {
      const { folder, upper } = hostPlace(state.name, name);
      await mkdir(folder, { recursive: true });
      await copy(host, join(from, 'hosts', name), upper);
    }),
    copy(host, join(from, 'values'), place.values),
    ...(state.hsm === 'shared' ? [replaceToken(host, join(from, 'token'), place.token)] : []),
  ]);
}

/** Replaces what is in the token folder; the folder itself stays, for the hosts' view of it is mounted. */
async function replaceToken(host: Host, from: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true, mode: 0o770 });
  const names = await readdir(to);
  await removeFolders(
    host,
    names.map((name) => join(to, name)),
  );
  await copy(host, from, to);
}

async function requireSnapshot(lab: string, name: string): Promise<Snapshot> {
  const snapshot = await readSnapshot(lab, requireSnapshotName(name));
  if (snapshot) return snapshot;
  const names = (await snapshotsOf(lab)).map((one) => one.name).join(', ') || 'none';
  throw refusal(
    'snapshot-missing',
    `The lab ${lab} has no snapshot ${name}; its snapshots: ${names}.`,
    'Take one with: capstan lab snapshot NAME',
  );
}

async function chooseBundle(
  host: Host,
  snapshot: Snapshot,
  now: LabState | undefined,
  bundle: string | undefined,
): Promise<string | null> {
  if (bundle !== undefined) return bundleLayer(host, bundle);
  const kept = now ? now.bundle : snapshot.state.bundle;
  if (kept === null || (await pathExists(kept))) return kept;
  return bundleLayer(host, undefined);
}

/** The hosts' files are differences to one image: only on that do they mean anything. */
async function requireImage(host: Host, state: LabState, onLine: (line: string) => void): Promise<void> {
  if (await pathExists(state.root)) return;
  if ((await rootFilesystem(host, HOST_ROOT, onLine)) === state.root) return;
  throw refusal(
    'snapshot-image-missing',
    `The image that the snapshot was taken on is gone: ${state.root}`,
    'Build the lab anew: capstan lab down, then capstan lab up.',
  );
}
