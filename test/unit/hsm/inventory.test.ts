import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { appeared, keysFor, objectRef, sameObject } from '../../../src/hsm/inventory.ts';
import type { ObjectRef, TokenObject } from '../../../src/hsm/protocol.ts';

const NICKNAME = 'ocspSigningCert cert-pki-ca';

const anyRef: fc.Arbitrary<ObjectRef> = fc.record({
  class: fc.constantFrom<ObjectRef['class'][]>('certificate', 'private-key', 'public-key'),
  id: fc.constantFrom('', 'a1', 'b2'),
  label: fc.constantFrom('', NICKNAME, 'other'),
});

describe('what appeared', () => {
  test('is what came, whatever was there', () => {
    fc.assert(
      fc.property(fc.array(anyRef), fc.array(anyRef), (before, made) => {
        const sorted = (refs: readonly ObjectRef[]) =>
          refs.map((ref) => JSON.stringify(objectRef(ref))).sort();
        expect(sorted(appeared(before, [...before, ...made]))).toEqual(sorted(made));
      }),
    );
  });

  test('is nothing when objects only went', () => {
    fc.assert(
      fc.property(fc.array(anyRef), (before) => {
        expect(appeared(before, before.slice(1))).toEqual([]);
      }),
    );
  });

  test('tells a renewed certificate from the old one by its serial', () => {
    const old = { class: 'certificate', id: 'a1', label: NICKNAME, serial: '0202' } as const;
    const renewed = { ...old, serial: '0212' };
    expect(appeared([old], [old, renewed])).toEqual([renewed]);
  });
});

test('a reference without a serial fits any, one with a serial only its own', () => {
  const object = { class: 'certificate', id: 'a1', label: NICKNAME, serial: '02' } as const;
  const { serial: _, ...loose } = object;
  expect(sameObject(object, loose)).toBe(true);
  expect(sameObject(object, object)).toBe(true);
  expect(sameObject(object, { ...object, serial: '03' })).toBe(false);
  expect(sameObject(object, { ...object, class: 'private-key' })).toBe(false);
});

test('a reference keeps nothing but what names the object', () => {
  const object: TokenObject = { class: 'private-key', id: 'a1', label: '', sensitive: true, modulus: 'ab' };
  expect(objectRef(object)).toEqual({ class: 'private-key', id: 'a1', label: '' });
});

describe('the keys of a nickname', () => {
  const certificate: TokenObject = { class: 'certificate', id: 'a1', label: NICKNAME };

  test('are found by the certificate’s id, also when a renewal blanked the label', () => {
    const key: TokenObject = { class: 'private-key', id: 'a1', label: '' };
    const stranger: TokenObject = { class: 'private-key', id: 'b2', label: NICKNAME };
    expect(keysFor([key, stranger, certificate], [NICKNAME])).toEqual([
      { nickname: NICKNAME, certificates: [certificate], privateKeys: [key] },
    ]);
  });

  test('are found by the label where there is no certificate', () => {
    const key: TokenObject = { class: 'private-key', id: 'b2', label: NICKNAME };
    expect(keysFor([key], [NICKNAME])[0]).toMatchObject({ certificates: [], privateKeys: [key] });
  });

  test('are none where there are none', () => {
    expect(keysFor([], [NICKNAME])).toEqual([{ nickname: NICKNAME, certificates: [], privateKeys: [] }]);
  });
});
