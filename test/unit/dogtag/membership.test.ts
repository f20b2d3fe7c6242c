import { X509Certificate } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { parseTrust } from '../../../src/dogtag/clone-trust.ts';
import { certificateIn } from '../../../src/dogtag/membership.ts';
import { agentSubject, agentUser } from '../../../src/dogtag/own-agent.ts';
import { AGENT_GROUP, domainTraces, kraTraces } from '../../../src/dogtag/security-domain.ts';

/** Serial 0x0fff0003, issued by CN=Certificate Authority,O=EXAMPLE.TEST. */
const CERTIFICATE = `-----BEGIN CERTIFICATE-----
MIIC+jCCAeICBA//AAMwDQYJKoZIhvcNAQELBQAwNzEVMBMGA1UECgwMRVhBTVBM
RS5URVNUMR4wHAYDVQQDDBVDZXJ0aWZpY2F0ZSBBdXRob3JpdHkwIBcNMjYxMTIy
MTAxNzUxWhgPMjA1MTA3MTQxMDE3NTFaMEoxFTATBgNVBAoMDEVYQU1QTEUuVEVT
VDEWMBQGA1UECwwNQ2Fwc3RhbiBBZ2VudDEZMBcGA1UEAwwQY2EyLmV4YW1wbGUu
dGVzdDCCASIwDQYJKoZIhvcNAQEBBQADggEPADCCAQoCggEBAO4j4LT5nv/zs7So
FZ2ZwpF0rGBdF+vfKy3hejdhmgBEHYh4hVxV+2uYUzfAcMcdNCbaHhfUxM+zxUzX
o/FyHQ4KIBqcTkMonNUz9z9LyrePxHN8c/yJ6ak4XxZMbo7ZwDf0Vi32qH+/iJHz
zUs4VDleXUuKKSpK/GmPTLQAe1LSmpyM+1XW2aYh3EHykGRmYp3K1U14Wjp3MR0w
hc/uqzNMCZ6eIi7OvicGXGbXFiL8ijaSQAwYgHKWBlB+9NnIgzn2wdpBkdEQeSjO
XK8zjiCQH3AYX0Y+Qk2pt1+IgWHFnP9/9b1rFk1EAf0vIpSBvwN0KT+7ZmUXbfu6
WfX5WgECAwEAATANBgkqhkiG9w0BAQsFAAOCAQEAtHcuS0zng5zfGPf2RMLqWITY
a/VXOylagU4myFmo7j1C2hZE5Z6GRWwet6HNITcVcxeyyNeqFggL9LPZoGoQaDCx
ubHbILllXnUApnKTAYXOZue6xhr0RLChXlxBNAL+d7b7+G3zVVteVGR4YjuH5YPW
4mA0DIZ9LZ4Mv9n4zTaIa1aEfP28X1xDkDgim6rUKtXX+KNZQ67zxpUzYIYMP3Fh
hLab26fh0N+xFXCm75pSyZ2dv4+6Ujb+0po6o+kdu+U4tb290OmE9M0yNl91yW2T
SWt+Cj6Q4NATY49MtMd5IiM/363soZd3OGM2+jAXnxsoJVluGWAOZGAKUcbOJQ==
-----END CERTIFICATE-----
`;

