/** The faults of a host that joins: killed, without power, cut off from the server that it joins, or from the HSM. */
import { labHsm, labPower } from '../../../src/lab/lab.ts';
import { cut, heal } from '../cluster/hosts.ts';
import { inHost, LAB, machine, sh } from '../support.ts';
import { type Case, caseFault } from './case.ts';
import { CA_ADD, JOINING, onServer, REPLICA, REPLICA_BY_SECRET, SERVER, serverIsUp } from './cluster.ts';
import type { Context, Fault, UsualStep } from './fault.ts';
import { killChain, killThenUndo, pointsOf, type Struck, secondsUntil, strikeAt } from './kills.ts';
import type { Run } from './rig.ts';

const CA = 'certificate-authority';

/** The steps of `replica-install` and their seconds, as {@link USUAL_STEPS} has those of the first server. */
export const REPLICA_STEPS: readonly UsualStep[] = [
  { id: 'system-nss-database', seconds: 0.05 },
  { id: 'ca-certificate', seconds: 0.05 },
  { id: 'join', seconds: 1 },
  { id: 'directory-instance', seconds: 9 },
  { id: 'directory-certificate', seconds: 4 },
  { id: 'directory-rights', seconds: 0.1 },
  { id: 'domain-replication', seconds: 4 },
  { id: 'server-record', seconds: 0.1 },
  { id: 'ca-replication', seconds: 5 },
  { id: 'certificate-authority', seconds: 65 },
  { id: 'keys-on-token', seconds: 0.6 },
  { id: 'tracking', seconds: 1.5 },
  { id: 'ca-role', seconds: 0.2 },
  { id: 'start-at-boot', seconds: 0.4 },
  { id: 'join-ended', seconds: 0.1 },
];

/** The steps of `ca-add`. */
export const CA_ADD_STEPS: readonly UsualStep[] = [
  { id: 'join', seconds: 1 },
  { id: 'ca-replication', seconds: 5 },
  { id: 'certificate-authority', seconds: 65 },
  { id: 'keys-on-token', seconds: 0.6 },
  { id: 'tracking', seconds: 1.5 },
  { id: 'ca-role', seconds: 0.2 },
  { id: 'start-at-boot', seconds: 0.4 },
  { id: 'join-ended', seconds: 0.1 },
];

const JOIN: Struck = { flow: REPLICA, steps: REPLICA_STEPS, prefix: 'replica-', what: 'Replica: ' };
const ADD: Struck = { flow: CA_ADD, steps: CA_ADD_STEPS, prefix: 'ca-add-', what: 'CA added: ' };

const BY_SECRET: Struck = {
  flow: REPLICA_BY_SECRET,
  steps: REPLICA_STEPS,
  prefix: 'replica-secret-',
  what: 'Replica by join secret: ',
};

/** Seconds to put the cluster back, and for a look at both of its hosts. */
const AROUND = 45;

const whole = ({ steps }: Struck) => steps.reduce((sum, { seconds }) => sum + seconds, 0);

/** One run that is killed in every step, and resumed after each kill. */
function longChain(struck: Struck): Fault {
  const seconds = AROUND + 2 * whole(struck) + 12 * struck.steps.length;
  return killChain(`${struck.prefix}kill-resume`, seconds, pointsOf(struck.steps), struck);
}

/** The same in parts that are short enough for a sample: one a step. */
function shortChains(struck: Struck): Fault[] {
  return struck.steps.map(({ id, seconds }) =>
    killChain(
      `${struck.prefix}kill-resume/${id}`,
      AROUND + whole(struck) + 1.5 * seconds,
      pointsOf([{ id }]),
      struck,
    ),
  );
}

/** A case in a step of the flow. */
function within(struck: Struck, step: string, one: Omit<Case, 'flow' | 'where' | 'seconds'>): Fault {
  const until = AROUND + secondsUntil(struck.steps, { step, moment: 'middle' });
  const seconds = until + (one.way === 'resume' ? whole(struck) : 20);
  const named = { name: struck.prefix + one.name, fault: struck.what + one.fault };
  return caseFault({ ...one, ...named, flow: struck.flow, where: step, seconds });
}

/** Something is done outside in the middle of a step. */
const outside = (struck: Struck, step: string, work: () => Promise<void>) => (_: Context) => ({
  strikes: [strikeAt(struck.steps, { step, moment: 'middle' as const }, { outside: 'it' })],
  outside: { it: work },
});

function powerCuts(struck: Struck): Fault[] {
  return [CA, 'ca-replication'].flatMap((step) =>
    (['resume', 'undo'] as const).map((way) =>
      within(struck, step, {
        name: `power-${way}/${step}`,
        fault: `Power cut in the middle of a step, then --${way}`,
        blows: outside(struck, step, () => labPower(machine, LAB, JOINING, 'kill')),
        repair: async () => {
          await labPower(machine, LAB, JOINING, 'on');
        },
        way,
      }),
    ),
  );
}

