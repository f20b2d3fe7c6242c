/**
 * Clusters that several test files begin with. The file that is the first to need one builds it in its own lab and puts
 * it on a shelf, as a snapshot of a lab of that name; the others take it from there. Its boot is a reboot of all hosts.
 */
import { mkdir, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pathExists } from '../../src/host/files.ts';
import { type Lock, takeLock, withLock } from '../../src/host/lock.ts';
import { labDown, labRestore, labSnapshot, labUp } from '../../src/lab/lab.ts';
import { labPlace } from '../../src/lab/names.ts';
import { CA_FILE, carry, firstServer, joinWords, succeeds, until } from './cluster/hosts.ts';
import { freshLab, LAB, LABS, machine, unwell, VALUES } from './support.ts';

/** The lab that has nothing but the snapshots. */
const SHELF = `${LABS}-x`;
/** Seconds for a server to be well after a boot. */
const BOOTED = 240;

/** How a cluster becomes another. */
interface Recipe {
  from?: Ready;
  /** Those with a server. */
  servers: readonly string[];
  make(): Promise<void>;
}

/** The clusters: one server; two; two with a KRA each. */
export type Ready = 'one' | 'two' | 'two-kra';

const RECIPES: Readonly<Record<Ready, Recipe>> = {
  one: {
    servers: ['ca1'],
    async make() {
      await freshLab({ hosts: ['ca1'] });
      await firstServer();
    },
  },
  two: { from: 'one', servers: ['ca1', 'ca2'], make: () => join2() },
  'two-kra': {
    from: 'one',
    servers: ['ca1', 'ca2'],
    async make() {
      await succeeds('ca1', [
        ...['kra-add', '--unattended', '--ds-password-file', `${VALUES}/ds-password`],
        ...['--token-password-file', `${VALUES}/token-password`],
      ]);
      await join2('--setup-kra');
    },
  },
};

async function join2(...more: readonly string[]): Promise<void> {
  await labUp(machine, { lab: LAB, hosts: ['ca2'] });
  await carry('ca1', '/etc/capstan/ca.crt', 'ca2', CA_FILE);
  await succeeds('ca2', joinWords({}, ...more));
}

/**
 * Makes this file's lab a cluster that is well, with blank hosts beside it that have the cluster's CA certificate in
 * {@link CA_FILE}.
 */
export async function readyLab(
  ready: Ready,
  { blank = [] }: { blank?: readonly string[] } = {},
): Promise<void> {
  await withLock(lockOf(ready), () => bring(ready));
  if (blank.length > 0) await labUp(machine, { lab: LAB, hosts: blank });
  for (const host of blank) await carry('ca1', '/etc/capstan/ca.crt', host, CA_FILE);
}

/** A cluster that a test file builds before the eyes of its tests, for itself and for those that wait for it. */
export interface Building {
  /** Puts it on the shelf as it is, at a reboot of all its hosts; then nobody waits any longer. */
  shelve(): Promise<void>;
  /** Has nobody wait any longer. */
  giveUp(): Promise<void>;
}

/** Has the other files wait for a cluster that this one is about to build, unless it is on the shelf or being built already. */
export async function announce(ready: Ready): Promise<Building> {
  let lock: Lock | undefined = await takeLock(lockOf(ready));
  const giveUp = async () => {
    await lock?.release();
    lock = undefined;
  };
  return {
    giveUp,
    async shelve() {
      if (lock && !(await pathExists(snapshotOf(SHELF, ready)))) await putOnShelf(ready);
      await giveUp();
      await untilWell(ready);
    },
  };
}

function lockOf(ready: Ready): string {
  return `${SHELF} ${ready}`;
}

function snapshotOf(lab: string, ready: Ready): string {
  return join(labPlace(lab).snapshots, ready);
}

async function bring(ready: Ready): Promise<void> {
  const { from, make } = RECIPES[ready];
  if (await pathExists(snapshotOf(SHELF, ready))) {
    await labDown(machine, { lab: LAB });
    await labRestore(machine, LAB, ready, { from: SHELF });
  } else {
    if (from) await readyLab(from);
    await make();
    await putOnShelf(ready);
  }
  await untilWell(ready);
}

async function putOnShelf(ready: Ready): Promise<void> {
  const shelf = snapshotOf(SHELF, ready);
  await labSnapshot(machine, LAB, ready);
  await mkdir(dirname(shelf), { recursive: true, mode: 0o700 });
  await rename(snapshotOf(LAB, ready), shelf);
}

async function untilWell(ready: Ready): Promise<void> {
  for (const server of RECIPES[ready].servers) {
    const { found } = await until(
      BOOTED,
      () => unwell(server),
      (names) => names.length === 0,
    );
    if (found.length > 0)
      throw new Error(`${server} of the ready cluster ${ready} is unwell: ${found.join(', ')}`);
  }
}

/** Empties the shelf. Vitest calls it before the first file and after the last. */
export async function emptyShelf(): Promise<void> {
  await labDown(machine, { lab: SHELF });
}
