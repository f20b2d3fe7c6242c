import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { base64Of, kraConnectorIn, krasIn, withKras } from '../../../src/dogtag/connector.ts';

const ONE = `ca.connector.KRA.enable=true
ca.connector.KRA.host=ca1.example.test
ca.connector.KRA.port=8443
ca.crl.MasterCRL.enable=true
`;

describe('the KRA connector of a CA', () => {
  test('names one KRA beside its port, and several with theirs', () => {
    expect(krasIn(ONE)).toEqual(['ca1.example.test']);
    const several = ONE.replace('ca1.example.test', 'ca1.example.test:8443 ca2.example.test:8443');
    expect(krasIn(several)).toEqual(['ca1.example.test', 'ca2.example.test']);
  });

  test('is not there in a CA without KRA', () => {
    expect(krasIn('ca.crl.MasterCRL.enable=true\n')).toEqual([]);
  });

  test('goes with the last KRA, and nothing else does', () => {
    expect(withKras(ONE, [])).toBe('ca.crl.MasterCRL.enable=true\n');
  });

  test('tells what the CA hands out to clients', () => {
    const text = `${ONE.replace('ca1', 'CA1')}ca.connector.KRA.transportCert=MIIB== \n`;
    expect(kraConnectorIn(text)).toEqual({ kras: ['ca1.example.test'], transport: 'MIIB==' });
    expect(kraConnectorIn('')).toEqual({ kras: [], transport: undefined });
  });

  test('is written as it is read', () => {
    const names = fc.uniqueArray(fc.stringMatching(/^[a-z][a-z0-9-]{0,9}\.example\.test$/), { minLength: 1 });
    fc.assert(
      fc.property(names, (kras) => {
        expect(krasIn(withKras(ONE, kras))).toEqual(kras);
      }),
    );
  });
});

test('the transport certificate is compared by Dogtag as text without lines', () => {
  const pem = '-----BEGIN CERTIFICATE-----\r\nMIIB\r\nAgIB==\r\n-----END CERTIFICATE-----\r\n';
  expect(base64Of(pem)).toBe('MIIBAgIB==');
});