/** Only through its own directory can a host have the other servers forget its CA. */
function ownDirectoryStopped(struck: Struck): Fault {
  return within(struck, CA, {
    name: 'directory-undo',
    fault: 'SIGKILL in mid-pkispawn, own directory stopped, then --undo',
    blows: () => ({
      strikes: [strikeAt(struck.steps, { step: CA, moment: 'middle' }, { signal: 'SIGKILL' })],
    }),
    repair: async () => {
      await sh(JOINING, 'systemctl stop dirsrv@EXAMPLE-TEST');
      return [];
    },
    way: 'undo',
  });
}

/** The server that is joined is away, or the network to it: nothing of it can be cleaned until it is back. */
function without(
  struck: Struck,
  name: string,
  what: string,
  gone: () => Promise<void>,
  back: () => Promise<void>,
) {
  return [CA, 'ca-replication'].flatMap((step) => [
    within(struck, step, {
      name: `${name}-undo/${step}`,
      fault: `${what} in the middle of a step; back again, then --undo`,
      blows: outside(struck, step, gone),
      repair: async (run) => [...toldItsPeer(run), ...(await returned(back))],
      way: 'undo',
    }),
    within(struck, step, {
      name: `${name}-resume/${step}`,
      fault: `${what} in the middle of a step, --keep; back again, then --resume`,
      options: ['--keep'],
      blows: outside(struck, step, gone),
      ends: { exit: 1 },
      repair: () => returned(back),
      way: 'resume',
    }),
  ]);
}

async function returned(back: () => Promise<void>): Promise<string[]> {
  await back();
  return serverIsUp();
}

/** What could not be taken back must be told: this run does not end as one whose undo may not fail. */
function toldItsPeer({ exit, events }: Run): string[] {
  const failed = events.some(({ type }) => type === 'undo-failed');
  return [
    ...(exit === 1 ? [] : [`exit ${exit}, not 1`]),
    ...(failed ? [] : ['no undo failed, though the server was out of reach']),
  ];
}

function hsmAway(struck: Struck): Fault[] {
  return (['resume', 'undo'] as const).map((way) =>
    within(struck, CA, {
      hsm: 'network',
      name: `hsm-stop-${way}`,
      fault: `HSM stopped in mid-pkispawn, --keep, started again, then --${way}`,
      options: ['--keep'],
      blows: outside(struck, CA, () => labHsm(machine, LAB, 'stop')),
      ends: { exit: 1 },
      repair: async () => {
        await labHsm(machine, LAB, 'start');
        // The server lost the HSM as well.
        await inHost(SERVER, ['capstan', 'restart'], { deadline: 300 });
        return serverIsUp();
      },
      way,
    }),
  );
}

function singles(struck: Struck): Fault[] {
  return [
    ...killThenUndo(struck.steps, struck),
    ...powerCuts(struck),
    ownDirectoryStopped(struck),
    ...without(
      struck,
      'network',
      'Network to the server cut',
      () => cut(SERVER, JOINING),
      () => heal(SERVER, JOINING),
    ),
    ...without(
      struck,
      'server',
      'Directory and CA of the server stopped',
      async () => {
        await onServer('systemctl stop pki-tomcatd@pki-tomcat dirsrv@EXAMPLE-TEST');
      },
      async () => {
        await onServer('systemctl start dirsrv@EXAMPLE-TEST pki-tomcatd@pki-tomcat');
      },
    ),
    ...hsmAway(struck),
  ];
}

/**
 * The steps at which it matters whether the join secret is good still. A run that ends at the first leaves its install
 * token behind: an undo has nothing yet by which it could come to the peer.
 */
const WITH_SECRET = ['directory-certificate', 'domain-replication', CA];

/** A join secret must stay good for another try, as long as it was not used to its end. */
function bySecret(): Fault[] {
  const points = WITH_SECRET.map((step) => ({ step, moment: 'middle' as const }));
  const undone = killThenUndo(REPLICA_STEPS, BY_SECRET);
  return [
    killChain('replica-secret-kill-resume', AROUND + 30 + 2 * whole(BY_SECRET), points, BY_SECRET),
    ...undone.filter(({ name }) => WITH_SECRET.slice(1).some((step) => name.includes(`/${step}/`))),
  ];
}

/** Every fault of replicas, in an order that needs few fresh hosts. */
export function replicaFaults(): Fault[] {
  const all = (struck: Struck) => [longChain(struck), ...singles(struck)];
  const list = [...all(JOIN), ...bySecret(), ...all(ADD)];
  return [...list.filter((fault) => !onNetworkHsm(fault)), ...list.filter(onNetworkHsm)];
}

/** The chains of kills of {@link replicaFaults} in parts, for `--only`. */
export function replicaStepFaults(): Fault[] {
  return [JOIN, ADD].flatMap(shortChains);
}

/** What `npm test` draws from: a CA that is added needs a cluster of its own, and the network HSM one more. */
export function sampledReplicaFaults(): Fault[] {
  return [...shortChains(JOIN), ...singles(JOIN).filter((fault) => !onNetworkHsm(fault))];
}

function onNetworkHsm({ name }: Fault): boolean {
  return name.includes('hsm-');
}
