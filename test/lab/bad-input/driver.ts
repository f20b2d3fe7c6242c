/** Runs one wrong invocation in a host, and says everything in which its refusal falls short. */
import { type Dirent, lstatSync, readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { CommandResult } from '../../../src/host/command.ts';
import { labRootPath } from '../../../src/lab/lab.ts';
import { hostPlace, labPlace } from '../../../src/lab/names.ts';
import { inHost, LAB } from '../support.ts';

/** The host in which the wrong invocations are made. */
export const HOST = 'ca1';

/** In every password of the tables, so that one that is repeated in an output is found. */
export const CANARY = 'Canary';

/** One wrong invocation, and how it must be refused. */
export interface BadInput {
  /** What is wrong with it; the name of the test. */
  what: string;
  /** The words after `capstan`. */
  argv: readonly string[];
  /** The code of the one error; of the one failed check, where checks failed. */
  code: string;
  /** What the error must name: the option or the file, or the part of the input that is wrong. */
  names: string;
  /** Standard input; empty unless told. */
  input?: string;
  /** Words before `capstan`: `env`, `setpriv` and such. */
  as?: readonly string[];
  /** Whether the host was looked at before the refusal, so that the run has a log. */
  checked?: boolean;
  /**
   * Whether no other invocation may be under way: a run that changes the host has it for itself, and a login to a token of
   * SoftHSM writes what another look reads.
   */
  alone?: boolean;
}

/** What is on a host's disks and in its memory file systems: a line of facts for every path. */
export type Snapshot = ReadonlyMap<string, string>;

/**
 * What the host does by itself in the background, and what a look at the token leaves behind: systemd's journal, its
 * own state, folders of its services, logins of runuser; SoftHSM's count of wrong PINs in `token.object`.
 */
const NOISE = [
  /^disk\/var\/log\/(journal|wtmp|lastlog|btmp|faillog)/,
  /^disk\/var\/lib\/(systemd|private|logrotate|apt)(\/|$)/,
  /^disk\/var\/tmp(\/systemd-private-.*)?$/,
  /^\/run\/(log|systemd|udev|user|utmp|lock|host)(\/|$)/,
  /^\/tmp\/(systemd-private-[^/]*|hsperfdata_[^/]*|\.[A-Z0-9]*-unix)(\/|$)/,
  /^token\/.*(token\.(object|lock)|generation)$/,
];

/** Folders in memory in which private folders come and go. */
const BUSY_FOLDERS = new Set(['/run', '/tmp', '/dev/shm']);

/** The log of the run itself, and its folder: the only thing that checks may leave behind. */
export const RUN_LOG = /^disk\/var\/log\/capstan(\/|$)|^disk\/var\/log$/;

/**
 * Everything that can have changed on the host: what it has written since it was made (the overlay's upper layer, which
 * is all of its disk that differs from the image), its file systems in memory, and the token.
 */
export async function snapshot(host = HOST): Promise<Snapshot> {
  const root = await labRootPath(LAB, host);
  const found = new Map<string, string>();
  look(hostPlace(LAB, host).upper, 'disk', found);
  for (const folder of BUSY_FOLDERS) look(join(root, folder), folder, found);
  look(labPlace(LAB).token, 'token', found);
  return found;
}

function look(folder: string, name: string, found: Map<string, string>): void {
  for (const entry of entriesOf(folder)) {
    const path = `${name}/${entry.name}`;
    if (NOISE.some((pattern) => pattern.test(path))) continue;
    const facts = factsOf(join(folder, entry.name), path);
    if (facts === undefined) continue;
    found.set(path, facts);
    if (entry.isDirectory()) look(join(folder, entry.name), path, found);
  }
}

function entriesOf(folder: string): Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch {
    // It was there a moment ago; the difference will tell.
    return [];
  }
}

/** Type and mode, owner, size, times, target of a link; undefined when it is gone meanwhile. */
function factsOf(path: string, name: string): string | undefined {
  const found = lstatSync(path, { bigint: true, throwIfNoEntry: false });
  if (!found) return undefined;
  const { mode, uid, gid, size, mtimeNs, ctimeNs } = found;
  const target = found.isSymbolicLink() ? readlinkSync(path) : '';
  const times = BUSY_FOLDERS.has(name) ? [] : [mtimeNs, ctimeNs];
  return [mode.toString(8), uid, gid, size, target, ...times].join(' ');
}

/** The paths that are new, gone or different. */
export function changes(before: Snapshot, after: Snapshot): string[] {
  const paths = new Set([...before.keys(), ...after.keys()]);
  return [...paths].filter((path) => before.get(path) !== after.get(path)).sort();
}

