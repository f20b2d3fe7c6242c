import { describe, expect, it } from 'vitest';
import {
  domainOf,
  parseDomain,
  parseHostname,
  parseRealm,
  realmOf,
  suffixOf,
} from '../../../src/names/domain.ts';

const longLabel = 'a'.repeat(64);
const longDomain = `${Array(50).fill('abcd').join('.')}.example`;

describe('parseDomain', () => {
  it.each(['example.test', 'a.b', 'x-1.example.test', 'xn--mller-kva.example', longDomain.slice(0, 253)])(
    'takes %s',
    (domain) => expect(parseDomain(domain)).toBe(domain),
  );

  it.each([
    ['Example.test', 'lower case'],
    ['example', 'two parts'],
    ['', 'two parts'],
    ['example.test.', 'empty'],
    ['.example.test', 'empty'],
    ['-a.example', 'no DNS label'],
    ['a_b.example', 'no DNS label'],
    ['a b.example', 'no DNS label'],
    [`${longLabel}.example`, 'no DNS label'],
    ['192.0.2.1', 'number'],
    [longDomain, 'longer than 253'],
    ['example.test\nx', 'other characters than ASCII'],
    ['exämple.test', 'other characters than ASCII'],
    ['*)(objectclass=*.test', 'no DNS label'],
  ])('refuses %j: %s', (domain, reason) => {
    expect(() => parseDomain(domain)).toThrow(
      expect.objectContaining({ code: 'domain-invalid', message: expect.stringContaining(reason) }),
    );
  });
});

describe('parseHostname', () => {
  it('takes a name of 64 characters and none longer', () => {
    const name = (length: number) => `${'a'.repeat(length - '.example.test'.length)}.example.test`;
    expect(parseHostname(name(64))).toBe(name(64));
    expect(() => parseHostname(name(65))).toThrow(expect.objectContaining({ code: 'hostname-invalid' }));
  });

  it.each([
    ['localhost', 'no other host'],
    ['localhost.localdomain', 'no other host'],
    ['192.0.2.1', 'address'],
    ['2001:db8::1', 'address'],
    ['ca1', 'two parts'],
    ['CA1.example.test', 'lower case'],
  ])('refuses %s: %s', (name, reason) => {
    expect(() => parseHostname(name)).toThrow(
      expect.objectContaining({ code: 'hostname-invalid', message: expect.stringContaining(reason) }),
    );
  });
});

describe('parseRealm', () => {
  it('takes a domain in upper case', () => expect(parseRealm('EXAMPLE.TEST')).toBe('EXAMPLE.TEST'));

  it.each([
    'example.test',
    'Example.TEST',
    'EXAMPLE',
    'EXAMPLE..TEST',
    'EXAMPLE TEST.X',
    'EXAMPLE.\u212aOM',
    `${'A'.repeat(60)}.${'B'.repeat(20)}`,
  ])('refuses %s', (realm) => {
    expect(() => parseRealm(realm)).toThrow(expect.objectContaining({ code: 'realm-invalid' }));
  });
});

it('derives suffix, realm and domain', () => {
  expect(suffixOf('example.test')).toBe('dc=example,dc=test');
  expect(realmOf('example.test')).toBe('EXAMPLE.TEST');
  expect(domainOf('ca1.example.test')).toBe('example.test');
});
