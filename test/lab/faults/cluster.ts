/** What befalls a host that joins a cluster, or gets its CA later: judged on it and on the server that it joins. */
import { BUNDLE } from '../../../scripts/lib/task.ts';
import { type HsmKind, labRestore, labSnapshot } from '../../../src/lab/lab.ts';
import { issue } from '../cluster/certificates.ts';
import { carry, firstServer, fqdn, joinWords, succeeds, until, worded } from '../cluster/hosts.ts';
import { peerState } from '../cluster/peers.ts';
import { agreed, agreements, expectGood, expectReplicated, healthy, SOON } from '../cluster/proofs.ts';
import { changes, type HostState } from '../inventory.ts';
import { freshLab, inHost, LAB, machine, sh, unwell, VALUES } from '../support.ts';
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
export interface Base {
  name: string;
  /** What it is made from; without, from blank hosts. */
  from?: Base;
  make(): Promise<void>;
}

/** The first server, and a host beside it. */
export const FIRST: Base = {
  name: 'first',
  async make() {
    await firstServer();
    await carry(SERVER, '/etc/capstan/ca.crt', JOINING, '/root/cluster-ca.crt');
  },
};

const WITHOUT_CA: Base = {
  name: 'without-ca',
  from: FIRST,
  async make() {
    await succeeds(JOINING, joinWords({}, '--no-setup-ca'));
  },
};

/** Where the joining host has its join secret. */
const JOIN_SECRET = '/root/join-secret';

const PREPARED: Base = {
  name: 'prepared',
  from: FIRST,
  async make() {
    const { last } = await succeeds(SERVER, ['replica-prepare', fqdn(JOINING)]);
    const { joinSecret } = last as unknown as { joinSecret: string };
    await inHost(JOINING, ['bash', '-ec', `umask 077; cat > ${JOIN_SECRET}`], { input: joinSecret });
  },
};

/** What the lab was last made and how that was looked at, and whether it is as it was then. */
let made: { base: Base; hsm: HsmKind; look: Flow['look']; state: HostState; untouched: boolean } | undefined;

/** Whether the snapshots of an earlier run are good. */
let again = false;

/** Takes the servers from the snapshots of the lab that is there. */
export function goOn(): void {
  again = true;
}

/** What is looked at: the joining host, and what the directories of both know of others. */
async function lookAtBoth(): Promise<HostState> {
  return { ...resting(await look(undefined, JOINING)), ...(await directories()) };
}

/** What the directories know of others; the joining host may have none. */
async function directories(): Promise<HostState> {
  const hasOne = (await sh(JOINING, 'ls /etc/dirsrv/slapd-EXAMPLE-TEST/dse.ldif || true')) !== '';
  const states = await Promise.all(
    (hasOne ? [SERVER, JOINING] : [SERVER]).map(async (host) =>
      Object.entries(await peerState(host)).map(([kind, all]) => [`${host} ${kind}`, all] as const),
    ),
  );
  return Object.fromEntries(states.flat());
}

/**
 * What a directory that runs writes by itself, database and configuration: it is asked for both instead. And the
 * schema, which the servers learn from each other: definitions that a CA brought to one of them stay with all.
 */
const WRITTEN_BY_ITSELF = /\/slapd-[^/]+\/(db\/|dse\.ldif|schema\/99user\.ldif)/;

/** A look at a host without what a directory there that nothing befell changes by itself. */
function resting(state: HostState): HostState {
  const contents = state.contents?.filter((line) => !WRITTEN_BY_ITSELF.test(line));
  const files = state.files?.filter((line) => !/\/slapd-[^/]+\/db\/(log\.|__db)/.test(line));
  return { ...state, ...(contents && { contents }), ...(files && { files }) };
}

