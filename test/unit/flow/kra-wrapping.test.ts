import { expect, test } from 'vitest';
import { kraDeployment } from '../../../src/dogtag/kra-deployment.ts';
import { dogtagProfile } from '../../../src/dogtag/version.ts';
import { recordedToken, type Site } from '../../../src/flow/site.ts';
import { deploymentOf } from '../../../src/flow/steps/kra.ts';
import { Secret } from '../../../src/secret/secret.ts';

const SITE: Site = {
  realm: 'EXAMPLE.TEST',
  domain: 'example.test',
  hostname: 'ca1.example.test',
  caSubject: 'CN=Certificate Authority,O=EXAMPLE.TEST',
  subjectBase: 'O=EXAMPLE.TEST',
  keySize: 3072,
  token: { label: 'hsm', libraryPath: '/usr/lib/softhsm/libsofthsm2.so' },
};

/** What pkispawn is given for the KRA of a site whose token is reached by a library; Dogtag 11.5. */
async function sectionsFor(libraryPath: string, recorded = libraryPath) {
  const token = recordedToken({ ...SITE.token, libraryPath }, { libraryPath: recorded });
  const site = { ...SITE, token };
  const secrets = { ds: new Secret('directory-pw', 'password'), token: new Secret('token-pin', 'PIN') };
  const place = { folder: '/run/capstan', file: '/run/capstan/administrator.b64' };
  const deployment = await deploymentOf(site, secrets, new Secret('passing-pw', 'password'), place);
  return kraDeployment(deployment, dogtagProfile([11, 5, 0])).sections;
}

test('the library of an nShield HSM has the KRA wrap keys with RSA-OAEP', async () => {
  const { DEFAULT } = await sectionsFor('/opt/nfast/toolkits/pkcs11/libcknfast.so');
  expect(DEFAULT).toMatchObject({
    pki_use_oaep_rsa_keywrap: 'True',
    pki_hsm_libfile: '/opt/nfast/toolkits/pkcs11/libcknfast.so',
  });
});

test('the record has it so on a host that reaches the HSM by a library of another name', async () => {
  const { DEFAULT } = await sectionsFor('/usr/lib/nshield.so', '/opt/nfast/toolkits/pkcs11/libcknfast.so');
  expect(DEFAULT).toMatchObject({
    pki_use_oaep_rsa_keywrap: 'True',
    pki_hsm_libfile: '/usr/lib/nshield.so',
  });
});

test('another HSM is left to wrap as Dogtag does by itself', async () => {
  expect((await sectionsFor(SITE.token.libraryPath)).DEFAULT).not.toHaveProperty('pki_use_oaep_rsa_keywrap');
});
