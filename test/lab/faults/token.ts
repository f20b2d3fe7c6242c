/** What may befall the token: the HSM away or silent while the CA is made, and a wrong PIN at the resume. */
import { setTimeout as sleep } from 'node:timers/promises';
import { labHsm } from '../../../src/lab/lab.ts';
import { LAB, machine, putModule, sh, value } from '../support.ts';
import { caseFault } from './case.ts';
import type { Context, Fault, UsualStep } from './fault.ts';
import { refusedWithoutChange } from './judge.ts';
import { secondsUntil, strikeAt } from './kills.ts';
import { HOST, type Run, resume } from './rig.ts';

const CA = 'certificate-authority';
const MIDDLE = { step: CA, moment: 'middle' } as const;

/** Seconds for which the HSM says nothing. */
const SILENCE = 20;

const act = (action: 'stop' | 'start' | 'pause' | 'resume') => labHsm(machine, LAB, action);

/** The network HSM goes away, or falls silent, in the middle of pkispawn and afterwards. */
export function hsmFaults(steps: readonly UsualStep[]): Fault[] {
  const until = secondsUntil(steps, MIDDLE);
  const blows = (step: string, work: () => Promise<void>) => (context: Context) => ({
    strikes: [strikeAt(context.steps, { step, moment: 'middle' }, { outside: 'hsm' })],
    outside: { hsm: work },
  });
  const stopped = { hsm: 'network', where: CA, blows: blows(CA, () => act('stop')) } as const;
  return [
    caseFault({
      ...stopped,
      name: 'hsm-stop-undo',
      fault: 'HSM stopped in mid-pkispawn and started again, then --undo',
      seconds: 90 + until,
      repair: theUndoWaitsForTheHsm,
      way: 'undo',
    }),
    caseFault({
      ...stopped,
      name: 'hsm-stop-resume',
      fault: 'HSM stopped in mid-pkispawn, --keep, started again, then --resume',
      seconds: 190 + until,
      options: ['--keep'],
      ends: { exit: 1 },
      repair: started,
      way: 'resume',
    }),
    caseFault({
      hsm: 'network',
      name: 'hsm-pause',
      fault: `HSM silent for ${SILENCE} s in mid-pkispawn`,
      where: CA,
      seconds: 190,
      blows: blows(CA, silence),
      way: 'itself',
    }),
    caseFault({
      hsm: 'network',
      name: 'hsm-stop-after',
      fault: 'HSM stopped after pkispawn, --keep, started again, then --resume',
      where: 'directory-certificate',
      seconds: 260,
      options: ['--keep'],
      blows: (context) => ({
        strikes: [strikeAt(context.steps, { step: 'tracking', moment: 'start' }, { outside: 'hsm' })],
        outside: { hsm: () => act('stop') },
      }),
      ends: { exit: 1 },
      repair: started,
      way: 'resume',
    }),
  ];
}

async function started(): Promise<undefined> {
  await act('start');
}

async function silence(): Promise<void> {
  await act('pause');
  await sleep(SILENCE * 1000);
  await act('resume');
}

/** Without the HSM its objects cannot be deleted: the run must say so and keep its journal. */
async function theUndoWaitsForTheHsm(struck: Run): Promise<string[]> {
  const failed = struck.events.filter(({ type }) => type === 'undo-failed').map(({ id }) => id);
  const journal = await sh(HOST, 'jq -r .removing /var/lib/capstan/server.json || true');
  await act('start');
  return [
    ...(struck.exit === 1 ? [] : [`exit ${struck.exit}, not 1`]),
    ...(failed.includes(CA) ? [] : ['no undo failed, though the objects on the token were out of reach']),
    ...(/^\d{4}-/.test(journal) ? [] : [`the journal does not say that the removal has begun: ${journal}`]),
  ];
}

const WRONG = '/run/faults/wrong-pin';
const LOGINS = '/run/faults/logins';
/** Written by root's processes and by pkiuser's. */
const EMPTY_LOGINS = `: > ${LOGINS}; chmod 666 ${LOGINS}`;

/** A wrong PIN at the resume is tried once, changes nothing, and the right one works. */
export function wrongPin(steps: readonly UsualStep[]): Fault {
  // Chosen when the host is there: a library that counts the logins, and passes on what it is asked for.
  const changes: Record<string, string> = {};
  return caseFault({
    name: 'wrong-pin',
    fault: 'Wrong PIN at --resume: refused; then the right one',
    where: CA,
    seconds: 190 + secondsUntil(steps, MIDDLE),
    prepare: async () => {
      const settings = { SHIM_LIBRARY: await value('library-path'), SHIM_LOGINS: LOGINS };
      changes['--library-path'] = await putModule(HOST, 'counts.so', { source: 'shim', settings });
      await sh(
        HOST,
        `mkdir -p /run/faults; chmod 711 /run/faults; ${EMPTY_LOGINS}; umask 077; echo wrong-pin-1234 > ${WRONG}
         echo ${changes['--library-path']} > /etc/capstan/lab/library-path`,
      );
    },
    changes,
    blows: (context) => ({ strikes: [strikeAt(context.steps, MIDDLE, { signal: 'SIGKILL' })] }),
    repair: wrongPinIsRefused,
    way: 'resume',
  });
}

async function wrongPinIsRefused(): Promise<string[]> {
  let tried = '';
  const flaws = await refusedWithoutChange(async () => {
    await sh(HOST, EMPTY_LOGINS);
    const run = await resume({}, { '--token-password-file': WRONG });
    // At once, for who looks at the token logs in, too.
    tried = await sh(HOST, `cat ${LOGINS}`);
    return run;
  }, 'pin-incorrect');
  return [...flaws, ...(tried === 'L' ? [] : [`the PIN was tried ${tried.length} times`])];
}
