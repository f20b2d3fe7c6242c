/** The faults of a server that gets a KRA: killed, or without power. Its CA has to go on whatever becomes of the KRA. */
import { labPower } from '../../../src/lab/lab.ts';
import { fqdn, joinWords, ldapsearch, succeeds, until, valuesOf, worded } from '../cluster/hosts.ts';
import { SOON } from '../cluster/proofs.ts';
import { archive, makeClient, recover } from '../cluster/recovery.ts';
import { changes, type HostState } from '../inventory.ts';
import { holdersOf, LAB, machine, sh, unwell, VALUES } from '../support.ts';
import { type Case, caseFault } from './case.ts';
import { type Base, basedOn, FIRST, JOINING, serverIsUp } from './cluster.ts';
import type { Fault, UsualStep } from './fault.ts';
import { FIRST_SERVER, type Flow } from './flow.ts';
import type { Strike } from './inside.ts';
import { killChain, killThenUndo, pointsOf, type Struck, secondsUntil, strikeAt } from './kills.ts';
import { type Blows, capstan, HOST, look } from './rig.ts';

const JOURNAL = '/var/lib/capstan/kra.json';
const STEP = 'key-recovery';

/** The steps of `kra-add` for the first KRA, and their seconds. */
export const KRA_STEPS: readonly UsualStep[] = [
  { id: STEP, seconds: 80 },
  { id: 'kra-keys-on-token', seconds: 1 },
  { id: 'key-recovery-proven', seconds: 1.5 },
  { id: 'kra-role', seconds: 0.3 },
  { id: 'kra-connectors', seconds: 0.6 },
  { id: 'kra-tracking', seconds: 1.5 },
];

const PASSWORDS = {
  '--ds-password-file': `${VALUES}/ds-password`,
  '--token-password-file': `${VALUES}/token-password`,
};

