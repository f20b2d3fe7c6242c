import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { relaxedSettings, strictSettings, withSettings } from '../../../src/dogtag/relaxed.ts';

const TEXT = [
  'ca.signing.nickname=HSM:caSigningCert cert-pki-ca',
  'internaldb.ldapconn.host=ca1.example.test',
  'internaldb.ldapconn.port=636',
  'internaldb.ldapconn.secureConn=true',
  'selftests.container.order.onDemand=CAPresence:critical, SystemCertsVerification:critical, CAValidity:critical',
  'selftests.container.order.startup=CAPresence:critical, SystemCertsVerification:critical',
  '',
].join('\n');

describe('the settings of a repair', () => {
  test('let a failed self test pass at the start, and the directory of the host be reached without TLS', () => {
    const relaxed = withSettings(TEXT, relaxedSettings(strictSettings(TEXT)));
    expect(relaxed.split('\n')).toEqual([
      'ca.signing.nickname=HSM:caSigningCert cert-pki-ca',
      'internaldb.ldapconn.host=ca1.example.test',
      'internaldb.ldapconn.port=389',
      'internaldb.ldapconn.secureConn=false',
      'selftests.container.order.onDemand=CAPresence:critical, SystemCertsVerification:critical, CAValidity:critical',
      'selftests.container.order.startup=CAPresence, SystemCertsVerification',
      '',
    ]);
  });

  test('are only those that are otherwise during it', () => {
    expect(Object.keys(strictSettings(TEXT))).toHaveLength(3);
    const relaxed = withSettings(TEXT, relaxedSettings(strictSettings(TEXT)));
    expect(strictSettings(relaxed)).toEqual({});
  });

  test('are taken back to the letter, whatever they were', () => {
    const value = fc.string({ unit: fc.constantFrom(...'abc:, critical=636') });
    const order = fc.tuple(value, value, value, value);
    fc.assert(
      fc.property(order, ([startup, port, secure, other]) => {
        const text = [
          `selftests.container.order.startup=${startup}`,
          `internaldb.ldapconn.port=${port}`,
          `# internaldb.ldapconn.port=${other}`,
          `internaldb.ldapconn.secureConn=${secure}`,
          other,
        ].join('\n');
        const strict = strictSettings(text);
        expect(withSettings(withSettings(text, relaxedSettings(strict)), strict)).toBe(text);
      }),
    );
  });
});
