import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatDn, parseDn, sameDn, valuesOf } from '../../../src/names/dn.ts';

describe('parseDn', () => {
  it.each([
    [
      'CN=Certificate Authority,O=EXAMPLE.TEST',
      [
        ['CN', 'Certificate Authority'],
        ['O', 'EXAMPLE.TEST'],
      ],
    ],
    [
      'CN=CA, O=Example , C = DE',
      [
        ['CN', 'CA'],
        ['O', 'Example'],
        ['C', 'DE'],
      ],
    ],
    ['O=Smith\\, Sons', [['O', 'Smith, Sons']]],
    ['O=Smith\\2c Sons', [['O', 'Smith, Sons']]],
    ['CN=Lu\\C4\\8Di\\C4\\87', [['CN', 'Lučić']]],
    ['CN=Lučić', [['CN', 'Lučić']]],
    ['CN=a=b', [['CN', 'a=b']]],
    [
      'CN=ends in a blank\\ ,O=x',
      [
        ['CN', 'ends in a blank '],
        ['O', 'x'],
      ],
    ],
    [
      'CN=ends in a backslash\\\\ ,O=x',
      [
        ['CN', 'ends in a backslash\\'],
        ['O', 'x'],
      ],
    ],
    ['2.5.4.3=by number', [['2.5.4.3', 'by number']]],
    ['CN=\\#1', [['CN', '#1']]],
  ])('reads %s', (text, pairs) => {
    expect(parseDn(text).flat()).toEqual(pairs.map(([type, value]) => ({ type, value })));
  });

  it('keeps several attributes of one part together', () => {
    expect(parseDn('CN=a+UID=1,O=x').map((rdn) => rdn.length)).toEqual([2, 1]);
  });

  it.each([
    ['', 'empty'],
    ['CN=a,', 'empty'],
    ['CN=a,,O=b', 'empty'],
    ['Certificate Authority', 'no "="'],
    ['CN=', 'CN has no value'],
    ['=x', 'no attribute type'],
    ['C N=x', 'no attribute type'],
    ['CN=a\\', 'ends in a backslash'],
    ['CN="a"', 'backslash before it'],
    ['CN=a;O=b', 'backslash before it'],
    ['CN=#0403', 'hexadecimal'],
    ['CN=\\ff', 'not UTF-8'],
    ['CN=a\\0ab', 'control character'],
    ['CN=a\\00b', 'control character'],
  ])('refuses %j: %s', (text, reason) => {
    expect(() => parseDn(text)).toThrow(
      expect.objectContaining({ code: 'dn-invalid', message: expect.stringContaining(reason) }),
    );
  });
});

describe('formatDn', () => {
  const value = fc.string({ unit: 'grapheme', minLength: 1 }).filter((text) => !/\p{Cc}/u.test(text));
  const attribute = fc.record({ type: fc.constantFrom('CN', 'O', 'dc', '2.5.4.10'), value });
  const name = fc.array(fc.array(attribute, { minLength: 1, maxLength: 3 }), { minLength: 1, maxLength: 4 });

  it('writes what parseDn reads back to the same parts', () => {
    fc.assert(
      fc.property(name, (dn) => {
        expect(parseDn(formatDn(dn))).toEqual(dn);
      }),
      { numRuns: 1000 },
    );
  });

  it.each([' ', '  ', '#', ' # ', '\\', '\\ ', 'a\\ '])('carries the awkward value %j', (text) => {
    const dn = [[{ type: 'CN', value: text }], [{ type: 'O', value: 'x' }]];
    expect(parseDn(formatDn(dn))).toEqual(dn);
  });
});

describe('sameDn', () => {
  it.each([
    ['CN=CA,O=Example', 'cn=ca, o=EXAMPLE', true],
    ['CN=a+UID=1', 'UID=1+CN=a', true],
    ['CN=a  b', 'CN=a b', true],
    ['CN=a,O=b', 'O=b,CN=a', false],
    ['CN=a\\,O\\=b', 'CN=a,O=b', false],
  ])('%s and %s: %s', (one, other, same) => {
    expect(sameDn(parseDn(one), parseDn(other))).toBe(same);
  });
});

it('valuesOf finds a type without regard to case', () => {
  expect(valuesOf(parseDn('cn=x,DC=a,dc=b'), 'Dc')).toEqual(['a', 'b']);
});