const ANY_CODE = Array.from({ length: 256 }, (_, code) => code);

/** How many invocations are under way at the same time. */
const AT_ONCE = 3;

/**
 * Makes every invocation of a table and gives, by its name, everything in which its refusal falls short.
 * Those that may go side by side do; when something on the host changes meanwhile, they are made again one by one.
 */
export async function judge(table: readonly BadInput[]): Promise<ReadonlyMap<string, readonly string[]>> {
  const found = new Map<string, readonly string[]>();
  for (const group of groupsOf(table)) {
    const before = await snapshot();
    const amiss = await Promise.all(group.map(async (bad) => [bad.what, await refuse(bad)] as const));
    const changed = changedBy(group, before, await snapshot());
    if (changed.length === 0 || group.length === 1) {
      for (const [what, words] of amiss) found.set(what, [...words, ...changed]);
      continue;
    }
    for (const bad of group) {
      for (const [what, words] of await judge([{ ...bad, alone: true }])) found.set(what, words);
    }
  }
  return found;
}

function groupsOf(table: readonly BadInput[]): BadInput[][] {
  const [together, apart] = [table.filter(({ alone }) => !alone), table.filter(({ alone }) => alone)];
  const groups = Array.from({ length: Math.ceil(together.length / AT_ONCE) }, (_, index) =>
    together.slice(index * AT_ONCE, (index + 1) * AT_ONCE),
  );
  return [...groups, ...apart.map((bad) => [bad])];
}

function changedBy(group: readonly BadInput[], before: Snapshot, after: Snapshot): string[] {
  const mayLog = group.some(({ checked }) => checked);
  return changes(before, after)
    .filter((path) => !(mayLog && RUN_LOG.test(path)))
    .map((path) => `it changed ${path}`);
}

/** Makes one invocation and gives what is wrong with its end and its words. */
async function refuse(bad: BadInput): Promise<string[]> {
  const argv = [...(bad.as ?? []), 'capstan', ...bad.argv];
  const result = await inHost(HOST, argv, { input: bad.input ?? '', accept: ANY_CODE, deadline: 60 });
  return [
    ...(result.exitCode === 2 ? [] : [`it ends with ${result.exitCode} and not with 2`]),
    ...wordsAmiss(bad, result),
  ];
}

function wordsAmiss(bad: BadInput, { stdout, stderr }: CommandResult): string[] {
  const output = `${stdout}\n${stderr}`;
  const errors = [...errorsInJson(stdout), ...errorsInText(stderr)];
  const [first, ...more] = errors;
  if (!first || more.length > 0) {
    return [`it tells ${errors.length} errors and not one: ${output.slice(-2000)}`];
  }
  const error = first.failures.length === 1 && first.failures[0] ? first.failures[0] : first;
  const shown = JSON.stringify(error).slice(0, 2000);
  return [
    ...(error.code === bad.code ? [] : [`the code is ${error.code} and not ${bad.code}: ${shown}`]),
    ...(error.message.includes(bad.names) ? [] : [`the message does not name ${bad.names}: ${shown}`]),
    ...(error.next ? [] : [`it does not say what to do next: ${shown}`]),
    ...(error.message.length <= 1000 ? [] : [`the message has ${error.message.length} characters`]),
    ...(output.includes(CANARY) ? [`it repeats a password: ${output.slice(0, 2000)}`] : []),
    ...(hasControls(output) ? ['control characters of the input reach the terminal'] : []),
    ...(/\n\s+at .*\.js:\d+/.test(output) ? ['it shows a stack'] : []),
  ];
}

function hasControls(text: string): boolean {
  return /[\p{Cc}\p{Bidi_Control}]/u.test(text.replaceAll('\n', ''));
}

/** An error as it is shown. */
interface Shown {
  code: string;
  message: string;
  next?: string;
  failures: Shown[];
}

function errorsInJson(stdout: string): Shown[] {
  return stdout
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line))
    .filter(({ type }) => type === 'error');
}

/** Errors as people read them: `error: SENTENCE [code]`, then indented lines, `next:` among them. */
function errorsInText(stderr: string): Shown[] {
  return stderr
    .split(/^error: /m)
    .slice(1)
    .map((text) => {
      const [, message = '', code = ''] = /^(.*?) \[([a-z-]+)\]$/ms.exec(text) ?? [];
      const next = /^ {2}next: (.*)$/m.exec(text)?.[1];
      return { code, message, failures: [], ...(next && { next }) };
    });
}
