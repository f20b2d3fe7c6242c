/** SIGKILL for Capstan: at the start and in the middle of every step, in a chain of resumed runs or before an undo; and in the undo itself. */
import { caseFault } from './case.ts';
import { type Context, type Fault, notesOf, type Outcome, type UsualStep } from './fault.ts';
import { FIRST_SERVER, type Flow } from './flow.ts';
import type { Strike } from './inside.ts';
import { flawsOfBlank, flawsOfEnd } from './judge.ts';
import { install, type Run, undo } from './rig.ts';

const MOMENTS = ['start', 'middle'] as const;

/** A moment of a step. */
export interface Point {
  step: string;
  moment: (typeof MOMENTS)[number];
}

/** Both moments of every step, in the order in which an installation comes to them. */
export function pointsOf(steps: readonly { id: string }[]): Point[] {
  return steps.flatMap(({ id }) => MOMENTS.map((moment) => ({ step: id, moment })));
}

/** The strike at a point: at once, or after half of the step's usual time. */
export function strikeAt(steps: readonly UsualStep[], { step, moment }: Point, blow: Strike['blow']): Strike {
  const usual = steps.find(({ id }) => id === step)?.seconds ?? 0.1;
  return { step, state: 'applying', after: moment === 'start' ? 0 : usual * 500, blow };
}

const KILL = { signal: 'SIGKILL' } as const;

/** The steps of a flow, where it is not the one whose steps were timed. */
export interface Struck {
  flow: Flow;
  steps: readonly UsualStep[];
  /** Before the names of its faults and in the lines of the table. */
  prefix: string;
  what: string;
  /** Seconds of an undo and of the look at what it leaves, where they are not {@link UNDONE}. */
  undone?: number;
}

/** Seconds of an undo that starts nothing again. */
const UNDONE = 30;

/** One kill before an undo, for each point; of another flow than the first server's in the middle of each step. */
export function killThenUndo(steps: readonly UsualStep[], struck?: Struck): Fault[] {
  const points = pointsOf(steps).filter(({ moment }) => !struck || moment === 'middle');
  return points.map((point) =>
    caseFault({
      ...(struck && { flow: struck.flow }),
      name: `${struck?.prefix ?? ''}kill-undo/${point.step}/${point.moment}`,
      fault: `${struck?.what ?? ''}SIGKILL at the ${point.moment} of a step, then --undo`,
      where: point.step,
      seconds: (struck?.undone ?? UNDONE) + secondsUntil(steps, point),
      blows: (context) => ({ strikes: [strikeAt(struck?.steps ?? context.steps, point, KILL)] }),
      way: 'undo',
    }),
  );
}

/** Seconds that an installation takes to come to a point. */
export function secondsUntil(steps: readonly UsualStep[], { step, moment }: Point): number {
  const at = steps.findIndex(({ id }) => id === step);
  const own = moment === 'start' ? 0 : (steps[at]?.seconds ?? 0) / 2;
  return steps.slice(0, at).reduce((sum, { seconds }) => sum + seconds, own);
}

/**
 * One installation that is killed at each of these points in turn, each run but the first being the resumption of the
 * one before. What the server is in the end judges all of them.
 */
export function killChain(name: string, seconds: number, points: readonly Point[], struck?: Struck): Fault {
  return {
    name,
    seconds,
    async run(context) {
      const left = [...points];
      // A run that fails ends its chain; the rest of the points begins a new one.
      while (left.length > 0) await chain(left, context, struck);
    },
  };
}

