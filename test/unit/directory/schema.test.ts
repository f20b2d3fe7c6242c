import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { parseSchema } from '../../../src/directory/schema.ts';

const FILE = new URL('../../../schema/60capstan.ldif', import.meta.url);

test('the schema has FreeIPA’s numbers, attribute types before the class that uses them', () => {
  const definitions = parseSchema(readFileSync(FILE, 'utf8'));
  expect(definitions.map(({ kind, oid }) => [kind, oid])).toEqual([
    ...[6, 7, 8, 9, 10].map((last) => ['attributeTypes', `2.16.840.1.113730.3.8.21.1.${last}`]),
    ['attributeTypes', '2.16.840.1.113730.3.8.3.16'],
    ['objectClasses', '2.16.840.1.113730.3.8.21.2.3'],
    ['objectClasses', '2.16.840.1.113730.3.8.4.13'],
  ]);
  expect(definitions.at(-2)?.text).toContain('ipaCaHSMConfiguration');
});

test('folded lines are one definition', () => {
  const folded = "dn: cn=schema\nattributeTypes: ( 1.2.3 NAME\n  'folded' )\n";
  expect(parseSchema(folded)).toEqual([
    { kind: 'attributeTypes', oid: '1.2.3', text: "( 1.2.3 NAME 'folded' )" },
  ]);
});
