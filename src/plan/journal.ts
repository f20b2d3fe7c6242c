import { mkdir, readFile, unlink, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { failure, refusal } from '../errors.ts';
import { pathExists, removeEmptyFolder, writeFileAtomically } from '../host/files.ts';
import type { Facts } from './step.ts';

/** How far a step has come. `applying` is on disk before the step's first change. */
export type StepState = 'applying' | 'done' | 'undone';

/** One step in the journal. */
export interface JournalEntry {
  id: string;
  state: StepState;
  /** When it took this state, ISO 8601 in UTC. */
  at: string;
  facts: Facts;
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
  finish(): Promise<void>;
  remove(): Promise<void>;
}

/**
 * Starts a journal, exclusively: of two runs at the same time one begins.
 * @throws CapstanError `already-running` when there is a journal in its place
 */
export async function createJournal(
  path: string,
  head: Pick<Journal, 'flow' | 'capstan' | 'site'>,
): Promise<JournalFile> {
  const file = journalFile(path, { version: 1, started: now(), ...head, steps: [] });
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, '', { flag: 'wx', mode: 0o600 }).catch((error: NodeJS.ErrnoException) => {
    throw error.code === 'EEXIST' ? alreadyRunning(path) : error;
  });
  await save(file);
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
  if (!isJournal(parsed)) throw unreadable(path, 'it is not a journal of this version of Capstan');
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
    async finish() {
      journal.finished = now();
      await save(file);
    },
    async remove() {
      await unlink(path);
      await removeEmptyFolder(dirname(path));
    },
  };
  return file;
}

async function save(file: JournalFile): Promise<void> {
  await writeFileAtomically(file.path, `${JSON.stringify(file.journal, undefined, 2)}\n`, { mode: 0o600 });
}

function isJournal(value: unknown): value is Journal {
  const journal = value as Journal;
  return (
    typeof journal === 'object' &&
    journal !== null &&
    journal.version === 1 &&
    typeof journal.flow === 'string' &&
    typeof journal.site === 'object' &&
    Array.isArray(journal.steps)
  );
}

function alreadyRunning(path: string) {
  return refusal(
    'already-running',
    `Another run has begun on this host: its journal ${path} is there.`,
    'Wait for it to end; "capstan status" and "capstan uninstall" tell more.',
  );
}

function unreadable(path: string, why: string) {
  return failure(
    'journal-unreadable',
    `The journal ${path} cannot be read: ${why}.`,
    'Keep the file; it tells what was changed on this host.',
  );
}

function now(): string {
  return new Date().toISOString();
}
