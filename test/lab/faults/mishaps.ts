/** What may befall a host while Capstan works on it: no power, no room, no directory, another clock, impatient people. */
import { labPower } from '../../../src/lab/lab.ts';
import { LAB, machine, sh } from '../support.ts';
import { type Case, caseFault } from './case.ts';
import type { Context, Fault, UsualStep } from './fault.ts';
import type { Blow, Strike } from './inside.ts';
import { refusedWithoutChange } from './judge.ts';
import { type Point, secondsUntil, strikeAt } from './kills.ts';
import { HOST, type Run, resume } from './rig.ts';

const CA = 'certificate-authority';
const KILL: Blow = { signal: 'SIGKILL' };

/** A strike when this part of a step's usual time is over. */
function within(context: Context, step: string, part: number, blow: Blow): Strike {
  const usual = context.steps.find(({ id }) => id === step)?.seconds ?? 0.1;
  return { step, state: 'applying', after: usual * part * 1000, blow };
}

/** Steps in whose middle the power goes: one that writes files, the long one, one over the network, the last but one. */
const POWER_CUTS: readonly Point[] = [
  { step: 'directory-instance', moment: 'middle' },
  { step: CA, moment: 'start' },
  { step: CA, moment: 'middle' },
  { step: 'tracking', moment: 'start' },
  { step: 'directory-certificate', moment: 'middle' },
];

/** The host loses its power, comes back, and the installation is resumed or undone. */
export function powerCuts(steps: readonly UsualStep[]): Fault[] {
  return POWER_CUTS.flatMap((point) =>
    (['resume', 'undo'] as const).map((way) =>
      caseFault({
        name: `power-${way}/${point.step}/${point.moment}`,
        fault: `Power cut in the middle of a step, then --${way}`,
        where: `${point.step} ${point.moment}`,
        seconds: 60 + secondsUntil(steps, point) + (way === 'resume' ? 100 : 0),
        blows: (context) => ({
          strikes: [strikeAt(context.steps, point, { outside: 'power' })],
          outside: { power: () => labPower(machine, LAB, HOST, 'kill') },
        }),
        repair: powerOn,
        way,
      }),
    ),
  );
}

async function powerOn(): Promise<undefined> {
  await labPower(machine, LAB, HOST, 'on');
}

/** A file system that fills up: where, in which step and how far into it. */
const DISKS = [
  { folder: '/var/lib/dirsrv', step: 'directory-instance', part: 0.4 },
  { folder: '/var/lib/dirsrv', step: CA, part: 0.3 },
  { folder: '/etc/pki', step: CA, part: 0.2 },
  { folder: '/var/log/pki', step: CA, part: 0.3 },
  { folder: '/var/lib/capstan', step: CA, part: 0.5 },
] as const;

/** Room on it before and afterwards; the checks before an installation ask for 1 GiB. No memory is taken for it. */
const ROOM = '2g';

/** A file system fills up in mid-run: the run takes back what it did; or it is kept, room is made, and it is resumed. */
export function fullDisks(steps: readonly UsualStep[]): Fault[] {
  return DISKS.flatMap(({ folder, step, part }) => {
    const seconds = 60 + secondsUntil(steps, { step, moment: 'middle' });
    const base = {
      where: `${folder} in ${step}`,
      prepare: () => ownFileSystem(folder),
      blows: (context: Context) => ({
        strikes: [
          within(context, step, part, {
            script: sized(folder, `$(($(df -B1 --output=used ${folder} | tail -n 1) + 4096))`),
          }),
        ],
      }),
      repair: () => makeRoom(folder),
    };
    const name = `${folder.slice(1).replaceAll('/', '-')}/${step}`;
    const kept: Case = {
      ...base,
      name: `disk-resume/${name}`,
      fault: 'Disk full, --keep, room made, then --resume',
      seconds: seconds + 100,
      options: ['--keep'],
      ends: { exit: 1 },
      way: 'resume',
    };
    const back: Case = {
      ...base,
      name: `disk/${name}`,
      fault: 'Disk full, taken back by the run itself',
      seconds,
      way: 'itself',
    };
    return [caseFault(back), caseFault(kept)];
  });
}

/** Puts a folder on a small file system of its own. */
async function ownFileSystem(folder: string): Promise<void> {
  await sh(
    HOST,
    `mkdir -p ${folder} /run/faults/disk
     mount -t tmpfs -o size=${ROOM},mode=$(stat -c %a ${folder}),uid=$(stat -c %u ${folder}),gid=$(stat -c %g ${folder}) tmpfs /run/faults/disk
     cp -a ${folder}/. /run/faults/disk/
     mount --bind /run/faults/disk ${folder}; umount /run/faults/disk`,
  );
}

/** A script that gives a file system another size: it is full at a page more than what is used (none is no limit). */
function sized(folder: string, size: string): string {
  return `mount -o remount,size=${size} ${folder}`;
}

async function makeRoom(folder: string): Promise<string[] | undefined> {
  const size = Number(await sh(HOST, `df -B1 --output=size ${folder} | tail -n 1`));
  await sh(HOST, sized(folder, ROOM));
  return size < 2 ** 30 ? undefined : ['the file system was never full'];
}

