/** What helps to find a fault afterwards: where it is, how much of it is kept, and how it is made safe to hand over. */
import type { Stats } from 'node:fs';
import { constants, lstat, open, readdir } from 'node:fs/promises';
import { matchesGlob } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { type CapstanError, interruption, sentenceOf } from '../errors.ts';
import {
  withoutCredentials,
  withoutPrivateKeys,
  withoutSecretAttributes,
  withoutSecretFields,
} from '../secret/fields.ts';
import { redact } from '../secret/redaction.ts';
import type { Deadlines } from './deadlines.ts';
import type { Host } from './host.ts';

/** How a text is built, and so where secrets stand in it: anywhere, in named fields, in the attributes of XML. */
export type Form = 'log' | 'fields' | 'xml';

/** One member of a support bundle, before it is gathered. */
export interface Evidence {
  /** Its path in the bundle. */
  member: string;
  /** What it is, for a person. */
  what: string;
  /** Where it comes from: a path, a command, or words. */
  source: string;
  form: Form;
  /** Resolves to the text; throws where it cannot be had. */
  fetch(host: Host): Promise<Fetched>;
  /** Seconds after which it is given up. */
  deadline(deadlines: Deadlines): number;
}

/** A text as it was found. */
export interface Fetched {
  text: string;
  modified?: Date;
  /** What a reader has to know: what was cut off, a strange exit code. */
  note?: string;
}

/** One member of a support bundle: its text, free of secrets, or why it could not be had. */
export interface Exhibit {
  member: string;
  what: string;
  source: string;
  content?: Buffer;
  modified?: Date;
  note?: string;
  missing?: string;
}

const KIB = 1024;
/** The most bytes of one text that are kept unless told. */
const LIMIT = 1024 * KIB;
/** Seconds that what was ended at its own deadline gets to be gone, before its member is given up. */
const GRACE = 10;
/** Members that are gathered at the same time: of a host that is down, most of those that wait wait in vain. */
const AT_ONCE = 8;

/** What may differ from one file to the next. */
export interface FileOptions {
  form?: Form;
  /** The most bytes that are kept. */
  limit?: number;
  /** Follows symbolic links, whoever made them: for files in folders that only root can write. */
  follow?: boolean;
}

/** A file: the end of a log, the beginning of anything else. */
export function fileEvidence(
  member: string,
  what: string,
  path: string,
  options: FileOptions = {},
): Evidence {
  const form = options.form ?? 'log';
  return {
    member,
    what,
    source: path,
    form,
    deadline: commandDeadline,
    fetch: () => readPart(path, form, options),
  };
}

/**
 * The newest files of a folder whose names fit, each as a member of its own; where there are none, one that says so.
 * @param member the folder in the bundle
 * @param glob as a shell has it: `debug*.log`
 */
export async function filesEvidence(
  member: string,
  what: string,
  folder: string,
  glob: string,
  { newest = 5, ...options }: FileOptions & { newest?: number } = {},
): Promise<Evidence[]> {
  const source = `${folder}/${glob}`;
  const found = await listed(folder, glob).catch((error: NodeJS.ErrnoException) => whyNot(error));
  if (typeof found === 'string') return [missingEvidence(`${member}/`, what, source, found)];
  if (found.length === 0) {
    return [missingEvidence(`${member}/`, what, source, 'There is no file of that name.')];
  }
  const left = found.slice(newest);
  return [
    ...found
      .slice(0, newest)
      .map((name) => fileEvidence(`${member}/${name}`, what, `${folder}/${name}`, options)),
    ...(left.length > 0
      ? [
          missingEvidence(
            `${member}/`,
            what,
            source,
            `${left.length} older ones are left out, from ${left.at(-1)} to ${left[0]}.`,
          ),
        ]
      : []),
  ];
}

/** Names of the files of a folder that fit, the newest first. */
async function listed(folder: string, glob: string): Promise<string[]> {
  await refuseForeignLinks(folder);
  const names = (await readdir(folder)).filter((name) => matchesGlob(name, glob));
  const files = await Promise.all(
    names.map(async (name) => ({ name, facts: await lstat(`${folder}/${name}`).catch(() => undefined) })),
  );
  return files
    .filter((file): file is { name: string; facts: Stats } => file.facts?.isFile() ?? false)
    .sort((a, b) => b.facts.mtimeMs - a.facts.mtimeMs || a.name.localeCompare(b.name))
    .map(({ name }) => name);
}

