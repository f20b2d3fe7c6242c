/** What befalls a host that joins a cluster, or gets its CA later: judged on it and on the server that it joins. */
import { labRestore, labSnapshot } from '../../../src/lab/lab.ts';
import { issue } from '../cluster/certificates.ts';
import { carry, firstServer, joinWords, succeeds, until, worded } from '../cluster/hosts.ts';
import { peerState } from '../cluster/peers.ts';
import { agreed, agreements, expectGood, expectReplicated, healthy, SOON } from '../cluster/proofs.ts';
import { changes, type HostState } from '../inventory.ts';
import { freshLab, LAB, machine, sh, unwell, VALUES } from '../support.ts';
import type { Flow } from './flow.ts';
import { flawsOfBlank, flawsOfServer } from './judge.ts';
import { type Blows, capstan, look, type Run } from './rig.ts';

/** The server that is joined. */
export const SERVER = 'ca1';
/** The host that is struck. */
export const JOINING = 'ca2';

type Changes = Record<string, string | undefined>;

const PASSWORDS: Changes = {
  '--ds-password-file': `${VALUES}/ds-password`,
  '--token-password-file': `${VALUES}/token-password`,
};

/** How a cluster becomes what a flow begins with. */
interface Base {
  name: string;
  make(): Promise<void>;
}

const FIRST: Base = {
  name: 'first',
  async make() {
    await firstServer();
    await carry(SERVER, '/etc/capstan/ca.crt', JOINING, '/root/cluster-ca.crt');
  },
};

const WITHOUT_CA: Base = {
  name: 'without-ca',
  async make() {
    await FIRST.make();
    await succeeds(JOINING, joinWords({}, '--no-setup-ca'));
  },
};

/** The base that the lab was last built for, with the HSM that it has; whether it is as it was then. */
let built: { base: Base; hsm: string; state: HostState; untouched: boolean } | undefined;

/** The joining host, and what the server that it joins knows of others. */
async function lookAtBoth(): Promise<HostState> {
  const peer = Object.entries(await peerState(SERVER)).map(([kind, lines]) => [`${SERVER} ${kind}`, lines]);
  return { ...(await look(undefined, JOINING)), ...Object.fromEntries(peer) };
}

async function blank(base: Base, hsm: 'shared' | 'network'): Promise<HostState> {
  if (built?.base === base && built.hsm === hsm) {
    if (built.untouched) return taken(built);
    const restored = await labRestore(machine, LAB, base.name).catch(() => undefined);
    if (restored) {
      await serverIsUp();
      return taken(built);
    }
  }
  await freshLab({ hosts: [SERVER, JOINING], hsm });
  await base.make();
  await labSnapshot(machine, LAB, base.name);
  await serverIsUp();
  built = { base, hsm, state: await lookAtBoth(), untouched: false };
  return built.state;
}

function taken(base: NonNullable<typeof built>): HostState {
  base.untouched = false;
  return base.state;
}

/** Waits for the server to be well: Tomcat takes a while after a boot. @returns what is not */
export async function serverIsUp(): Promise<string[]> {
  const { found } = await until(
    180,
    () => unwell(SERVER),
    (all) => all.length === 0,
  );
  return found.map((name) => `status of ${SERVER}: ${name} is not well`);
}

/** What is wrong with a pair of servers that should be a whole cluster. */
async function flawsOfPair(): Promise<string[]> {
  const flaws = [...(await flawsOfServer(undefined, JOINING)), ...(await serverIsUp())];
  if (flaws.length > 0) return flaws;
  for (const [host, peer] of [
    [SERVER, JOINING],
    [JOINING, SERVER],
  ] as const) {
    const { found } = await until(SOON, () => agreements(host), healthy);
    flaws.push(...changes({ [host]: lines(agreed([peer])) }, { [host]: lines(found) }));
  }
  return [...flaws, ...(await refuted(pairWorks))];
}

async function pairWorks(): Promise<void> {
  await expectReplicated([SERVER, JOINING]);
  await expectGood([...(await issue(SERVER)), ...(await issue(JOINING))], [SERVER, JOINING]);
}

function lines(record: Record<string, string>): string[] {
  return Object.entries(record).map((pair) => pair.join(' '));
}

/** What an expectation that is not met says. */
async function refuted(proof: () => Promise<void>): Promise<string[]> {
  try {
    await proof();
    return [];
  } catch (error) {
    return [(error as Error).message.slice(0, 1000)];
  }
}

/** What is wrong where all was taken back: on the host, and on the server that it wanted to join. */
async function flawsOfNothing(before: HostState): Promise<string[]> {
  const up = await serverIsUp();
  const { [SERVER]: _, ...mine } = before;
  const host = Object.fromEntries(Object.entries(mine).filter(([kind]) => !kind.startsWith(`${SERVER} `)));
  const peer = Object.fromEntries(Object.entries(mine).filter(([kind]) => kind.startsWith(`${SERVER} `)));
  const { found } = await until(
    SOON,
    async () => changes(peer, await peerOnly()),
    (all) => all.length === 0,
  );
  return [...up, ...(await flawsOfBlank(host, JOINING)), ...found];
}

async function peerOnly(): Promise<HostState> {
  const state = await peerState(SERVER);
  return Object.fromEntries(Object.entries(state).map(([kind, all]) => [`${SERVER} ${kind}`, all]));
}

/**
 * A flow on the joining host.
 * @param words of its beginning; the ways on from it take the passwords alone
 */
function clusterFlow(
  base: Base,
  name: string,
  words: (changes: Changes) => string[],
  journal?: string,
): Flow {
  const run = (argv: readonly string[], blows: Blows = {}): Promise<Run> =>
    capstan(argv, blows, JOINING, journal);
  const onward = (way: string, blows?: Blows) => run([name, way, ...worded(PASSWORDS)], blows);
  return {
    host: JOINING,
    blank: (_, hsm) => blank(base, hsm),
    blankAgain: () => {
      if (built) built.untouched = true;
    },
    look: lookAtBoth,
    begin: (options, blows, changes) => run([...words(changes), ...options], blows),
    resume: (blows) => onward('--resume', blows),
    undo: (blows) => onward('--undo', blows),
    flawsOfServer: flawsOfPair,
    flawsOfBlank: flawsOfNothing,
  };
}

/** `replica-install` on a host beside the first server. */
export const REPLICA: Flow = clusterFlow(FIRST, 'replica-install', (changes) =>
  joinWords(changes).filter((word) => word !== '--unattended'),
);

/** `ca-add` on a replica without a CA. */
export const CA_ADD: Flow = clusterFlow(
  WITHOUT_CA,
  'ca-add',
  (changes) => ['ca-add', ...worded({ ...PASSWORDS, ...changes })],
  '/var/lib/capstan/ca.json',
);

/** Runs a shell script on the server that is joined. */
export function onServer(script: string): Promise<string> {
  return sh(SERVER, script);
}
