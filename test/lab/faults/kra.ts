/** The faults of a server that gets a KRA: killed, or without power. Its CA has to go on whatever becomes of the KRA. */
import { labPower } from '../../../src/lab/lab.ts';
import { ldapsearch, valuesOf, worded } from '../cluster/hosts.ts';
import { archive, makeClient, recover } from '../cluster/recovery.ts';
import { changes, type HostState } from '../inventory.ts';
import { holdersOf, LAB, machine, sh, VALUES } from '../support.ts';
import { type Case, caseFault } from './case.ts';
import { basedOn, FIRST, serverIsUp } from './cluster.ts';
import type { Fault, UsualStep } from './fault.ts';
import type { Flow } from './flow.ts';
import type { Strike } from './inside.ts';
import { killChain, killThenUndo, pointsOf, type Struck, secondsUntil, strikeAt } from './kills.ts';
import { type Blows, capstan, HOST, look } from './rig.ts';

const JOURNAL = '/var/lib/capstan/kra.json';
const STEP = 'key-recovery';

/** The steps of `kra-add` for the first KRA, and their seconds. */
export const KRA_STEPS: readonly UsualStep[] = [
  { id: STEP, seconds: 130 },
  { id: 'kra-keys-on-token', seconds: 1 },
  { id: 'key-recovery-proven', seconds: 1.5 },
  { id: 'kra-connectors', seconds: 0.6 },
  { id: 'kra-tracking', seconds: 1.5 },
  { id: 'kra-role', seconds: 0.3 },
];

const PASSWORDS = {
  '--ds-password-file': `${VALUES}/ds-password`,
  '--token-password-file': `${VALUES}/token-password`,
};

/** A server that runs: what is on the host and the token, and what is in the CA's tree. */
async function lookAtServer(): Promise<HostState> {
  const entries = valuesOf(await ldapsearch(HOST, 'o=ipaca', 'dn'), 'dn');
  const members = valuesOf(await ldapsearch(HOST, 'ou=groups,o=ipaca', 'uniqueMember'), 'uniqueMember');
  const indexes = await ldapsearch(HOST, 'cn=ipaca,cn=ldbm database,cn=plugins,cn=config', 'dn');
  // Certificates and requests stay in the records of a CA; Dogtag keeps the container of its sessions.
  const tree = entries.filter((dn) => !/^cn=\d+,|^ou=sessions,/.test(dn));
  return {
    ...(await look()),
    tree: tree.toSorted(),
    members: members.toSorted(),
    indexes: valuesOf(indexes, 'dn').toSorted(),
  };
}

/** What differs between two looks at a server, without what its services change whenever they run. */
function lastingChanges(before: HostState, after: HostState): string[] {
  const usual =
    /^(?:contents|files): . (?:[0-9a-f]{64} +)?(?:\/etc\/dirsrv\/|\/var\/lib\/(?:dirsrv|certmonger|pki|capstan|softhsm)\/|\/etc\/pki\/pki-tomcat\/(?:alias|ca|Catalina)\/)/;
  const kept = /kra/i;
  return changes(before, after).filter((line) => !usual.test(line) || kept.test(line));
}

/** What is wrong with a server that should have a KRA. */
async function flawsOfKra(): Promise<string[]> {
  const flaws = [...(await serverIsUp()), ...(await secretFlaws())];
  const tracked = (await sh(HOST, 'getcert list')).match(/^\tstatus: MONITORING$/gm)?.length;
  if (tracked !== 8) flaws.push(`certmonger monitors ${tracked} certificates, not 8`);
  const { token = [] } = await look(undefined, HOST);
  const keys = token.filter((line) => line.startsWith('Private Key')).length;
  if (keys !== 7) flaws.push(`the token holds ${keys} private keys, not 7`);
  const users = await ldapsearch(HOST, 'ou=people,o=ipaca', "'(uid=capstan-kra-*)' dn");
  if (users !== '') flaws.push(`the user of the installation is there still: ${users}`);
  return flaws.length > 0 ? flaws : recovered();
}

async function recovered(): Promise<string[]> {
  const secret = Buffer.from('after a fault').toString('base64');
  try {
    await makeClient(HOST);
    const found = await recover(HOST, await archive(HOST, 'after', secret));
    return found === secret ? [] : [`it recovers ${found}`];
  } catch (error) {
    return [(error as Error).message.slice(0, 500)];
  }
}