async function blank(base: Base, hsm: HsmKind, lookAt: Flow['look']): Promise<HostState> {
  const known = made?.base === base && made.hsm === hsm && made.look === lookAt ? made : undefined;
  if (!known?.untouched) await bring(base, hsm);
  const state = known?.state ?? (await lookAt());
  made = { base, hsm, look: lookAt, state, untouched: false };
  return state;
}

/** What a flow begins with, and how that is looked at. */
export function basedOn(base: Base, lookAt: Flow['look']): Pick<Flow, 'blank' | 'blankAgain' | 'look'> {
  return {
    blank: (_, hsm) => blank(base, hsm, lookAt),
    blankAgain: () => {
      if (made) made.untouched = true;
    },
    look: lookAt,
  };
}

/** Puts the lab back to what a flow begins with, or makes it and keeps it. */
async function bring(base: Base, hsm: HsmKind): Promise<void> {
  if (!(await restored(base, hsm))) {
    if (base.from) await bring(base.from, hsm);
    else await freshLab({ hosts: [SERVER, JOINING], hsm });
    await base.make();
    await labSnapshot(machine, LAB, base.name);
  }
  again = true;
  await serverIsUp();
}

async function restored(base: Base, hsm: HsmKind): Promise<boolean> {
  if (!again) return false;
  const state = await labRestore(machine, LAB, base.name, { bundle: BUNDLE }).catch(() => undefined);
  return state?.hsm === hsm;
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
  const known = Object.entries(before).filter(([kind]) => /^ca\d /.test(kind));
  const { found } = await until(
    SOON,
    async () => changes(Object.fromEntries(known), await directories()),
    (all) => all.length === 0,
  );
  const mine = Object.entries(before).filter(([kind]) => !/^ca\d /.test(kind));
  return [...up, ...(await flawsOfBlank(Object.fromEntries(mine), JOINING, resting)), ...found];
}

/** What the flows differ in. */
interface ClusterFlow {
  base: Base;
  /** The command. */
  name: string;
  /** The words of its beginning, with the command. */
  words(changes: Changes): string[];
  /** What it goes on with besides the passwords; its undo is given nothing then. */
  secrets?: Changes;
  journal?: string;
}

/** A flow on the joining host; the ways on from its beginning take secrets alone. */
function clusterFlow({ base, name, words, secrets, journal }: ClusterFlow): Flow {
  const run = (argv: readonly string[], blows: Blows = {}): Promise<Run> =>
    capstan(argv, blows, JOINING, journal);
  return {
    host: JOINING,
    ...basedOn(base, lookAtBoth),
    begin: (options, blows, changes) => run([...words(changes), ...options], blows),
    resume: (blows) => run([name, '--resume', ...worded({ ...PASSWORDS, ...secrets })], blows),
    undo: (blows) => run([name, '--undo', ...worded(secrets ? {} : PASSWORDS)], blows),
    flawsOfServer: flawsOfPair,
    flawsOfBlank: flawsOfNothing,
  };
}

/** `replica-install` on a host beside the first server. */
export const REPLICA: Flow = clusterFlow({
  base: FIRST,
  name: 'replica-install',
  words: (changes) => joinWords(changes).filter((word) => word !== '--unattended'),
});

const SECRET: Changes = { '--join-secret-file': JOIN_SECRET };

/** The same with a join secret, without the Directory Manager of the cluster: another try may be made with it. */
export const REPLICA_BY_SECRET: Flow = clusterFlow({
  base: PREPARED,
  name: 'replica-install',
  words: (changes) => joinWords({ ...SECRET, ...changes }).filter((word) => word !== '--unattended'),
  secrets: SECRET,
});

/** `ca-add` on a replica without a CA. */
export const CA_ADD: Flow = clusterFlow({
  base: WITHOUT_CA,
  name: 'ca-add',
  words: (changes) => ['ca-add', ...worded({ ...PASSWORDS, ...changes })],
  journal: '/var/lib/capstan/ca.json',
});

/** Runs a shell script on the server that is joined. */
export function onServer(script: string): Promise<string> {
  return sh(SERVER, script);
}
