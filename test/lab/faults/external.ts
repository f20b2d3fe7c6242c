/** The faults of a CA that another authority signs, whose passwords the token keeps: in either stage, and between them. */
import { labPower, labRestore, labSnapshot } from '../../../src/lab/lab.ts';
import { CORP, certifyByOpenssl } from '../external/authorities.ts';
import type { HostState } from '../inventory.ts';
import { LAB, machine, sh, VALUES } from '../support.ts';
import { caseFault } from './case.ts';
import type { Fault, UsualStep } from './fault.ts';
import { FIRST_SERVER, type Flow } from './flow.ts';
import { commonFlaws, flawsOfBlank, flawsOfServer } from './judge.ts';
import { killChain, killThenUndo, pointsOf, type Struck, strikeAt } from './kills.ts';
import { type Blows, capstan, HOST, install, look } from './rig.ts';

const CA = 'certificate-authority';

/** Steps of the first stage that a CA that signs itself does not have, and their seconds. */
const FIRST_STEPS: readonly UsualStep[] = [
  { id: 'ca-request', seconds: 1.5 },
  { id: 'seal-passwords', seconds: 0.8 },
];

/** Steps of the second stage: the first, the long one, one over the network, and the last. */
const SECOND_STEPS: readonly UsualStep[] = [
  { id: 'external-certificate', seconds: 0.1 },
  { id: CA, seconds: 80 },
  { id: 'directory-certificate', seconds: 7 },
  { id: 'forget-passwords', seconds: 0.8 },
];

const REQUEST = '/root/ca-signing.csr';
const SEALED = '/var/lib/capstan/passwords.sealed';
const FIRST_STAGE = ['--external-ca', '--keep-secrets'];
const FILES = [`${CORP}/ca.crt`, `${CORP}/chain.p7b`].flatMap((file) => ['--external-cert-file', file]);
/** The token keeps the others. */
const PIN = ['--token-password-file', `${VALUES}/token-password`];

const FIRST: Flow = {
  ...FIRST_SERVER,
  begin: (options, blows, changes) => install([...FIRST_STAGE, ...options], blows, changes),
  flawsOfServer: flawsOfWaiting,
};

/** What is wrong with a host that should wait for the certificate of its CA. */
async function flawsOfWaiting(): Promise<string[]> {
  const state = await look();
  const { waiting } = JSON.parse(await sh(HOST, 'cat /var/lib/capstan/server.json')) as { waiting?: string };
  const verified = await sh(HOST, `openssl req -in ${REQUEST} -noout -verify 2>&1 || true`);
  const count = (kind: string) => (state.token ?? []).filter((line) => line.startsWith(kind)).length;
  const counts = [count('Private Key'), count('Public Key'), (state.token ?? []).length].join();
  return [
    ...(waiting ? [] : ['it does not wait']),
    ...(verified.includes('verify OK') ? [] : [`the request: ${verified}`]),
    ...(counts === '2,2,4'
      ? []
      : [`the token holds ${counts} private keys, public keys, objects; not 2,2,4`]),
    ...((await sh(HOST, `stat -c %a ${SEALED} || true`)).trim() === '600' ? [] : ['no passwords are kept']),
    ...(await commonFlaws(state, {}, HOST)),
  ];
}

/** How the host was before the first stage. */
let before: HostState | undefined;

/** Gives a host that waits, with its certificate beside it. @returns how it was before it began to */
const waiting: Flow['blank'] = async (context, hsm) => {
  // A lab that was made anew since has no snapshots any more.
  const isBack = before && (await labRestore(machine, LAB, 'waiting').catch(() => false)) !== false;
  if (isBack && before) return before;
  before = await context.blank(hsm);
  const { exit, events } = await install(FIRST_STAGE);
  if (exit !== 0) throw new Error(`The first stage failed: ${events.at(-1)?.message}`);
  await certifyByOpenssl(HOST, REQUEST);
  await labSnapshot(machine, LAB, 'waiting');
  return before;
};

const stage = (words: readonly string[], blows?: Blows) =>
  capstan(['server-install', ...PIN, ...words], blows);

const SECOND: Flow = {
  ...FIRST_SERVER,
  blank: waiting,
  blankAgain: () => {},
  begin: (options, blows) => stage([...FILES, ...options], blows),
  resume: (blows) => stage(['--resume'], blows),
  async flawsOfServer() {
    const left = await sh(HOST, `ls ${SEALED} 2>/dev/null || true`);
    return [...(await flawsOfServer()), ...(left === '' ? [] : [`left behind: ${left.trim()}`])];
  },
  async flawsOfBlank(state) {
    await sh(HOST, `rm -rf ${CORP}`);
    return flawsOfBlank(state);
  },
};

/** The same after the power has gone while it waited. */
const AFTER_POWER_CUT: Flow = {
  ...SECOND,
  async blank(context, hsm) {
    const state = await waiting(context, hsm);
    for (const power of ['kill', 'on'] as const) await labPower(machine, LAB, HOST, power);
    return state;
  },
};

const IN_FIRST: Struck = {
  flow: FIRST,
  steps: FIRST_STEPS,
  prefix: 'external-first-',
  what: 'First stage: ',
};
const IN_SECOND: Struck = {
  flow: SECOND,
  steps: SECOND_STEPS,
  prefix: 'external-second-',
  what: 'Second stage: ',
};

/** Seconds to make a host that waits, or to bring it back, and to look at it. */
const AROUND = 70;
const SECOND_STAGE = 110;

/** Every fault of the two stages. */
export function externalFaults(): Fault[] {
  const power = { power: () => labPower(machine, LAB, HOST, 'kill') };
  const middle = { step: CA, moment: 'middle' } as const;
  return [
    killChain('external-first-kill-resume', AROUND, pointsOf(FIRST_STEPS), IN_FIRST),
    ...killThenUndo(FIRST_STEPS, IN_FIRST),
    caseFault({
      flow: AFTER_POWER_CUT,
      name: 'external-power-between',
      fault: 'Power cut between the stages',
      where: 'before the second stage',
      seconds: AROUND + SECOND_STAGE,
      blows: () => ({}),
      way: 'itself',
    }),
    killChain('external-second-kill-resume', AROUND + 3 * SECOND_STAGE, pointsOf(SECOND_STEPS), IN_SECOND),
    ...killThenUndo(SECOND_STEPS, IN_SECOND).map((fault) => ({ ...fault, seconds: fault.seconds + AROUND })),
    ...(['resume', 'undo'] as const).map((way) =>
      caseFault({
        flow: SECOND,
        name: `external-second-power-${way}`,
        fault: `Second stage: Power cut in mid-pkispawn, then --${way}`,
        where: CA,
        seconds: AROUND + 50 + (way === 'resume' ? SECOND_STAGE : 20),
        blows: () => ({ strikes: [strikeAt(SECOND_STEPS, middle, { outside: 'power' })], outside: power }),
        async repair() {
          await labPower(machine, LAB, HOST, 'on');
          return undefined;
        },
        way,
      }),
    ),
  ];
}
