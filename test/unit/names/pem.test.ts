import { expect, test } from 'vitest';
import { firstCertificate, pemCertificates } from '../../../src/names/pem.ts';

const block = (text: string) => `-----BEGIN CERTIFICATE-----\n${text}\n-----END CERTIFICATE-----\n`;

test('certificates are taken apart, without what stands between them', () => {
  expect(pemCertificates(`subject=x\n${block('AA==')}\n# more\n${block('BB==')}`)).toEqual([
    block('AA=='),
    block('BB=='),
  ]);
  expect(pemCertificates('nothing')).toEqual([]);
});

test('the first one is that of the CA; what is no certificate stays what it is', () => {
  expect(firstCertificate(block('AA==') + block('BB=='))).toBe(block('AA=='));
  expect(firstCertificate('nothing')).toBe('nothing');
});
