import type { PlanEvent } from '../../src/plan/step.ts';
import type { ErrorReport } from './error.ts';

/** What a run built, where it is, and what to do next. */
export interface Summary {
  title: string;
  facts: readonly { name: string; value: string }[];
  next: readonly string[];
}

/** How a run is shown: live in a terminal, as plain lines, or as JSON events (docs/events.md). */
export interface View {
  listen(event: PlanEvent): void;
  result(summary: Summary): void;
  error(report: ErrorReport): void;
  /** Resolves when everything so far is drawn and a question may be asked. */
  pause(): Promise<void>;
  /** Resolves when everything is drawn. Nothing may be shown afterwards. */
  end(): Promise<void>;
}

/** The views that --output names. */
export const VIEW_KINDS = ['terminal', 'plain', 'json'] as const;
/** One of {@link VIEW_KINDS}. */
export type ViewKind = (typeof VIEW_KINDS)[number];

/** The view that suits where standard output goes: `terminal` for a person, `plain` for a file or a pipe. */
export function suitableView(
  output: { isTTY?: boolean } = process.stdout,
  environment: Readonly<Record<string, string | undefined>> = process.env,
): ViewKind {
  return output.isTTY && environment.TERM !== 'dumb' ? 'terminal' : 'plain';
}

/** Opens the view of a kind, or the suitable one; only its own code is loaded. */
export async function openView(kind: ViewKind = suitableView()): Promise<View> {
  if (kind === 'json') return (await import('./json.ts')).jsonView();
  if (kind === 'plain') return (await import('./plain.ts')).plainView();
  return (await import('./terminal.ts')).terminalView();
}
