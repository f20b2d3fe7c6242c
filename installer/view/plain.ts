import type { PlanEvent } from '../../src/plan/step.ts';
import { redact } from '../../src/secret/redaction.ts';
import { printError } from './error.ts';
import { reportLines } from './report.ts';
import { cleanLine, duration, standingLines, waitSentence } from './text.ts';
import type { View } from './view.ts';

/** One line an event on standard output, each with its time: for logs, pipes and terminals that cannot redraw. */
export function plainView(write = (text: string): unknown => process.stdout.write(text)): View {
  return {
    listen: (event) => {
      const lines = event.type === 'stopped' ? standingLines(event) : [sentence(event)];
      for (const line of lines) write(`${timeOfDay()} ${cleanLine(line)}\n`);
    },
    result: (summary) => write(`${redact(reportLines(summary).join('\n'))}\n`),
    error: printError,
    pause: async () => {},
    end: async () => {},
  };
}

function timeOfDay(): string {
  return new Date().toTimeString().slice(0, 8);
}

function sentence(event: Exclude<PlanEvent, { type: 'stopped' }>): string {
  switch (event.type) {
    case 'checks':
      return `${event.total} checks before anything changes`;
    case 'check-started':
      return `check: ${event.title}`;
    case 'check-passed':
      return `check passed: ${event.title}${event.fact ? ` (${event.fact})` : ''}`;
    case 'check-failed':
      return `check FAILED: ${event.title}: ${event.message} [${event.code}]`;
    case 'plan':
      return `${event.steps.length} steps: ${event.steps.map(({ title }) => title).join('; ')}`;
    case 'step-started':
      return `step: ${event.title}`;
    case 'step-line':
      return `  | ${event.line}`;
    case 'waiting':
      return `  | ${waitSentence(event)}`;
    case 'step-finished':
      return `step ${event.changed ? 'done' : 'already so'}: ${event.title} (${duration(event.seconds)})`;
    case 'step-failed':
      return `step FAILED: ${event.title} (${duration(event.seconds)}): ${event.message} [${event.code}]`;
    case 'undo-started':
      return `undo: ${event.title}`;
    case 'undo-finished':
      return `undo done: ${event.title} (${duration(event.seconds)})`;
    case 'undo-failed':
      return `undo FAILED: ${event.title}: ${event.message} [${event.code}]`;
  }
}