async function chain(left: Point[], context: Context, struck: Struck | undefined): Promise<void> {
  const flow = struck?.flow ?? FIRST_SERVER;
  await flow.blank(context, 'shared');
  const outcomes: Outcome[] = [];
  let begun = performance.now();
  for (let first = true; left.length > 0; first = false) {
    const point = left.shift() as Point;
    const blows = { strikes: [strikeAt(struck?.steps ?? context.steps, point, KILL)] };
    const run = await (first ? flow.begin([], blows, {}) : flow.resume(blows));
    if (run.hits.length === 0) {
      // A resumed run that failed was not able to go on: the kill before it is to blame, and this point is still to come.
      const missed = first || run.exit === 0 ? point : undefined;
      if (!missed) left.unshift(point);
      return finish(flow, outcomes, run, context, missed);
    }
    const { step, moment } = point;
    const fault = `${struck?.what ?? ''}SIGKILL at the ${moment} of a step, then --resume`;
    const seconds = (performance.now() - begun) / 1000;
    outcomes.push({ fault, where: step, flaws: [], notes: notesOf(run), seconds });
    context.say(`${moment} of ${step}: ${seconds.toFixed(0)} s`);
    begun = performance.now();
  }
  await finish(flow, outcomes, await flow.resume(), context, undefined);
}

/** Judges the server that the last run left, and every kill of the chain with it. */
async function finish(
  flow: Flow,
  outcomes: Outcome[],
  last: Run,
  context: Context,
  missed: Point | undefined,
) {
  const whole = last.exit === 0;
  const flaws = [...flawsOfEnd(last, { exit: 0 }), ...(whole ? await flow.flawsOfServer(context) : [])];
  if (missed) {
    const why = whole ? 'the run came to its end without it' : 'the run failed before it';
    const { step, moment } = missed;
    outcomes.push({
      fault: 'Not struck',
      where: `${step} ${moment}`,
      flaws: [why],
      notes: [],
      seconds: last.seconds,
    });
  }
  for (const [index, outcome] of outcomes.entries()) {
    const mine = whole || index === outcomes.length - 1;
    outcome.flaws.push(...(mine ? flaws : ['not judged: a later run of the chain failed']));
    await context.tell(outcome);
  }
}

/** Steps whose undo takes long enough to have a middle, and the milliseconds until it. */
const LONG_UNDOS: Readonly<Record<string, number>> = {
  'certificate-authority': 4000,
  'directory-instance': 1200,
};

/** The moments of an undo, in the order in which it comes to them. */
function undoPoints(steps: readonly UsualStep[]): { id: string; moment: string; after: number }[] {
  return steps
    .toReversed()
    .flatMap(({ id }) => [
      { id, moment: 'start', after: 0 },
      ...(LONG_UNDOS[id] ? [{ id, moment: 'middle', after: LONG_UNDOS[id] }] : []),
    ]);
}

/** One undo that is killed at every step in turn, each run but the first taking up the one before. */
export function killedUndo(): Fault {
  return {
    name: 'kill-in-undo',
    seconds: 240,
    async run(context) {
      const before = await context.blank('shared');
      const last = context.steps.at(-1)?.id ?? '';
      const built = await install([], {
        strikes: [strikeAt(context.steps, { step: last, moment: 'start' }, KILL)],
      });
      const flaws = built.hits.length === 1 ? [] : ['the installation was not struck'];
      const outcomes: Outcome[] = [];
      for (const { id, moment, after } of undoPoints(context.steps)) {
        const run = await undo({ strikes: [{ step: id, state: 'undoing', after, blow: KILL }] });
        if (run.hits.length === 0) flaws.push(`the undo never came to the ${moment} of ${id}`);
        if (run.exit !== null) break;
        const fault = `SIGKILL at the ${moment} of a step of the undo, then --undo`;
        outcomes.push({ fault, where: id, flaws, notes: notesOf(run), seconds: run.seconds });
        context.say(`${moment} of ${id}: ${run.seconds.toFixed(0)} s`);
      }
      flaws.push(...flawsOfEnd(await undo(), { exit: 0 }), ...(await flawsOfBlank(before)));
      if (outcomes.length === 0) throw new Error(flaws.join('; '));
      for (const outcome of outcomes) await context.tell(outcome);
      if (flaws.length === 0) context.blankAgain();
    },
  };
}
