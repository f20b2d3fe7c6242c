import type { Wait } from '../host/wait.ts';

/** The facts that a step leaves in the journal for its undo and for later commands. Never a secret. */
export type Facts = Readonly<Record<string, unknown>>;

/** What a running step may tell: shown to the person, or kept in the journal. */
export interface StepReport {
  /** Says what is being waited for, in a few words; the last line of a sub-process, for instance. */
  line(text: string): void;
  /** Puts facts into the journal, on disk before this returns. Call it before the change that the facts announce. */
  remember(facts: Facts): Promise<void>;
  /** What this step remembered so far, in this run or an earlier one. */
  readonly facts: Facts;
}

/**
 * One visible change of a flow. It looks before it touches, and knows how to take itself back.
 * What it needs is in its arguments; what its undo needs is in the journal.
 */
export interface Step {
  /** A stable name, for the journal: `certificate-authority`. */
  id: string;
  /** What it does, for a person: `Create the certificate authority on the token HSM`. */
  title: string;
  /** Taken in every run, and with nothing to take back: it is kept out of the journal. */
  transient?: boolean;
  /** Whether the undo ends where this cannot be taken back: what came before is needed for another try. */
  holdsBack?: boolean;
  /** Whether it is so already. */
  done(): Promise<boolean>;
  apply(report: StepReport): Promise<void>;
  /** Takes back what {@link apply} did, wholly or in part, and nothing else; safe to call twice. */
  undo(report: StepReport): Promise<void>;
}

/** Something that must hold before the first change. */
export interface Check {
  id: string;
  /** What is looked at, for a person: `The token HSM can be used by pkiuser`. */
  title: string;
  /** Resolves to a fact worth showing, or nothing; throws a CapstanError for each thing that is wrong. */
  run(): Promise<string | undefined>;
}

/** What happens while a flow runs; views draw it. */
export type PlanEvent =
  | { type: 'checks'; total: number }
  | { type: 'check-started'; id: string; title: string }
  | { type: 'check-passed'; id: string; title: string; fact?: string }
  | { type: 'check-failed'; id: string; title: string; code: string; message: string; next?: string }
  | { type: 'plan'; steps: readonly { id: string; title: string }[] }
  | { type: 'step-started'; id: string; title: string }
  | { type: 'step-line'; id: string; line: string }
  | ({ type: 'waiting' } & Wait)
  | { type: 'step-finished'; id: string; title: string; seconds: number; changed: boolean }
  | { type: 'step-failed'; id: string; title: string; seconds: number; code: string; message: string }
  | { type: 'stopped'; id: string; title: string; done: readonly string[]; undo: readonly string[] }
  | { type: 'undo-started'; id: string; title: string }
  | { type: 'undo-finished'; id: string; title: string; seconds: number }
  | { type: 'undo-failed'; id: string; title: string; code: string; message: string };

/** Receives the events of a run, in order. */
export type Listener = (event: PlanEvent) => void;