/** The directory is stopped under pkispawn. */
export function stoppedDirectory(steps: readonly UsualStep[]): Fault[] {
  const point: Point = { step: CA, moment: 'middle' };
  const base = {
    where: CA,
    blows: (context: Context) => ({
      strikes: [within(context, CA, 0.5, { script: 'systemctl stop dirsrv@EXAMPLE-TEST' })],
    }),
    ends: { exit: 1 },
  };
  return [
    caseFault({
      ...base,
      name: 'directory',
      fault: 'Directory stopped in mid-pkispawn, taken back by the run itself',
      seconds: 60 + secondsUntil(steps, point),
      way: 'itself',
    }),
    caseFault({
      ...base,
      name: 'directory-resume',
      fault: 'Directory stopped in mid-pkispawn, --keep, then --resume',
      seconds: 160 + secondsUntil(steps, point),
      options: ['--keep'],
      way: 'resume',
    }),
  ];
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** People who press Ctrl+C once, twice, three times, and a system that ends its services. */
export function signals(steps: readonly UsualStep[]): Fault[] {
  const seconds = 50 + secondsUntil(steps, { step: CA, moment: 'middle' });
  const first = (context: Context, signal: NodeJS.Signals) => within(context, CA, 0.5, { signal });
  const again = (after: number): Strike => ({
    step: CA,
    state: 'undoing',
    after,
    blow: { signal: 'SIGINT' },
  });
  const once = SIGNALS.map((signal) =>
    caseFault({
      name: `signal/${signal}`,
      fault: 'One signal: the run takes everything back',
      where: `${signal} in ${CA}`,
      seconds,
      blows: (context) => ({ strikes: [first(context, signal)] }),
      ends: { exit: 130 },
      way: 'itself',
    }),
  );
  const more = [2, 3].map((count) =>
    caseFault({
      name: `signal/${count}`,
      fault: `${count === 2 ? 'Two' : 'Three'} signals: the undo is ended, then --undo`,
      where: CA,
      seconds: seconds + 10,
      blows: (context) => ({
        strikes: [
          first(context, 'SIGINT'),
          ...Array.from({ length: count - 1 }, (_, index) => again(index === 0 ? 300 : 5)),
        ],
      }),
      way: 'undo',
    }),
  );
  return [...once, ...more];
}

/** libfaketime for Capstan's own process; time that passes is left alone, as a real clock's jump leaves it. */
const OTHER_CLOCK = {
  LD_PRELOAD: '/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1',
  FAKETIME_DONT_FAKE_MONOTONIC: '1',
};

/** The clock jumps: back before a resume or an undo, forward in the middle of a run. */
export function clocks(steps: readonly UsualStep[]): Fault[] {
  const point: Point = { step: CA, moment: 'middle' };
  const back = { env: { ...OTHER_CLOCK, FAKETIME: '-1h' } };
  const killed = (context: Context) => ({ strikes: [strikeAt(context.steps, point, KILL)] });
  const base = { where: CA, blows: killed };
  const file = '/run/faults/clock';
  return [
    caseFault({
      ...base,
      name: 'clock-back-undo',
      fault: 'Clock an hour back before --undo',
      seconds: 60 + secondsUntil(steps, point),
      way: 'undo',
      wayBlows: back,
    }),
    caseFault({
      ...base,
      name: 'clock-back-resume',
      fault: 'Clock an hour back before --resume: refused; then the right clock',
      seconds: 170 + secondsUntil(steps, point),
      repair: async () => refusedWithoutChange(() => resume(back), 'clock-went-back'),
      way: 'resume',
    }),
    caseFault({
      name: 'clock-forward',
      fault: 'Clock a day forward in mid-run',
      where: CA,
      seconds: 160,
      prepare: async () => {
        await sh(HOST, `mkdir -p /run/faults; echo +0 > ${file}`);
      },
      blows: (context) => ({
        env: { ...OTHER_CLOCK, FAKETIME_TIMESTAMP_FILE: file, FAKETIME_NO_CACHE: '1' },
        strikes: [within(context, CA, 0.5, { script: `echo +1d > ${file}` })],
      }),
      way: 'itself',
    }),
  ];
}

/** Capstan and the process that watches over it are killed; what they ran goes on until the next run ends it. */
export function guardless(steps: readonly UsualStep[]): Fault[] {
  return (['resume', 'undo'] as const).map((way) =>
    caseFault({
      name: `kill-guard-${way}`,
      fault: `SIGKILL of Capstan and its guard, pkispawn goes on, then --${way}`,
      where: CA,
      seconds: 60 + secondsUntil(steps, { step: CA, moment: 'middle' }) + (way === 'resume' ? 100 : 0),
      blows: (context) => ({ strikes: [within(context, CA, 0.4, { killWithGuard: true })] }),
      repair: stillRunning,
      way,
    }),
  );
}

/** Without its guard the killed run must have left something running: otherwise the fault was none. */
async function stillRunning(_: Run): Promise<string[] | undefined> {
  const found = await sh(HOST, 'pgrep -x pkispawn || true');
  return found === '' ? ['pkispawn did not go on: nothing was left to end'] : undefined;
}
