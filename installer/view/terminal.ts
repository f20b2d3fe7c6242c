import { styleText } from 'node:util';
import { Listr, ListrDefaultRendererLogLevels, type ListrTask } from 'listr2';
import type { PlanEvent } from '../../src/plan/step.ts';
import { redact } from '../../src/secret/redaction.ts';
import { printError } from './error.ts';
import { reportLines } from './report.ts';
import { type Outcome, type Slot, slot } from './slot.ts';
import { cleanLine, cleanText, duration, standingLines, waitSentence } from './text.ts';
import type { View } from './view.ts';

const NOT_REACHED = ListrDefaultRendererLogLevels.SKIPPED_WITHOUT_COLLAPSE;

const SHOW_CURSOR = '\u001b[?25h';

/** Tasks drawn together, one below the other, in the order in which they run. */
interface Phase {
  slots: Slot[];
  /** The slots that have not started. */
  waiting: Slot[];
}

/**
 * The live view for a person: each check and step with its time, and below the running one the last line
 * of what it runs. Events arrive before listr2 is ready to draw them; slots keep them until it is.
 */
export function terminalView(): View {
  assumeSize(process.stdout);
  // A forced end leaves no time for listr2 to give the cursor back.
  const giveBackCursor = () => process.stdout.write(SHOW_CURSOR);
  process.once('exit', giveBackCursor);
  const running = new Map<string, Slot>();
  let phase: Phase | undefined;
  let drawn = Promise.resolve();

  const open = (slots: Slot[]) => {
    close();
    phase = { slots, waiting: [...slots] };
    drawn = drawn.then(() => draw(slots));
  };
  const close = () => {
    for (const one of phase?.slots ?? []) one.finish('skipped');
    phase = undefined;
  };
  const after = (work: () => void) => {
    close();
    drawn = drawn.then(work);
  };
  const start = (id: string, title: string) => {
    const next = phase?.waiting.shift();
    if (!next) return;
    next.start(redact(title));
    running.set(id, next);
  };

  return {
    listen(event) {
      if (event.type === 'checks') open(Array.from({ length: event.total }, () => slot()));
      else if (event.type === 'plan') open(event.steps.map(({ title }) => slot(redact(title))));
      else if (event.type === 'step-line') running.get(event.id)?.line(cleanLine(event.line));
      else if (event.type === 'waiting') {
        for (const one of running.values()) one.line(waitSentence(event));
      } else if (event.type === 'stopped') {
        after(() => process.stdout.write(`  ${standingLines(event).join('\n  ')}\n`));
      } else if (event.type === 'undo-started') {
        open([slot()]);
        start(event.id, `Take back: ${event.title}`);
      } else if (event.type === 'check-started' || event.type === 'step-started')
        start(event.id, event.title);
      else {
        running.get(event.id)?.finish(...endOf(event));
        // The undo that follows may take minutes; the reason must not wait for the report at the end.
        if (event.type === 'step-failed' || event.type === 'undo-failed') {
          after(() => process.stdout.write(`  ${cleanText(event.message, '  ')}\n`));
        }
      }
    },
    result: (summary) => after(() => process.stdout.write(`\n${redact(reportLines(summary).join('\n'))}\n`)),
    error: (report) => after(() => printError(report)),
    async pause() {
      after(() => {});
      await drawn;
    },
    async end() {
      await this.pause();
      process.removeListener('exit', giveBackCursor);
    },
  };
}

/** The events that end a check, a step or an undo. */
type EndEvent = Extract<
  PlanEvent,
  { type: `check-${'passed' | 'failed'}` | `step-${'finished' | 'failed'}` | `undo-${'finished' | 'failed'}` }
>;

/** How it ended, and what is worth a note behind its title. */
function endOf(event: EndEvent): [Outcome, string] {
  switch (event.type) {
    case 'check-passed':
      return ['done', redact(event.fact ?? '')];
    case 'step-finished':
      return ['done', event.changed ? duration(event.seconds) : 'already so'];
    case 'undo-finished':
      return ['done', duration(event.seconds)];
    case 'step-failed':
      return ['failed', duration(event.seconds)];
    default:
      return ['failed', ''];
  }
}

async function draw(slots: readonly Slot[]): Promise<void> {
  const list = new Listr(slots.map(taskOf), {
    // The command ends the run on a signal, in its own way; listr2 would exit at once with 127.
    registerSignalListeners: false,
    exitOnError: false,
    rendererOptions: {
      showErrorMessage: false,
      collapseSkips: false,
      showSkipMessage: false,
      // What never had its turn is no warning, as listr2 would have it.
      icon: { [NOT_REACHED]: '◼' },
      color: { [NOT_REACHED]: (text = '') => styleText('dim', text) },
    },
  });
  await list.run();
}

function taskOf(one: Slot): ListrTask {
  return {
    ...(one.title !== undefined && { title: one.title }),
    task: async (_context, task) => {
      const outcome = await one.drawOn({
        title: (text, note) => {
          task.title = note ? `${text} ${styleText('dim', note)}` : text;
        },
        line: (text) => {
          task.output = text;
        },
      });
      if (outcome === 'skipped') task.skip();
      if (outcome === 'failed') throw new Error('failed');
    },
  };
}

/**
 * Gives a pseudo terminal without a size (0 by 0: a serial console, a container's exec) the classic 80 by 24;
 * listr2 would wrap at a negative width and its log-update would cut every line away.
 */
function assumeSize(output: NodeJS.WriteStream): void {
  const assume = () => {
    if (!output.columns) output.columns = Number(process.env.COLUMNS) || 80;
    if (!output.rows) output.rows = Number(process.env.LINES) || 24;
  };
  assume();
  output.prependListener('resize', assume);
}
