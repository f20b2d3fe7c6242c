import { readFile } from 'node:fs/promises';
import type { Directory } from './client.ts';

const SCHEMA_DN = 'cn=schema';

/** One definition of the schema: the attribute of `cn=schema` that holds it, its OID and its text. */
export interface SchemaDefinition {
  kind: 'attributeTypes' | 'objectClasses';
  oid: string;
  text: string;
}

/** The definitions of an LDIF schema file, attribute types before the classes that use them (RFC 4512, 4.1). */
export function parseSchema(ldif: string): SchemaDefinition[] {
  const unfolded = ldif.replaceAll(/\r?\n /g, '');
  const found = unfolded.matchAll(/^(attributeTypes|objectClasses):\s*(\(\s*([\d.]+)\s.*\))\s*$/gim);
  const definitions = [...found].map(
    ([, kind, text, oid]): SchemaDefinition => ({
      kind: kind?.toLowerCase() === 'objectclasses' ? 'objectClasses' : 'attributeTypes',
      oid: oid ?? '',
      text: text ?? '',
    }),
  );
  return definitions.sort((a, b) => a.kind.localeCompare(b.kind));
}

/** Adds the definitions of `file` that the directory does not have yet. @returns how many were added */
export async function addSchema(directory: Directory, file: string | URL): Promise<number> {
  const missing = await missingSchema(directory, file);
  // Each on its own and in order: a class may only name attribute types that are already known.
  for (const { kind, text } of missing) await directory.append(SCHEMA_DN, kind, [text]);
  return missing.length;
}

/** The definitions of `file` that the directory does not have, by OID. */
export async function missingSchema(directory: Directory, file: string | URL): Promise<SchemaDefinition[]> {
  const wanted = parseSchema(await readFile(file, 'utf8'));
  const entry = await directory.entry(SCHEMA_DN, ['attributeTypes', 'objectClasses']);
  const known = [...(entry?.values('attributeTypes') ?? []), ...(entry?.values('objectClasses') ?? [])];
  const oids = new Set(known.map((text) => /^\(\s*([\d.]+)/.exec(text)?.[1]));
  return wanted.filter(({ oid }) => !oids.has(oid));
}
