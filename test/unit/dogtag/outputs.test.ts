/** What the tools of Dogtag and NSS print, read. */
import { describe, expect, test } from 'vitest';
import { statusWord } from '../../../src/dogtag/health.ts';
import { parseKeyList } from '../../../src/dogtag/nssdb.ts';
import { spokenLine } from '../../../src/dogtag/spawn.ts';

describe('certutil -K', () => {
  test('names keys without their token', () => {
    const output = `certutil: Checking token "NSS Certificate DB" in slot "NSS User Private Key and Certificate Services"
< 0> rsa      7d02c6f0aa129465cce8bcdd2018f7d8790e0aae   NSS Certificate DB:Server-Cert cert-pki-ca
< 1> rsa      6374bc039406802390609647cde6df0a35be7f3c   caSigningCert cert-pki-ca
<10> rsa      aa129465cce8bcdd2018f7d8790e0aae962b12b1   HSM:ocspSigningCert cert-pki-ca
`;
    expect(parseKeyList(output)).toEqual([
      'Server-Cert cert-pki-ca',
      'caSigningCert cert-pki-ca',
      'ocspSigningCert cert-pki-ca',
    ]);
  });

  test('an empty list is empty', () => {
    expect(parseKeyList('certutil: Checking token "HSM" in slot "1"\ncertutil: no keys found\n')).toEqual([]);
  });
});

describe('getStatus', () => {
  test('speaks XML up to 10.x and JSON from 11.0', () => {
    expect(statusWord('<XMLResponse><State>1</State><Status>running</Status></XMLResponse>', 'xml')).toBe(
      'running',
    );
    expect(statusWord('{"Response":{"State":"1","Status":"running"}}', 'json')).toBe('running');
  });

  test.each([
    ['xml', '<html>404</html>'],
    ['json', '<html>404</html>'],
    ['json', '{}'],
  ] as const)('%s that is none is not taken for a status', (format, body) => {
    expect(statusWord(body, format)).toBe('unreadable answer');
  });
});

describe('pkispawn -v', () => {
  test('its own steps are told, and what Java prints is not', () => {
    expect(spokenLine('INFO: Starting server')).toBe('Starting server');
    expect(spokenLine('Installing CA into /var/lib/pki/pki-tomcat.')).toBe(
      'Installing CA into /var/lib/pki/pki-tomcat.',
    );
    expect(spokenLine('	at java.base/java.lang.Thread.run(Thread.java:829)')).toBeUndefined();
    expect(spokenLine('INFO: ')).toBeUndefined();
  });
});
