import { duration, shortened } from './text.ts';

/** How a task ended; `skipped` when its turn never came. */
export type Outcome = 'done' | 'failed' | 'skipped';

/** What a slot is drawn on, once there is something to draw on. */
export interface Canvas {
  title(text: string, note: string): void;
  line(text: string): void;
}

/** The place of one check or step in a live list. It takes what happens before it can be drawn. */
export interface Slot {
  /** Known from the start for planned steps; otherwise undefined, and invisible, until it starts. */
  readonly title: string | undefined;
  start(title: string): void;
  line(text: string): void;
  /** Ends it, with a note behind the title. Later ends are ignored. */
  finish(outcome: Outcome, note?: string): void;
  /** Draws from now on; resolves with how it ended. */
  drawOn(canvas: Canvas): Promise<Outcome>;
}

/** Seconds between two looks at the clock while a task runs. */
const TICK = 1;

/** A slot, with its title where that is planned. */
export function slot(planned?: string): Slot {
  const end = Promise.withResolvers<Outcome>();
  let title = planned;
  let canvas: Canvas | undefined;
  let begun: number | undefined;
  let note = '';
  let last = '';
  let ended = false;
  const redraw = () => {
    if (title !== undefined && begun !== undefined) canvas?.title(title, note);
  };
  const tick = () => {
    if (ended || begun === undefined) return;
    const seconds = Math.floor((performance.now() - begun) / 1000);
    if (seconds < TICK) return;
    note = duration(seconds).replace('.0', '');
    redraw();
  };
  return {
    get title() {
      return title;
    },
    start(text) {
      title = text;
      begun = performance.now();
      redraw();
    },
    line(text) {
      // Two places of indentation, two of the arrow, one to spare: a wrapped line would make the list jump.
      if (text === '' || ended) return;
      last = shortened(text, (process.stdout.columns || 80) - 6);
      canvas?.line(last);
    },
    finish(outcome, text = '') {
      if (ended) return;
      ended = true;
      note = text;
      redraw();
      end.resolve(outcome);
    },
    async drawOn(target) {
      canvas = target;
      redraw();
      if (last !== '') canvas.line(last);
      const timer = setInterval(tick, TICK * 1000);
      try {
        return await end.promise;
      } finally {
        clearInterval(timer);
      }
    },
  };
}
