import { link, readFile, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type CapstanError, refusal } from '../errors.ts';
import { pathExists, removeEmptyFolder, removeFile, writeFileAtomically } from '../host/files.ts';
import { redact } from '../secret/redaction.ts';
import type { Facts } from './step.ts';

/** How far a step has come. `applying` and `undoing` are on disk before the first change that they announce. */
export type StepState = 'applying' | 'done' | 'undoing' | 'undone';

/** One step in the journal. */
export interface JournalEntry {
  id: string;
  state: StepState;
  /** When it took this state, ISO 8601 in UTC. */
  at: string;
  facts: Facts;
}

/** Why a flow stopped. */
export interface JournalFailure {
  /** The id of the step that failed. */
  step: string;
  code: string;
  message: string;
  at: string;
}

/** What a flow did on this host. Never holds a secret. */
export interface Journal {
  version: 1;
  /** Which flow wrote it: `server-install`. */
  flow: string;
  /** Capstan's own version. */
  capstan: string;
  started: string;
  /** Set when the flow came to its end. */
  finished?: string;
  /** Set when what was done began to be taken back: from then on there is no way but to its end. */
  removing?: string;
  /** Since when it waits for something from outside, after steps that need nothing more. */
  waiting?: string;
  /** The same while a run goes on that may fail, after which it waits again. */
  waited?: string;
  /** Why it stopped, when it stopped by itself and not by a kill or a power cut. */
  failure?: JournalFailure;
  /** The ids of the runs that worked on it; their programs can be told by them (host/leftovers). */
  runs: string[];
  /** What was asked for, without secrets. */
  site: Facts;
  steps: JournalEntry[];
}

/** A journal and the file that holds it; every change is on disk before it returns. */
export interface JournalFile {
  readonly path: string;
  readonly journal: Journal;
  entry(id: string): JournalEntry | undefined;
  record(id: string, state: StepState): Promise<void>;
  remember(id: string, facts: Facts): Promise<void>;
  /** Another run begins to work on it; an earlier failure is history. */
  resume(run: string): Promise<void>;
  fail(failure: Omit<JournalFailure, 'at'>): Promise<void>;
  /** What can be done is done: it waits for something from outside. */
  wait(): Promise<void>;
  /** What was done begins to be taken back. */
  removal(run: string): Promise<void>;
  finish(): Promise<void>;
  remove(): Promise<void>;
}

/** Whether a flow began and did not come to its end, or began to be taken back and was not wholly. */
export function isUnfinished({ journal }: JournalFile): boolean {
  return journal.finished === undefined || journal.removing !== undefined;
}

/** What a journal tells of an unfinished flow, in a sentence or two, with the times (UTC). */
export function storyOf({ started, steps, failure, removing, waiting }: Journal): string {
  const named = (...states: StepState[]) => steps.filter(({ state }) => states.includes(state)).map(nameOf);
  const done = named('done');
  const begun = named('applying', 'undoing');
  return [
    `It began at ${started}`,
    `steps done: ${done.length}${done.length > 0 ? `, the last of them ${done.at(-1)}` : ''}`,
    ...(begun.length > 0 ? [`${begun.join(' and ')} began and did not come to an end`] : []),
    ...(failure ? [`${failure.step} failed at ${failure.at}: ${failure.message}`] : []),
    ...(waiting ? [`since ${waiting} it waits for the certificate of its CA`] : []),
    ...(removing ? [`since ${removing} it is being taken back`] : []),
  ].join('; ');
}

function nameOf({ id, at }: JournalEntry): string {
  return `${id} (${at})`;
}

/**
 * Starts a journal, exclusively: of two runs at the same time one begins.
 * @throws CapstanError `already-running` when there is a journal in its place
 */
export async function createJournal(
  path: string,
  head: Pick<Journal, 'flow' | 'capstan' | 'site' | 'runs'>,
): Promise<JournalFile> {
  const file = journalFile(path, { version: 1, started: now(), ...head, steps: [] });
  // Whole or not at all: a kill in between must not leave an empty journal, which nobody could go on from.
  const first = `${path}.first`;
  await writeFileAtomically(first, text(file.journal), { mode: 0o600 });
  try {
    await link(first, path);
  } catch (error) {
    throw (error as NodeJS.ErrnoException).code === 'EEXIST' ? alreadyRunning(path) : error;
  } finally {
    await unlink(first);
  }
  return file;
}

