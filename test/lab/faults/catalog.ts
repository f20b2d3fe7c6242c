/** All faults, and what is shared while they are tried. */
import type { HsmKind } from '../../../src/lab/lab.ts';
import type { HostState } from '../inventory.ts';
import type { Context, Fault, UsualStep } from './fault.ts';
import { killChain, killedUndo, killThenUndo, pointsOf } from './kills.ts';
import { clocks, fullDisks, guardless, powerCuts, signals, stoppedDirectory } from './mishaps.ts';
import { freshHost } from './rig.ts';
import { hsmFaults, wrongPin } from './token.ts';

/**
 * The steps of `server-install` and the seconds each takes with RSA 3072 on SoftHSM, measured on one core of a machine
 * that does nothing else. Only how far the middle of a step is from its start follows from them.
 */
export const USUAL_STEPS: readonly UsualStep[] = [
  { id: 'system-nss-database', seconds: 0.05 },
  { id: 'directory-instance', seconds: 9 },
  { id: 'directory-tree', seconds: 0.5 },
  { id: 'certificate-authority', seconds: 75 },
  { id: 'keys-on-token', seconds: 0.6 },
  { id: 'ca-certificate', seconds: 0.07 },
  { id: 'tracking', seconds: 1.5 },
  { id: 'directory-certificate', seconds: 7 },
  { id: 'hsm-record', seconds: 0.12 },
  { id: 'server-roles', seconds: 0.2 },
  { id: 'start-at-boot', seconds: 0.4 },
];

/** Every fault of the list, in an order that needs few fresh hosts. */
export function allFaults(steps: readonly UsualStep[]): Fault[] {
  const points = pointsOf(steps);
  return [
    killChain('kill-resume', 700, points),
    ...killThenUndo(steps),
    killedUndo(),
    ...guardless(steps),
    ...signals(steps),
    ...powerCuts(steps),
    ...stoppedDirectory(steps),
    ...fullDisks(steps),
    wrongPin(steps),
    ...clocks(steps),
    ...hsmFaults(steps),
  ];
}

/** The chain of kills of {@link allFaults} in parts that are short enough for a sample: one a step. */
export function stepFaults(steps: readonly UsualStep[]): Fault[] {
  const whole = steps.reduce((sum, { seconds }) => sum + seconds, 0);
  return steps.map(({ id, seconds }) =>
    killChain(`kill-resume/${id}`, 80 + whole + 1.5 * seconds, pointsOf([{ id }])),
  );
}

/** What `npm test` draws from. */
export function sampledFaults(): Fault[] {
  const [, ...others] = allFaults(USUAL_STEPS);
  return [...stepFaults(USUAL_STEPS), ...others];
}

/** What faults share. */
export function newContext(
  steps: readonly UsualStep[],
  reference: HostState | undefined,
  listener: Pick<Context, 'tell' | 'say'>,
): Context {
  let known: { hsm: HsmKind; before: HostState } | undefined;
  let blank = false;
  return {
    steps,
    ...(reference && { reference }),
    ...listener,
    async blank(hsm) {
      if (!blank || known?.hsm !== hsm) known = { hsm, before: await freshHost(hsm) };
      blank = false;
      return known.before;
    },
    blankAgain() {
      blank = true;
    },
  };
}