async function secretFlaws(): Promise<string[]> {
  const left = await sh(HOST, 'ls -d /run/capstan-* /dev/shm/capstan-* 2>/dev/null || true');
  const holders = await holdersOf(HOST, `${VALUES}/ds-password`);
  const extra = holders.filter((file) => file !== '/etc/pki/pki-tomcat/password.conf');
  return [
    ...left
      .split('\n')
      .filter(Boolean)
      .map((path) => `left behind: ${path}`),
    ...extra.map((file) => `ds-password is in ${file}`),
  ];
}

/** What is wrong where all was taken back: the CA must be as well as it was. */
async function flawsOfNothing(before: HostState): Promise<string[]> {
  const up = await serverIsUp();
  return [...up, ...(await secretFlaws()), ...lastingChanges(before, await lookAtServer())];
}

const onward = (way: string, blows?: Blows) =>
  capstan(['kra-add', way, ...worded(PASSWORDS)], blows, HOST, JOURNAL);

/** `kra-add` on the first server. */
const KRA_ADD: Flow = {
  host: HOST,
  ...basedOn(FIRST, lookAtServer),
  begin: (options, blows, changed) =>
    capstan(['kra-add', ...worded({ ...PASSWORDS, ...changed }), ...options], blows, HOST, JOURNAL),
  resume: (blows) => onward('--resume', blows),
  undo: (blows) => onward('--undo', blows),
  flawsOfServer: flawsOfKra,
  flawsOfBlank: flawsOfNothing,
};

const ADD: Struck = { flow: KRA_ADD, steps: KRA_STEPS, prefix: 'kra-', what: 'KRA added: ' };

/** Seconds to put the server back, and for a look at it. */
const AROUND = 60;

const whole = KRA_STEPS.reduce((sum, { seconds }) => sum + seconds, 0);
const middle = { step: STEP, moment: 'middle' } as const;

/** Something befalls the run in mid-pkispawn. */
function within(
  name: string,
  what: string,
  one: Pick<Case, 'blows' | 'options' | 'ends' | 'repair' | 'way'>,
): Fault {
  const onward = one.way === 'resume' ? whole : 20;
  const seconds = AROUND + secondsUntil(KRA_STEPS, middle) + onward;
  return caseFault({ ...one, flow: KRA_ADD, name, fault: `KRA added: ${what}`, where: STEP, seconds });
}

const inTheMiddle =
  (blow: Strike['blow'], outside: NonNullable<Blows['outside']> = {}) =>
  () => ({
    strikes: [strikeAt(KRA_STEPS, middle, blow)],
    outside,
  });

/** A host whose token directory is hidden has lost its HSM. */
const AWAY = 'mount -t tmpfs -o mode=0777 tmpfs /var/lib/softhsm/tokens';
const BACK = 'umount /var/lib/softhsm/tokens';

/** What may befall a run in mid-pkispawn besides a kill: it is interrupted, or goes on by one of the ways. */
function mishaps(): Fault[] {
  const power = { power: () => labPower(machine, LAB, HOST, 'kill') };
  return [
    within('kra-interrupt', 'SIGINT in mid-pkispawn', {
      blows: inTheMiddle({ signal: 'SIGINT' }),
      ends: { exit: 130 },
      way: 'itself',
    }),
    ...(['resume', 'undo'] as const).flatMap((way) => [
      within(`kra-power-${way}`, `Power cut in mid-pkispawn, then --${way}`, {
        blows: inTheMiddle({ outside: 'power' }, power),
        async repair() {
          await labPower(machine, LAB, HOST, 'on');
          return undefined;
        },
        way,
      }),
      within(`kra-hsm-${way}`, `HSM away in mid-pkispawn, --keep, back again, then --${way}`, {
        options: ['--keep'],
        blows: inTheMiddle({ script: AWAY }),
        ends: { exit: 1 },
        async repair() {
          await sh(HOST, BACK);
          return undefined;
        },
        way,
      }),
    ]),
  ];
}

/** Every fault of `kra-add`. */
export function kraFaults(): Fault[] {
  return [
    killChain('kra-kill-resume', AROUND + 3 * whole, pointsOf(KRA_STEPS), ADD),
    ...killThenUndo(KRA_STEPS, ADD),
    ...mishaps(),
  ];
}

/** The chain of kills of {@link kraFaults} in parts that are short enough for a sample: one a step. */
export function kraStepFaults(): Fault[] {
  return KRA_STEPS.map(({ id, seconds }) =>
    killChain(`kra-kill-resume/${id}`, AROUND + whole + 1.5 * seconds, pointsOf([{ id }]), ADD),
  );
}

/** What `npm test` draws from. */
export function sampledKraFaults(): Fault[] {
  return [...kraStepFaults(), ...killThenUndo(KRA_STEPS, ADD), ...mishaps()];
}