/** Something that is known not to be there. */
export function missingEvidence(member: string, what: string, source: string, why: string): Evidence {
  const fetch = async (): Promise<Fetched> => {
    throw new Error(why);
  };
  return { member, what, source, form: 'log', deadline: commandDeadline, fetch };
}

/** Every exit code: what a tool prints when it fails is what is wanted here. */
const ANY_EXIT = Array.from({ length: 256 }, (_, code) => code);

function commandDeadline({ command }: Deadlines): number {
  return command + GRACE;
}

/** What a program prints. */
export function outputEvidence(
  member: string,
  what: string,
  [file, ...args]: readonly [string, ...string[]],
  form: Form = 'log',
): Evidence {
  return {
    member,
    what,
    source: [file, ...args].join(' '),
    form,
    deadline: commandDeadline,
    async fetch(host) {
      const { stdout, stderr, exitCode } = await host.run(file, args, { accept: ANY_EXIT });
      const both = [stdout, stderr].filter(Boolean).join('\n');
      const { text, note } = cut(both, LIMIT, 'end');
      const notes = [
        ...(exitCode === 0 ? [] : [`It ended with exit code ${exitCode}.`]),
        ...(note ? [note] : []),
      ];
      return { text, ...(notes.length > 0 && { note: notes.join(' ') }) };
    },
  };
}

/**
 * What Capstan itself finds out.
 * @param waits seconds that all it waits for may take together
 */
export function lookEvidence(
  member: string,
  what: string,
  source: string,
  look: (host: Host) => Promise<string>,
  waits: (deadlines: Deadlines) => number,
): Evidence {
  const fetch = async (host: Host) => cut(await look(host), LIMIT, 'start');
  const deadline = (deadlines: Deadlines) => waits(deadlines) + GRACE;
  return { member, what, source, form: 'log', deadline, fetch };
}

/** Gathers evidence; several calls share the turns of {@link gatherer}. */
export type Gather = (evidence: readonly Evidence[]) => Promise<Exhibit[]>;

/**
 * Gathers evidence, several members at a time, in a time that is bounded whatever hangs. Nothing that goes wrong with a
 * member stops the others: the member then says why it could not be had.
 * @throws (from the returned function) CapstanError `interrupted` when the host's signal aborts
 */
export function gatherer(host: Host): Gather {
  let free = AT_ONCE;
  const waiting: (() => void)[] = [];
  const inTurn = async (evidence: Evidence) => {
    if (free > 0) free -= 1;
    else await new Promise<void>((resolve) => waiting.push(resolve));
    try {
      return await exhibit(host, evidence);
    } finally {
      const next = waiting.shift();
      if (next) next();
      else free += 1;
    }
  };
  return (evidence) => Promise.all(evidence.map(inTurn));
}

async function exhibit(host: Host, evidence: Evidence): Promise<Exhibit> {
  const { member, what, source, form } = evidence;
  const head = { member, what, source: redact(source) };
  try {
    const { text, modified, note } = await fetchInTime(host, evidence);
    // What was interrupted may have taken that for a finding.
    if (host.signal.aborted) throw interrupted();
    const content = Buffer.from(cleanText(text, form));
    return { ...head, content, ...(modified && { modified }), ...(note && { note: redact(note) }) };
  } catch (error) {
    if (host.signal.aborted) throw interrupted();
    return { ...head, missing: redact(whyNot(error)) };
  }
}

/** Fetches with a signal of its own, so that what is given up ends, and does not go on behind the bundle's back. */
async function fetchInTime(host: Host, { fetch, deadline }: Evidence): Promise<Fetched> {
  const over = new AbortController();
  const signal = AbortSignal.any([host.signal, over.signal]);
  const seconds = deadline(host.deadlines);
  const timer = pause(seconds * 1000, undefined, { signal }).then(
    () => {
      throw new Error(`It did not come within ${seconds} s.`);
    },
    () => {
      throw interrupted();
    },
  );
  try {
    return await Promise.race([fetch(host.under(signal)), timer]);
  } finally {
    over.abort();
  }
}

