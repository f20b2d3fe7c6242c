/** What the faults script and the faults test share that needs no lab: the sample of a day, and the table. */

/** What is drawn from: something with a name and the seconds that it usually takes. */
export interface Priced {
  name: string;
  seconds: number;
}

/** One time that a fault struck, as far as the table tells it. */
export interface Row {
  fault: string;
  flaws: readonly string[];
  seconds: number;
}

/** The number that a day's sample is drawn with: days since 1970 (UTC). */
export function seedOfDay(now: Date = new Date()): number {
  return Math.floor(now.getTime() / 86_400_000);
}

/**
 * Draws what fits into `budget` seconds, in an order that follows from the seed alone: the same seed and list give the
 * same sample, and over the days everything that fits comes up.
 */
export function drawSample<T extends Priced>(all: readonly T[], seed: number, budget: number): T[] {
  const random = randomNumbers(seed);
  const left = [...all];
  const drawn: T[] = [];
  let room = budget;
  while (left.length > 0) {
    const [one] = left.splice(Math.floor(random() * left.length), 1) as [T];
    if (one.seconds > room) continue;
    room -= one.seconds;
    drawn.push(one);
  }
  return drawn;
}

/** Numbers from 0 up to 1 that follow from the seed: a linear congruential generator (constants of Numerical Recipes). */
function randomNumbers(seed: number): () => number {
  let state = Math.imul(seed, 2_654_435_761) >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

/** A line for each kind of fault: how often it struck, and how often it was survived; a sum at the end. */
export function faultTable(rows: readonly Row[]): string[] {
  const kinds = [...new Set(rows.map(({ fault }) => fault))];
  const width = Math.max('Sum'.length, ...kinds.map((kind) => kind.length));
  const line = (kind: string, some: readonly Row[]) => {
    const survived = some.filter(({ flaws }) => flaws.length === 0).length;
    const [times, well] = [some.length, survived].map((count) => String(count).padStart(8));
    return `${kind.padEnd(width)} ${times} ${well}`;
  };
  return [
    `${'Fault'.padEnd(width)} ${'Times'.padStart(8)} ${'Survived'.padStart(8)}`,
    ...kinds.map((kind) =>
      line(
        kind,
        rows.filter(({ fault }) => fault === kind),
      ),
    ),
    line('Sum', rows),
  ];
}
