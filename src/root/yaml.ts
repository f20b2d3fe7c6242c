/**
 * Reads YAML strictly: what a reviewer reads is what counts. No anchors, aliases, merges, tags or directives, one
 * document, no key twice. Every flaw is gathered with its line and column. Pure.
 */

import { isMap, isScalar, isSeq, LineCounter, type Node, parseAllDocuments, visit, type YAMLMap } from 'yaml';
import { quoted } from '../names/quoted.ts';

/** A flaw of a file, and where it is; lines and columns begin with 1. */
export interface Problem {
  line: number;
  column: number;
  message: string;
}

/** A value of the file: where it is, and by which keys one gets there (`certificate.subject`). */
export interface Field {
  path: string;
  node: unknown;
  line: number;
  column: number;
}

/** A file that is being read. Problems are added as they are found. */
export interface Reading {
  problems: Problem[];
  /** Where a node begins. */
  place(node: unknown): { line: number; column: number };
}

/** Opens the one mapping that a file holds; undefined, with problems, where it is none. */
export function readYaml(text: string): { reading: Reading; root: Field | undefined } {
  const lines = new LineCounter();
  const documents = parseAllDocuments(text, {
    ...({ version: '1.2', schema: 'core', merge: false, uniqueKeys: true, strict: true } as const),
    ...{ lineCounter: lines, prettyErrors: false, keepSourceTokens: false },
  });
  const at = (offset: number) => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(1, line), column: Math.max(1, col) };
  };
  const place = (node: unknown) => at((node as Node | undefined)?.range?.[0] ?? 0);
  const reading: Reading = { problems: [], place };
  if (!Array.isArray(documents) || documents.length === 0) {
    reading.problems.push({ line: 1, column: 1, message: 'the file is empty' });
    return { reading, root: undefined };
  }
  const [document, second] = documents;
  for (const flaw of [...(document?.errors ?? []), ...(document?.warnings ?? [])]) {
    // A tag is refused below, known or not.
    if (flaw.code === 'TAG_RESOLVE_FAILED') continue;
    reading.problems.push({ ...at(flaw.pos[0]), message: sentenceOfYaml(flaw.code, flaw.message) });
  }
  if (second) reading.problems.push({ ...place(second.contents), message: 'a second document begins here' });
  if (document) refuseTricks(reading, document);
  const node = document?.contents ?? undefined;
  return { reading, root: { path: '', node, ...place(node) } };
}

function sentenceOfYaml(code: string, message: string): string {
  if (code === 'DUPLICATE_KEY') return 'this key is there twice';
  return message.charAt(0).toLowerCase() + message.slice(1).replace(/\.$/, '');
}

function refuseTricks(reading: Reading, document: Parameters<typeof visit>[0]): void {
  const refuse = (node: unknown, message: string) =>
    reading.problems.push({ ...reading.place(node), message });
  visit(document, {
    Alias: (_, node) => void refuse(node, 'aliases (*) are not taken; write the value out'),
    Node: (_, node) => {
      if ('anchor' in node && node.anchor) refuse(node, 'anchors (&) are not taken; write the value out');
      if (node.tag) refuse(node, 'tags (!) are not taken');
      return undefined;
    },
    Pair: (_, { key }) => {
      if (isScalar(key) && key.value === '<<') refuse(key, 'merges (<<) are not taken; write the values out');
    },
  });
}

/** What a mapping holds, by its keys. */
export type Mapping = ReadonlyMap<string, Field>;

/** A field as a mapping with no other keys than these. */
export function mapping(reading: Reading, field: Field, known: readonly string[]): Mapping {
  const found = new Map<string, Field>();
  if (!isMap(field.node)) {
    wrong(reading, field, 'a mapping of keys and values is needed');
    return found;
  }
  for (const { key, value } of (field.node as YAMLMap).items) {
    if (!isScalar(key) || typeof key.value !== 'string') {
      problem(reading, key, `${inside(field)}a key must be a plain word`);
    } else if (!known.includes(key.value)) {
      if (key.value === '<<') continue;
      problem(
        reading,
        key,
        `${inside(field)}the key ${quoted(key.value)} is unknown; there are ${known.join(', ')}`,
      );
    } else {
      const path = field.path ? `${field.path}.${key.value}` : key.value;
      found.set(key.value, { path, node: value ?? undefined, ...reading.place(value ?? key) });
    }
  }
  return found;
}

/** A mapping with any keys of this form, and texts as values. */
export function texts(reading: Reading, field: Field, key: RegExp): Record<string, string> {
  if (!isMap(field.node)) {
    wrong(reading, field, 'a mapping of names and texts is needed');
    return {};
  }
  const names = (field.node as YAMLMap).items.map((pair) =>
    isScalar(pair.key) ? String(pair.key.value) : '',
  );
  const entries = mapping(reading, field, names);
  const found: Record<string, string> = {};
  for (const [name, one] of entries) {
    if (!key.test(name)) wrong(reading, one, 'this name is not taken');
    else found[name] = text(reading, one) ?? '';
  }
  return found;
}

/** A field as a text of one line that is not empty. */
export function text(reading: Reading, field: Field): string | undefined {
  if (!isScalar(field.node) || typeof field.node.value !== 'string') {
    wrong(reading, field, 'a text is needed (in quotes where YAML takes it for something else)');
    return undefined;
  }
  const { value } = field.node;
  if (value === '') wrong(reading, field, 'it is empty');
  else if (/[\p{Cc}\u2028\u2029]/u.test(value) || /\p{Bidi_Control}/u.test(value)) {
    wrong(reading, field, 'it holds a line break or another control character');
  } else return value;
  return undefined;
}

/** A field as a whole number in a range, written in decimal digits. */
export function integer(reading: Reading, field: Field, from: number, to: number): number | undefined {
  const source = isScalar(field.node) && typeof field.node.value === 'number' ? field.node.source : undefined;
  const value = Number(source);
  if (source !== undefined && /^(?:0|[1-9][0-9]{0,8})$/.test(source) && value >= from && value <= to) {
    return value;
  }
  wrong(reading, field, `a whole number from ${from} to ${to} is needed`);
  return undefined;
}

/** A field as a list of texts. */
export function list(reading: Reading, field: Field): { value: string; field: Field }[] {
  if (!isSeq(field.node)) {
    wrong(reading, field, 'a list is needed');
    return [];
  }
  return field.node.items.flatMap((node, index) => {
    const item = { path: `${field.path}[${index}]`, node, ...reading.place(node) };
    const value = text(reading, item);
    return value === undefined ? [] : [{ value, field: item }];
  });
}

/** Adds a problem with the value of a field. */
export function wrong(reading: Reading, { path, line, column }: Field, message: string): void {
  reading.problems.push({ line, column, message: path ? `${path}: ${message}` : message });
}

function problem(reading: Reading, node: unknown, message: string): void {
  reading.problems.push({ ...reading.place(node), message });
}

function inside({ path }: Field): string {
  return path ? `in ${path}, ` : '';
}