/** A server that runs: what is on the host and the token, and what is in the CA's tree. */
async function lookAt(host: string): Promise<HostState> {
  const entries = valuesOf(await ldapsearch(host, 'o=ipaca', 'dn'), 'dn');
  const members = valuesOf(await ldapsearch(host, 'ou=groups,o=ipaca', 'uniqueMember'), 'uniqueMember');
  const indexes = await ldapsearch(host, 'cn=ipaca,cn=ldbm database,cn=plugins,cn=config', 'dn');
  // Certificates and requests stay in the records of a CA; Dogtag keeps the container of its sessions.
  const tree = entries.filter((dn) => !/^cn=\d+,|^ou=sessions,/.test(dn));
  return {
    ...(await look(undefined, host)),
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

/** What `status` finds unwell, after a while in which a Tomcat that was just booted comes up. */
async function isUp(host: string): Promise<string[]> {
  const { found } = await until(
    180,
    () => unwell(host),
    (all) => all.length === 0,
  );
  return found.map((name) => `status of ${host}: ${name} is not well`);
}

/** The KRAs that the CA of a host knows. */
async function krasOf(host: string): Promise<string[]> {
  const line = await sh(host, 'sed -n s/^ca.connector.KRA.host=//p /etc/pki/pki-tomcat/ca/CS.cfg');
  return line
    .split(' ')
    .map((one) => one.trim().replace(/:8443$/, ''))
    .filter(Boolean);
}

/** What is wrong with the servers that should have a KRA, of which the last was struck. */
async function flawsOfKra(...hosts: string[]): Promise<string[]> {
  const host = hosts.at(-1) as string;
  const flaws = [...(await isUp(host)), ...(await secretFlaws(host))];
  const tracked = (await sh(host, 'getcert list')).match(/^\tstatus: MONITORING$/gm)?.length;
  if (tracked !== 8) flaws.push(`certmonger monitors ${tracked} certificates, not 8`);
  for (const one of hosts) {
    const known = await krasOf(one);
    if (known.toSorted().join() !== hosts.map(fqdn).toSorted().join()) {
      flaws.push(`the CA of ${one} knows the KRAs ${known.join(', ')}`);
    }
  }
  const { token = [] } = await look(undefined, host);
  const keys = token.filter((line) => line.startsWith('Private Key')).length;
  if (keys !== 7) flaws.push(`the token holds ${keys} private keys, not 7`);
  const users = await ldapsearch(host, 'ou=people,o=ipaca', "'(uid=capstan-kra-*)' dn");
  if (users !== '') flaws.push(`the user of the installation is there still: ${users}`);
  return flaws.length > 0 ? flaws : recovered(hosts);
}

/** Whether what the last of the servers archives is recovered by the first. */
async function recovered(hosts: readonly string[]): Promise<string[]> {
  const [first, last] = [hosts[0], hosts.at(-1)] as [string, string];
  const secret = Buffer.from('after a fault').toString('base64');
  try {
    for (const host of hosts) await makeClient(host);
    // A KRA takes a name once.
    const id = await archive(last, `after-${Date.now()}`, secret);
    const { found } = await until(
      SOON,
      () => recover(first, id).catch(String),
      (got) => got === secret,
    );
    return found === secret ? [] : [`it recovers ${found}`];
  } catch (error) {
    return [(error as Error).message.slice(0, 500)];
  }
}

async function secretFlaws(host: string): Promise<string[]> {
  const left = await sh(host, 'ls -d /run/capstan-* /dev/shm/capstan-* 2>/dev/null || true');
  const holders = await holdersOf(host, `${VALUES}/ds-password`);
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
async function flawsOfNothing(host: string, before: HostState): Promise<string[]> {
  const up = await isUp(host);
  return [...up, ...(await secretFlaws(host)), ...lastingChanges(before, await lookAt(host))];
}

/** `kra-add` on a server of a cluster; its ways on take passwords alone. */
function kraAdded(
  base: Base,
  host: string,
): Pick<Flow, 'host' | 'begin' | 'resume' | 'undo'> & ReturnType<typeof basedOn> {
  const run = (words: readonly string[], blows?: Blows) =>
    capstan(['kra-add', ...words], blows, host, JOURNAL);
  const onward = (way: string, blows?: Blows) => run([way, ...worded(PASSWORDS)], blows);
  return {
    host,
    ...basedOn(base, async () => {
      // The Tomcat of a host that was just booted has no port yet.
      await isUp(host);
      return lookAt(host);
    }),
    begin: (options, blows, changed) => run([...worded({ ...PASSWORDS, ...changed }), ...options], blows),
    resume: (blows) => onward('--resume', blows),
    undo: (blows) => onward('--undo', blows),
  };
}

/** `kra-add` on the first server. */
const KRA_ADD: Flow = {
  ...kraAdded(FIRST, HOST),
  flawsOfServer: () => flawsOfKra(HOST),
  flawsOfBlank: (before) => flawsOfNothing(HOST, before),
};

/** Two servers with a CA, of which the first has a KRA. */
const WITH_KRA: Base = {
  name: 'with-kra',
  from: FIRST,
  async make() {
    await succeeds(JOINING, joinWords());
    await succeeds(HOST, ['kra-add', '--unattended', ...worded(PASSWORDS)]);
  },
};

/** `kra-add` on the second server: a clone, which the CA of the first has to forget when it is taken back. */
const KRA_CLONE: Flow = {
  ...kraAdded(WITH_KRA, JOINING),
  flawsOfServer: () => flawsOfKra(HOST, JOINING),
  async flawsOfBlank(before) {
    const flaws = [...(await flawsOfNothing(JOINING, before)), ...(await serverIsUp())];
    for (const host of [HOST, JOINING]) {
      const known = await krasOf(host);
      if (known.join() !== fqdn(HOST)) flaws.push(`the CA of ${host} knows the KRAs ${known.join(', ')}`);
    }
    return flaws.length > 0 ? flaws : recovered([HOST]);
  },
};

/** `server-install --setup-kra`: what is taken back is the whole server. */
const WITH_SERVER: Flow = {
  ...FIRST_SERVER,
  begin: (options, blows, changed) => FIRST_SERVER.begin(['--setup-kra', ...options], blows, changed),
  flawsOfServer: () => flawsOfKra(HOST),
};

/** Seconds of an undo, which starts the CA again, and of the look at what it leaves. */
const UNDONE = 60;

const COMMON = { steps: KRA_STEPS, undone: UNDONE };
const ADD: Struck = { ...COMMON, flow: KRA_ADD, prefix: 'kra-', what: 'KRA added: ' };
const CLONE: Struck = { ...COMMON, flow: KRA_CLONE, prefix: 'kra-clone-', what: 'KRA cloned: ' };
const SERVER: Struck = {
  ...COMMON,
  flow: WITH_SERVER,
  prefix: 'setup-kra-',
  what: 'First server with a KRA: ',
};

/** Seconds to put the server back, and for a look at it. */
const AROUND = 60;

const whole = KRA_STEPS.reduce((sum, { seconds }) => sum + seconds, 0);
const middle = { step: STEP, moment: 'middle' } as const;

/** Something befalls the run in mid-pkispawn. */
function within(
  { flow, prefix, what }: Struck,
  one: Pick<Case, 'name' | 'fault' | 'blows' | 'options' | 'ends' | 'repair' | 'way'>,
): Fault {
  const rest = one.way === 'resume' ? AROUND + whole : UNDONE;
  const seconds = secondsUntil(KRA_STEPS, middle) + rest;
  const named = { name: prefix + one.name, fault: what + one.fault };
  return caseFault({ ...one, ...named, flow, where: STEP, seconds });
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

function interrupted(struck: Struck): Fault {
  return within(struck, {
    name: 'interrupt',
    fault: 'SIGINT in mid-pkispawn',
    blows: inTheMiddle({ signal: 'SIGINT' }),
    ends: { exit: 130 },
    way: 'itself',
  });
}

/** The host loses its power, or its HSM, in mid-pkispawn, and goes on by one of the ways. */
function losses(struck: Struck): Fault[] {
  const { host } = struck.flow;
  const power = { power: () => labPower(machine, LAB, host, 'kill') };
  return (['resume', 'undo'] as const).flatMap((way) => [
    within(struck, {
      name: `power-${way}`,
      fault: `Power cut in mid-pkispawn, then --${way}`,
      blows: inTheMiddle({ outside: 'power' }, power),
      async repair() {
        await labPower(machine, LAB, host, 'on');
        return undefined;
      },
      way,
    }),
    within(struck, {
      name: `hsm-${way}`,
      fault: `HSM away in mid-pkispawn, --keep, back again, then --${way}`,
      options: ['--keep'],
      blows: inTheMiddle({ script: AWAY }),
      ends: { exit: 1 },
      async repair() {
        await sh(host, BACK);
        return undefined;
      },
      way,
    }),
  ]);
}

/** Every fault of `kra-add`. */
export function kraFaults(): Fault[] {
  return [
    killChain('kra-kill-resume', AROUND + 3 * whole, pointsOf(KRA_STEPS), ADD),
    ...killThenUndo(KRA_STEPS, ADD),
    interrupted(ADD),
    ...losses(ADD),
    ...elsewhere(CLONE, 0),
    ...losses(CLONE),
    ...elsewhere(SERVER, 110),
  ];
}

/** Steps at which a clone, or a whole new server, has more to resume or to take back than a KRA that is added. */
const ELSEWHERE = [STEP, 'kra-connectors', 'kra-tracking'];

/** The same flow in other surroundings. @param before seconds until its first step */
function elsewhere(struck: Struck, before: number): Fault[] {
  const points = pointsOf(ELSEWHERE.map((id) => ({ id })));
  const undone = killThenUndo(KRA_STEPS, struck).filter(({ name }) =>
    ELSEWHERE.some((step) => name.includes(`/${step}/`)),
  );
  return [
    killChain(`${struck.prefix}kill-resume`, AROUND + before + 2 * whole, points, struck),
    ...undone.map((fault) => ({ ...fault, seconds: fault.seconds + before })),
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
  return [...kraStepFaults(), ...killThenUndo(KRA_STEPS, ADD), interrupted(ADD), ...losses(ADD)];
}