/**
 * Reads the journal at `path`, or undefined where there is none.
 * @throws CapstanError `journal-unreadable` when the file is none of ours or of a later version
 */
export async function readJournal(path: string): Promise<JournalFile | undefined> {
  if (!(await pathExists(path))) return undefined;
  let parsed: unknown;
  try {
    parsed = JSON.parse(await readFile(path, 'utf8'));
  } catch (error) {
    throw unreadable(path, (error as Error).message);
  }
  if (!isJournal(parsed)) throw unreadable(path, 'it is not a journal that this version of Capstan knows');
  return journalFile(path, parsed);
}

function journalFile(path: string, journal: Journal): JournalFile {
  const find = (id: string) => journal.steps.find((step) => step.id === id);
  const file: JournalFile = {
    path,
    journal,
    entry: find,
    async record(id, state) {
      const entry = find(id);
      if (entry) Object.assign(entry, { state, at: now() });
      else journal.steps.push({ id, state, at: now(), facts: {} });
      await save(file);
    },
    async remember(id, facts) {
      const entry = find(id);
      if (!entry) throw new Error(`step ${id} remembers before it has begun`);
      entry.facts = { ...entry.facts, ...facts };
      await save(file);
    },
    async resume(run) {
      joinRun(journal, run);
      delete journal.failure;
      if (journal.waiting !== undefined) journal.waited = journal.waiting;
      delete journal.waiting;
      await save(file);
    },
    async wait() {
      journal.waiting = journal.waited ?? now();
      delete journal.waited;
      await save(file);
    },
    async fail(failure) {
      journal.failure = { ...failure, message: redact(failure.message), at: now() };
      await save(file);
    },
    async removal(run) {
      joinRun(journal, run);
      journal.removing ??= now();
      delete journal.waiting;
      await save(file);
    },
    async finish() {
      journal.finished = now();
      delete journal.waited;
      await save(file);
    },
    async remove() {
      for (const file of [path, `${path}.first`]) await removeFile(file);
      await removeEmptyFolder(dirname(path));
    },
  };
  return file;
}

function joinRun(journal: Journal, run: string): void {
  if (!journal.runs.includes(run)) journal.runs.push(run);
}

async function save(file: JournalFile): Promise<void> {
  await writeFileAtomically(file.path, text(file.journal), { mode: 0o600 });
}

function text(journal: Journal): string {
  return `${JSON.stringify(journal, undefined, 2)}\n`;
}

function isJournal(value: unknown): value is Journal {
  const journal = value as Journal;
  return (
    isObject(journal) &&
    journal.version === 1 &&
    typeof journal.flow === 'string' &&
    typeof journal.started === 'string' &&
    isObject(journal.site) &&
    areStrings(journal.runs) &&
    Array.isArray(journal.steps) &&
    journal.steps.every(isEntry)
  );
}

const STATES: readonly StepState[] = ['applying', 'done', 'undoing', 'undone'];

function isEntry(entry: JournalEntry): boolean {
  return (
    isObject(entry) &&
    areStrings([entry.id, entry.at]) &&
    STATES.includes(entry.state) &&
    isObject(entry.facts)
  );
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function areStrings(values: unknown): boolean {
  return Array.isArray(values) && values.every((value) => typeof value === 'string');
}

function alreadyRunning(path: string) {
  return refusal(
    'already-running',
    `Another run has begun on this host: its journal ${path} is there.`,
    'Wait for it to end; "capstan status" and "capstan uninstall" tell more.',
  );
}

/** The refusal of a journal that cannot be worked with. @param why the end of the sentence */
export function unreadable(path: string, why: string): CapstanError {
  return refusal(
    'journal-unreadable',
    `The journal ${path} cannot be read: ${why}.`,
    'Keep the file; it tells what was changed on this host.',
  );
}

function now(): string {
  return new Date().toISOString();
}
