/** A fault that strikes one installation once, and the way on that is taken then. */
import type { HsmKind } from '../../../src/lab/lab.ts';
import { type Context, type Fault, notesOf } from './fault.ts';
import { FIRST_SERVER, type Flow } from './flow.ts';
import { flawsOfEnd } from './judge.ts';
import type { Blows, Run } from './rig.ts';

/** What is done to one installation. */
export interface Case {
  /** What is struck; the first server unless told. */
  flow?: Flow;
  name: string;
  /** The line of the table that it counts for. */
  fault: string;
  where: string;
  seconds: number;
  hsm?: HsmKind;
  /** Done to the blank host, which is then looked at: a small file system, for instance. */
  prepare?(): Promise<void>;
  /** Options of the struck run besides the usual ones: `--keep`. */
  options?: readonly string[];
  /** Option values of the struck run that replace the usual ones. */
  changes?: Record<string, string>;
  blows(context: Context): Blows;
  /** How the struck run must end, where it is not killed and must not come through. */
  ends?: { exit: number; code?: string };
  /** The cause removed: room made, the HSM started. @returns what is wrong already */
  repair?(struck: Run): Promise<string[] | undefined>;
  /** `--resume` or `--undo`; or the struck run itself either comes through or takes back what it did. */
  way: 'resume' | 'undo' | 'itself';
  /** What surrounds the way on: another clock. */
  wayBlows?: Blows;
}

/** The fault of one case. */
export function caseFault(one: Case): Fault {
  return {
    name: one.name,
    seconds: one.seconds,
    async run(context) {
      const begun = performance.now();
      const { fault, where } = one;
      const notes: string[] = [];
      const flaws = await judged(one, context, notes);
      const seconds = (performance.now() - begun) / 1000;
      await context.tell({ fault, where, flaws, notes, seconds });
    },
  };
}

async function judged(one: Case, context: Context, notes: string[]): Promise<string[]> {
  const flow = one.flow ?? FIRST_SERVER;
  let before = await flow.blank(context, one.hsm ?? 'shared');
  if (one.prepare) {
    await one.prepare();
    before = await flow.look();
  }
  const blows = one.blows(context);
  const struck = await flow.begin(one.options ?? [], blows, one.changes ?? {});
  notes.push(...notesOf(struck));
  const wanted = blows.strikes?.length ?? 0;
  if (struck.hits.length < wanted) {
    return [`only ${struck.hits.length} of ${wanted} blows were struck`, ...flawsOfEnd(struck, { exit: 0 })];
  }
  const flaws = one.ends ? flawsOfEnd(struck, one.ends) : [];
  flaws.push(...((await one.repair?.(struck)) ?? []));
  const installed = one.way === 'itself' ? struck.exit === 0 : one.way === 'resume';
  if (one.way === 'itself') flaws.push(...flawsOfEnd(struck, { exit: installed ? 0 : (struck.exit ?? 1) }));
  else flaws.push(...(await wayOn(flow, one, notes)));
  flaws.push(...(await (installed ? flow.flawsOfServer(context) : flow.flawsOfBlank(before))));
  if (flaws.length === 0 && !installed && !one.prepare) flow.blankAgain(context);
  return flaws;
}

/** Resumes or undoes. @returns what is wrong with that run */
async function wayOn(flow: Flow, one: Case, notes: string[]): Promise<string[]> {
  const second = await (one.way === 'resume' ? flow.resume(one.wayBlows) : flow.undo(one.wayBlows));
  notes.push(`--${one.way} took ${second.seconds.toFixed(1)} s`);
  return flawsOfEnd(second, { exit: 0 });
}
