/**
 * Clusters that several test files begin with. The file that is the first to need one builds it in its own lab and puts
 * it on a shelf, as a snapshot of a lab of that name; the others take it from there. Its boot is a reboot of all hosts.
 */
import { mkdir, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pathExists } from '../../src/host/files.ts';
import { withLock } from '../../src/host/lock.ts';
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
  await withLock(`${SHELF} ${ready}`, () => bring(ready));
  if (blank.length > 0) await labUp(machine, { lab: LAB, hosts: blank });
  for (const host of blank) await carry('ca1', '/etc/capstan/ca.crt', host, CA_FILE);
}

async function bring(ready: Ready): Promise<void> {
  const { from, servers, make } = RECIPES[ready];
  const place = (lab: string) => join(labPlace(lab).snapshots, ready);
  if (await pathExists(place(SHELF))) {
    await labDown(machine, { lab: LAB });
    await labRestore(machine, LAB, ready, { from: SHELF });
  } else {
    if (from) await readyLab(from);
    await make();
    await labSnapshot(machine, LAB, ready);
    await mkdir(dirname(place(SHELF)), { recursive: true, mode: 0o700 });
    await rename(place(LAB), place(SHELF));
  }
  for (const server of servers) {
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
