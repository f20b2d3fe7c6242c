import { readFile } from 'node:fs/promises';
import { labList, labRootPath } from '../../../src/lab/lab.ts';
import type { HostState } from '../inventory.ts';
import { LAB, removeLab, sh } from '../support.ts';
import { newContext, USUAL_STEPS } from './catalog.ts';
import type { Fault, Outcome, UsualStep } from './fault.ts';
import { flawsOfServer } from './judge.ts';
import { freshHost, install, look } from './rig.ts';

/** How faults are tried one after another. */
export interface StrikeOptions {
  /** Whether an undisturbed server is built first, whose steps are timed and which the others are compared with. */
  reference: boolean;
  /** Whether the first that is not survived ends it, and leaves the lab as it is. */
  stop: boolean;
  /** Whether the lab is left at the end, with its snapshots. */
  leave: boolean;
  say(line: string): void;
  /** Takes the logs and the journals of a host of a fault that was not survived, a tar file. */
  keepEvidence(name: string, evidence: Uint8Array): void;
}

/** Tries the faults, tells each outcome, and removes the lab. */
export async function strikeAll(faults: readonly Fault[], options: StrikeOptions): Promise<Outcome[]> {
  const { say } = options;
  const outcomes: Outcome[] = [];
  const { steps, reference } = options.reference
    ? await undisturbed(say)
    : { steps: USUAL_STEPS, reference: undefined };
  const tell = async (outcome: Outcome) => {
    outcomes.push(outcome);
    const { fault, where, flaws, notes, seconds } = outcome;
    say(`${flaws.length === 0 ? 'survived' : 'NOT SURVIVED'}: ${fault}: ${where} (${seconds.toFixed(0)} s)`);
    for (const line of notes) say(`    ${line}`);
    for (const line of flaws.slice(0, 40)) say(`    ! ${line}`);
    if (flaws.length > 0) await evidence(outcomes.length, options);
  };
  const context = newContext(steps, reference, { tell, say: (line) => say(`    ${line}`) });
  for (const fault of faults) {
    say(`${fault.name}...`);
    const begun = performance.now();
    await fault.run(context).catch((error: Error) =>
      context.tell({
        fault: 'Could not be tried',
        where: fault.name,
        flaws: [error.stack ?? error.message],
        notes: [],
        seconds: (performance.now() - begun) / 1000,
      }),
    );
    if (options.stop && outcomes.some(({ flaws }) => flaws.length > 0)) return outcomes;
  }
  if (!options.leave) await removeLab();
  return outcomes;
}

/** An installation that nothing befalls: how long its steps take here, and what it leaves. */
async function undisturbed(
  say: (line: string) => void,
): Promise<{ steps: UsualStep[]; reference: HostState }> {
  say('an undisturbed installation, to compare with');
  await freshHost('shared');
  const run = await install();
  const flaws = run.exit === 0 ? await flawsOfServer() : [`exit ${run.exit}: ${run.events.at(-1)?.message}`];
  if (flaws.length > 0) throw new Error(`An undisturbed installation is not well: ${flaws.join('; ')}`);
  const steps = run.events.flatMap(({ type, id, seconds }) =>
    type === 'step-finished' && id !== undefined && seconds !== undefined ? [{ id, seconds }] : [],
  );
  // On a machine that is busy now and idle later, the middle must not come after the end.
  for (const step of steps) {
    const usual = USUAL_STEPS.find(({ id }) => id === step.id)?.seconds ?? step.seconds;
    step.seconds = Math.min(step.seconds, usual);
  }
  say(steps.map(({ id, seconds }) => `${id} ${seconds.toFixed(1)} s`).join(', '));
  return { steps, reference: await look() };
}

/** The logs of the host that was struck, and of the one that it was to join. */
async function evidence(index: number, { keepEvidence, say }: StrikeOptions): Promise<void> {
  const { hosts } = (await labList()).find(({ name }) => name === LAB) ?? { hosts: [] };
  for (const { name } of hosts.filter(({ state }) => state === 'running')) {
    try {
      await sh(
        name,
        'tar -cf /run/faults.tar --ignore-failed-read /var/log/capstan /var/lib/capstan/*.json /run/faults/events /run/faults/errors /var/log/pki/*.log /var/log/dirsrv/*/errors 2>/dev/null || true',
      );
      keepEvidence(`${index}-${name}`, await readFile(`${await labRootPath(LAB, name)}/run/faults.tar`));
      await sh(name, 'rm /run/faults.tar');
    } catch (error) {
      say(`    no evidence: ${(error as Error).message}`);
    }
  }
}
