import { describe, expect, test } from 'vitest';
import type { CapstanError } from '../../../src/errors.ts';
import type { Module } from '../../../src/hsm/module.ts';
import type { TokenObject } from '../../../src/hsm/protocol.ts';
import { objectsOfUri, tokenOfUri } from '../../../src/hsm/uri-token.ts';
import { parsePkcs11Uri } from '../../../src/names/pkcs11-uri.ts';
import { tokenWith } from './tokens.ts';

const TOKENS = [
  tokenWith({ slot: 1, label: 'Root', serial: '01' }),
  tokenWith({ slot: 2, label: 'Root', serial: '02' }),
  tokenWith({ slot: 3, label: 'Other', serial: '03', model: 'Small' }),
  tokenWith({ slot: 4, label: 'Empty', serial: '04', initialised: false }),
];

/** What a library says of its tokens and slots. */
const module = {
  facts: { manufacturer: 'Maker', description: 'Library', libraryVersion: '2.0', cryptokiVersion: '2.40' },
  tokens: async () => TOKENS,
  slot: async (slot: number) => ({ description: `Slot ${slot}`, manufacturer: 'Maker' }),
} as unknown as Module;

function slotOf(path: string): Promise<number | string> {
  return tokenOfUri(module, parsePkcs11Uri(`pkcs11:${path}`)).then(
    ({ slot }) => slot,
    ({ code, message }: CapstanError) => `${code}: ${message}`,
  );
}

describe('the token of a URI', () => {
  test.each([
    ['token=Other', 3],
    ['serial=02', 2],
    ['token=Root;serial=01', 1],
    ['slot-id=3', 3],
    ['token=Root;slot-id=02', 2],
    ['model=Small', 3],
    ['token=Root;slot-description=Slot%202', 2],
    ['token=Other;library-version=2', 3],
    ['token=Other;library-manufacturer=Maker;library-description=Library;library-version=2.0', 3],
    ['token=Other;object=any;x-vendor=any', 3],
  ])('%s', async (path, slot) => {
    expect(await slotOf(path)).toBe(slot);
  });

  test.each([
    ['token=Root', 'uri-token-ambiguous', 'serial 02'],
    ['token=Roo', 'uri-token-not-found', '"Other" (serial 03, slot 3)'],
    ['token=Empty', 'uri-token-not-found', ''],
    ['token=Other;serial=', 'uri-token-not-found', ''],
    ['token=Other;slot-manufacturer=Nobody', 'uri-token-not-found', ''],
    ['token=Other;library-version=2.1', 'uri-library-differs', '"Library" 2.0 of "Maker"'],
    ['token=Other;library-description=Else', 'uri-library-differs', ''],
  ])('%s is refused', async (path, code, word) => {
    const told = await slotOf(path);
    expect(told).toContain(`${code}: `);
    expect(told).toContain(word);
  });
});

test('what bears the label or the id that a URI names is found', () => {
  const objects: TokenObject[] = [
    { class: 'private-key', id: 'aa', label: 'root' },
    { class: 'public-key', id: 'bb', label: 'root' },
    { class: 'certificate', id: 'aa', label: '' },
    { class: 'data', id: '', label: '' },
  ];
  const found = (path: string) =>
    objectsOfUri(objects, parsePkcs11Uri(`pkcs11:${path}`)).map((one) => objects.indexOf(one));
  expect(found('object=root')).toEqual([0, 1]);
  expect(found('id=%AA')).toEqual([0, 2]);
  expect(found('object=root;id=%aa')).toEqual([0, 1, 2]);
  expect(found('token=any')).toEqual([]);
});