/** The text as it may be handed over. Known secrets first: the nets behind it could tear them into pieces. */
export function cleanText(text: string, form: Form): string {
  const known = redact(withoutPrivateKeys(text));
  const byName =
    form === 'fields' ? withoutSecretFields(known) : form === 'xml' ? withoutSecretAttributes(known) : known;
  return withoutCredentials(byName);
}

/**
 * The text of a regular file, or nothing where it cannot be had: never more than 4 MiB, and no pipe is waited for, as
 * might stand in the place of a file of a daemon that somebody took over.
 */
export async function textIfThere(path: string): Promise<string> {
  return readPart(path, 'fields', { limit: 4 * LIMIT, follow: true }).then(
    ({ text }) => text,
    () => '',
  );
}

async function readPart(path: string, form: Form, options: FileOptions): Promise<Fetched> {
  const { limit = LIMIT, follow = false } = options;
  if (!follow) await refuseForeignLinks(path);
  // O_NONBLOCK: a pipe without a writer would otherwise be waited for without end.
  const flags = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY;
  const file = await open(path, flags | (follow ? 0 : constants.O_NOFOLLOW));
  try {
    const facts = await file.stat();
    const { size, mtime: modified } = facts;
    if (!facts.isFile()) throw new Error('It is not a regular file.');
    // Files of /proc have no size.
    const start = form === 'log' ? Math.max(0, size - limit - 1) : 0;
    const bytes = Buffer.alloc(limit + 1);
    const length = await readFully(file, bytes, start);
    const found = bytes.subarray(0, length).toString('utf8');
    const { text, note } = cut(found, limit, form === 'log' ? 'end' : 'start', Math.max(size, length));
    return { text, modified, ...(note && { note }) };
  } finally {
    await file.close();
  }
}

async function readFully(
  file: {
    read(buffer: Buffer, offset: number, length: number, position: number): Promise<{ bytesRead: number }>;
  },
  buffer: Buffer,
  start: number,
): Promise<number> {
  let length = 0;
  while (length < buffer.length) {
    const { bytesRead } = await file.read(buffer, length, buffer.length - length, start + length);
    if (bytesRead === 0) break;
    length += bytesRead;
  }
  return length;
}

/**
 * A text of at most `limit` bytes, of whole lines: part of a line could be part of a secret, which nothing recognises.
 * @param size bytes of the whole text, where `text` is a part that is too long by itself
 */
export function cut(
  text: string,
  limit: number,
  keep: 'start' | 'end',
  size: number = Buffer.byteLength(text),
): Fetched {
  if (size <= limit) return { text };
  const bytes = Buffer.from(text);
  const newline = 0x0a;
  const part =
    keep === 'end'
      ? bytes.subarray(bytes.indexOf(newline, Math.max(0, bytes.length - limit - 1)) + 1)
      : bytes.subarray(0, bytes.lastIndexOf(newline, limit - 1) + 1);
  const whole = keep === 'end' && !bytes.includes(newline) ? Buffer.alloc(0) : part;
  return {
    text: whole.toString('utf8'),
    note: `Only the ${keep === 'end' ? 'last' : 'first'} ${whole.length} of ${size} bytes are here.`,
  };
}

/**
 * Refuses a path in which a symbolic link stands that is not root's: with it an account of a daemon could have root
 * read any file of the host into a bundle that leaves it.
 */
async function refuseForeignLinks(path: string): Promise<void> {
  const parts = path.split('/').filter(Boolean);
  for (const [index] of parts.entries()) {
    const upTo = `/${parts.slice(0, index + 1).join('/')}`;
    const facts = await lstat(upTo);
    if (facts.isSymbolicLink() && facts.uid !== 0) {
      throw new Error(`${upTo} is a symbolic link that is not root's; it is not followed.`);
    }
  }
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'It is not there.',
  ENOTDIR: 'It is not there.',
  EACCES: 'It may not be read.',
  ELOOP: 'It is a symbolic link.',
  ENXIO: 'It is not a regular file.',
};

function whyNot(error: unknown): string {
  return REASONS[(error as NodeJS.ErrnoException).code ?? ''] ?? sentenceOf(error);
}

function interrupted(): CapstanError {
  return interruption('The command was interrupted; no support bundle was written.');
}
