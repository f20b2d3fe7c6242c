import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { expiringPassword, generalizedTime, parseGeneralizedTime } from '../../../src/directory/lifetime.ts';
import { Secret } from '../../../src/secret/secret.ts';

describe('times of LDAP', () => {
  test('are UTC and whole seconds', () => {
    expect(generalizedTime(new Date('2026-11-22T10:11:04.987Z'))).toBe('20261122101104Z');
    expect(parseGeneralizedTime('20261122101104Z')).toEqual(new Date('2026-11-22T10:11:04Z'));
  });

  test('are read back as they were written', () => {
    const years = { min: new Date('1970-01-01T00:00:00Z'), max: new Date('9999-12-31T23:59:59Z') };
    fc.assert(
      fc.property(fc.date({ ...years, noInvalidDate: true }), (time) => {
        const second = Math.floor(time.getTime() / 1000) * 1000;
        expect(parseGeneralizedTime(generalizedTime(time))?.getTime()).toBe(second);
      }),
    );
  });

  test.each(['', '2026', '20261122101104', '20261122101104+0100', '20261399101104Z', '20261122101104.5Z'])(
    '%j is none',
    (text) => {
      expect(parseGeneralizedTime(text)).toBeUndefined();
    },
  );
});

test('a password that ends is its own policy, which nothing puts off', () => {
  const dn = 'uid=admin-ca2.example.test,ou=people,o=ipaca';
  const expires = new Date('2026-11-23T10:00:00Z');
  expect(expiringPassword(dn, new Secret('a-join-secret', 'join secret'), expires)).toEqual({
    userPassword: ['a-join-secret'],
    pwdpolicysubentry: [dn],
    passwordExp: ['on'],
    passwordExpirationTime: ['20261123100000Z'],
    passwordWarning: ['0'],
    passwordGraceLimit: ['0'],
    passwordChange: ['off'],
  });
});
