import { describe, expect, test } from 'vitest';
import { certificateMark } from '../../../src/dogtag/own-agent.ts';
import { isRenewalOf, withRenewed } from '../../../src/dogtag/renewed.ts';
import { newKey, selfSigned } from '../certificates.ts';

const key = newKey();
const subject = '/O=EXAMPLE.TEST/CN=OCSP Subsystem';
const old = selfSigned({ key, subject, serial: '02', years: [2024, 2026] });
const renewed = selfSigned({ key, subject, serial: '12', years: [2026, 2028] });
const foreign = selfSigned({ key: newKey(), subject, serial: '13', years: [2026, 2028] });
const base64 = (certificate: { raw: Buffer }) => certificate.raw.toString('base64');

describe('a renewal', () => {
  test('has the name and the key of the certificate before, and other bytes', () => {
    expect(isRenewalOf(renewed, old)).toBe(true);
    expect(isRenewalOf(old, old)).toBe(false);
    expect(isRenewalOf(foreign, old)).toBe(false);
    const other = selfSigned({
      key,
      subject: '/O=EXAMPLE.TEST/CN=CA Audit',
      serial: '14',
      years: [2026, 2028],
    });
    expect(isRenewalOf(other, old)).toBe(false);
  });

  test('is known to Dogtag by its serial number and names', () => {
    expect(certificateMark(renewed)).toBe(
      '2;18;CN=OCSP Subsystem,O=EXAMPLE.TEST;CN=OCSP Subsystem,O=EXAMPLE.TEST',
    );
  });
});

describe('a CS.cfg', () => {
  const text = [
    `ca.ocsp_signing.cert=${base64(old)}`,
    'ca.ocsp_signing.certreq=MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKC',
    `ca.connector.KRA.transportCert=${base64(old)}`,
    `ca.signing.cert=${base64(foreign)}`,
    `#ca.old.cert=${base64(old)}`,
    `ca.broken.cert=MII${'A'.repeat(400)}`,
    '',
  ];

  test('gets every copy of what was renewed, and nothing else is changed', () => {
    const lines = withRenewed(text.join('\n'), [renewed]).split('\n');
    expect(lines[0]).toBe(`ca.ocsp_signing.cert=${base64(renewed)}`);
    expect(lines[2]).toBe(`ca.connector.KRA.transportCert=${base64(renewed)}`);
    expect(lines.filter((_, index) => index !== 0 && index !== 2)).toEqual(
      text.filter((_, index) => index !== 0 && index !== 2),
    );
  });

  test('stays as it is the second time', () => {
    const once = withRenewed(text.join('\n'), [renewed]);
    expect(withRenewed(once, [renewed])).toBe(once);
  });
});