describe('the answer to a request of a member', () => {
  const BODY = CERTIFICATE.replaceAll(/-----.*-----\n/g, '').trim();

  test('holds the certificate', () => {
    const answer = `<?xml version="1.0"?><XMLResponse><Status>0</Status><Requests><Request><Id>10</Id><b64>\n${BODY}\n</b64></Request></Requests></XMLResponse>`;
    const { serialNumber } = certificateIn(answer, 'ca1.example.test', 'caAdminCert');
    expect(serialNumber).toBe(new X509Certificate(CERTIFICATE).serialNumber);
  });

  test('may have the lines that go around a certificate, and line ends as references', () => {
    const lines = `-----BEGIN CERTIFICATE-----&#xD;\n${BODY.replaceAll('\n', '&#13;\n')}\n-----END CERTIFICATE-----`;
    const { serialNumber } = certificateIn(`<b64>${lines}</b64>`, 'ca1.example.test', 'caAdminCert');
    expect(serialNumber).toBe(new X509Certificate(CERTIFICATE).serialNumber);
  });

  test.each([
    [
      '<XMLResponse><Status>1</Status><Error>Authentication Error</Error></XMLResponse>',
      'Authentication Error',
    ],
    ['<XMLResponse><Status>3</Status></XMLResponse>', 'status 3'],
    ['<html>Sorry</html>', 'status unknown'],
    ['', 'status unknown'],
  ])('tells why there is none: %j', (answer, reason) => {
    expect(() => certificateIn(answer, 'ca1.example.test', 'caAdminCert')).toThrow(
      expect.objectContaining({
        code: 'enrollment-failed',
        message: `The CA at ca1.example.test issued no certificate by the profile caAdminCert: ${reason}.`,
      }),
    );
  });
});

describe('the agent of a host', () => {
  test('is the user that Dogtag finds by the certificate', () => {
    const user = agentUser('ca2.example.test', CERTIFICATE);
    expect(user).toMatchObject({
      dn: 'uid=capstan-ca2.example.test,ou=people,o=ipaca',
      groups: [AGENT_GROUP],
      attributes: {
        uid: ['capstan-ca2.example.test'],
        usertype: ['agentType'],
        userstate: ['1'],
        description: [
          '2;268369923;CN=Certificate Authority,O=EXAMPLE.TEST;CN=ca2.example.test,OU=Capstan Agent,O=EXAMPLE.TEST',
        ],
        userCertificate: [new X509Certificate(CERTIFICATE).raw],
      },
    });
    expect(user.attributes).not.toHaveProperty('userPassword');
  });

  test('has another subject than the host', () => {
    expect(agentSubject('ca2.example.test', 'O=A\\, B')).toBe(
      'CN=ca2.example.test,OU=Capstan Agent,O=A\\, B',
    );
  });
});

test('what a host leaves in the security domain names no other host', () => {
  const { entries, users } = domainTraces('ca2.example.test');
  expect(entries).toEqual(['cn=ca2.example.test:8443,cn=CAList,ou=Security Domain,o=ipaca']);
  expect(users.map(({ dn }) => dn)).toEqual([
    'uid=CA-ca2.example.test-8443,ou=people,o=ipaca',
    'uid=capstan-ca2.example.test,ou=people,o=ipaca',
    'uid=admin-ca2.example.test,ou=people,o=ipaca',
    'uid=capstan-repair-ca2.example.test,ou=people,o=ipaca',
  ]);
});

test('what a KRA of a host leaves names no other host', () => {
  const { domain, own } = kraTraces('ca2.example.test');
  expect(domain.entries).toEqual(['cn=ca2.example.test:8443,cn=KRAList,ou=Security Domain,o=ipaca']);
  expect(domain.users.map(({ dn }) => dn)).toEqual([
    'uid=KRA-ca2.example.test-8443,ou=people,o=ipaca',
    'uid=capstan-kra-ca2.example.test,ou=people,o=ipaca',
  ]);
  expect(own).toEqual([
    'uid=CA-ca2.example.test-8443,ou=people,o=kra,o=ipaca',
    'uid=capstan-ca2.example.test,ou=people,o=kra,o=ipaca',
  ]);
});

test('trust flags are read from the list of certutil', () => {
  const output = `
Certificate Nickname                                         Trust Attributes
                                                             SSL,S/MIME,JAR/XPI

caSigningCert cert-pki-ca                                    CTu,Cu,Cu
auditSigningCert cert-pki-ca                                 ,,P  
Server-Cert cert-pki-ca                                      u,u,u
`;
  expect([...parseTrust(output)]).toEqual([
    ['caSigningCert cert-pki-ca', 'CTu,Cu,Cu'],
    ['auditSigningCert cert-pki-ca', ',,P'],
    ['Server-Cert cert-pki-ca', 'u,u,u'],
  ]);
});
