import { expect, test } from 'vitest';
import { dnOfLines, shownDn } from '../../../src/names/x500.ts';

test.each([
  ['O=EXAMPLE.TEST\nCN=Certificate Authority', 'CN=Certificate Authority,O=EXAMPLE.TEST'],
  ['C=DE\nO=A\\, B\nOU=One + CN=Two', 'OU=One+CN=Two,O=A\\, B,C=DE'],
  ['CN=alone', 'CN=alone'],
])('%j is %j', (lines, name) => {
  expect(dnOfLines(lines)).toBe(name);
});

test('a name that cannot be read is shown all the same', () => {
  expect(() => dnOfLines('O=#0403')).toThrow(expect.objectContaining({ code: 'dn-invalid' }));
  expect(shownDn('O=#0403\nCN=x')).toBe('CN=x,O=#0403');
});
