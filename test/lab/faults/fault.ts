import type { HsmKind } from '../../../src/lab/lab.ts';
import type { HostState } from '../inventory.ts';
import type { Run } from './rig.ts';

/** A step of the installation, and the seconds that it usually takes. */
export interface UsualStep {
  id: string;
  seconds: number;
}

/** One time that something was struck, and what came of it. */
export interface Outcome {
  /** What was done, as a line of the table: `SIGKILL at the start of a step, then --resume`. */
  fault: string;
  /** Where: a step, a file system. */
  where: string;
  /** What is not as it should be; none where it survived. */
  flaws: string[];
  /** What is worth knowing: at which moment it struck, what Capstan said. */
  notes: string[];
  seconds: number;
}

/** What faults are given. */
export interface Context {
  steps: readonly UsualStep[];
  /** An undisturbed server of the same kind, to compare with. */
  reference?: HostState;
  tell(outcome: Outcome): Promise<void>;
  /** Says what goes on while outcomes are still open. */
  say(line: string): void;
  /** A host as a fresh one is; the one of before, where that was left {@link Context.blankAgain}. */
  blank(hsm: HsmKind): Promise<HostState>;
  /** Says that the host is as it was when it was given. */
  blankAgain(): void;
}

/** Something that may happen to an installation, several moments of it among them. */
export interface Fault {
  /** For `--only` and for the sample: `kill-resume/certificate-authority`. */
  name: string;
  /** Seconds that it takes, measured on a machine of two cores with nothing else to do. */
  seconds: number;
  run(context: Context): Promise<void>;
}

/** What a run said at its end, and when it was struck. */
export function notesOf(run: Run): string[] {
  const last = run.events.at(-1);
  const hits = run.hits.map(
    ({ step, at, after, found }) =>
      `struck ${at.toFixed(1)} s into the run, ${after.toFixed(0)} ms into ${step} (${found})`,
  );
  if (last?.type !== 'error') return hits;
  return [...hits, `${last.code}: ${last.message}`];
}
