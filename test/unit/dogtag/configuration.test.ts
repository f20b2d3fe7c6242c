import { expect, test } from 'vitest';
import { configuredCertificates } from '../../../src/dogtag/configuration.ts';
import { failedSelfTests } from '../../../src/dogtag/health.ts';
import { parseTrust } from '../../../src/dogtag/nssdb.ts';

test('CS.cfg tells each system certificate, its nickname and its token', () => {
  const text = [
    'ca.signing.cert=MIIa+/=',
    'ca.signing.nickname=HSM:caSigningCert cert-pki-ca',
    'ca.signing.tokenname=HSM',
    'ca.sslserver.cert=MIIb==',
    'ca.sslserver.nickname=Server-Cert cert-pki-ca',
    'ca.sslserver.tokenname=Internal Key Storage Token',
    'ca.subsystem.nickname=subsystemCert cert-pki-ca',
    'ca.cert.list=signing,sslserver',
    '# ca.other.cert=x',
  ].join('\n');
  expect(configuredCertificates(text)).toEqual([
    { nickname: 'caSigningCert cert-pki-ca', token: 'HSM', certificate: 'MIIa+/=' },
    { nickname: 'Server-Cert cert-pki-ca', token: 'internal', certificate: 'MIIb==' },
  ]);
});

test('certutil -L tells nicknames and trust flags', () => {
  const text = `
Certificate Nickname                                         Trust Attributes
                                                             SSL,S/MIME,JAR/XPI

HSM:caSigningCert cert-pki-ca                                CTu,Cu,Cu
auditSigningCert cert-pki-ca                                 ,,P
Server-Cert cert-pki-ca                                      u,u,u
`;
  expect(parseTrust(text)).toEqual({
    'caSigningCert cert-pki-ca': 'CTu,Cu,Cu',
    'auditSigningCert cert-pki-ca': ',,P',
    'Server-Cert cert-pki-ca': 'u,u,u',
  });
});

test('only the last run of the self tests counts', () => {
  const begin =
    '0.main - [22/Nov/2026:10:00:00 UTC] [20] [1] SelfTestSubsystem: Initializing self test plugins:';
  const failed =
    '0.main - [22/Nov/2026:10:00:01 UTC] [20] [1] SelfTestSubsystem: The CRITICAL self test plugin called selftests.container.instance.SystemCertsVerification running at startup FAILED!';
  const passed =
    '0.main - [22/Nov/2026:10:00:01 UTC] [20] [1] SelfTestSubsystem: All CRITICAL self test plugins ran SUCCESSFULLY at startup!';
  expect(failedSelfTests([begin, failed, begin, passed].join('\n'))).toEqual([]);
  expect(failedSelfTests([begin, passed, begin, failed].join('\n'))).toEqual([
    'SelfTestSubsystem: The CRITICAL self test plugin called selftests.container.instance.SystemCertsVerification running at startup FAILED!',
  ]);
  expect(failedSelfTests('')).toEqual([]);
});
