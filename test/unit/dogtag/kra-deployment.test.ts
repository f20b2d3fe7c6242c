import { describe, expect, test } from 'vitest';
import { type KraDeployment, kraDeployment } from '../../../src/dogtag/kra-deployment.ts';
import { dogtagProfile } from '../../../src/dogtag/version.ts';
import { Secret } from '../../../src/secret/secret.ts';
import { SUBSYSTEM } from './samples.ts';

const DEBIAN_11 = dogtagProfile([10, 10, 2]);

function sample(changes: Partial<KraDeployment> = {}): KraDeployment {
  return {
    realm: 'EXAMPLE.TEST',
    hostname: 'ca2.example.test',
    subjectBase: 'O = EXAMPLE.TEST',
    ...SUBSYSTEM,
    member: { user: 'capstan-kra-ca2.example.test', password: new Secret('password-of-join', 'password') },
    adminPassword: new Secret('password-of-admin', 'admin password'),
    adminCertificateFile: '/run/capstan/administrator.b64',
    oaep: false,
    ...changes,
  };
}

const CLONE = { master: 'ca1.example.test' };

describe('a first KRA', () => {
  const { sections, arguments: words } = kraDeployment(sample(), DEBIAN_11);

  test('is made in one run, in the instance of the CA', () => {
    expect(words).toEqual(['-s', 'KRA']);
    expect(sections.DEFAULT).toMatchObject({
      pki_instance_name: 'pki-tomcat',
      pki_sslserver_nickname: 'Server-Cert cert-pki-ca',
      pki_sslserver_token: 'internal',
      pki_hsm_enable: 'True',
      pki_token_name: 'softhsm_token',
      pki_security_domain_hostname: 'ca2.example.test',
      pki_client_database_dir: '/run/capstan/client/kra/alias',
    });
  });

  test('has each of its keys on the token by name, where default.cfg cannot win', () => {
    for (const tag of ['transport', 'storage', 'audit_signing', 'subsystem'])
      expect(sections.KRA).toHaveProperty(`pki_${tag}_token`, 'softhsm_token');
  });

  test('has its data in the tree of the CA, and never removes any', () => {
    expect(sections.KRA).toMatchObject({ pki_ds_base_dn: 'o=kra,o=ipaca', pki_ds_create_new_db: 'False' });
    expect(sections.DEFAULT).toHaveProperty('pki_ds_remove_data', 'False');
  });

  test('is not a clone of anything', () => {
    expect(JSON.stringify(sections)).not.toMatch(/pki_clone/);
  });

  test('has subjects with one spelling of the base', () => {
    expect(sections.KRA).toHaveProperty(
      'pki_storage_subject_dn',
      'cn=KRA Storage Certificate,O=EXAMPLE.TEST',
    );
  });
});

describe('a clone of the KRA', () => {
  const { sections } = kraDeployment(sample(CLONE), DEBIAN_11);

  test('gets its numbers from the server that is cloned, and its certificates from nobody', () => {
    expect(sections.DEFAULT).toHaveProperty('pki_security_domain_hostname', 'ca1.example.test');
    expect(sections.KRA).toMatchObject({
      pki_clone: 'True',
      pki_clone_uri: 'https://ca1.example.test:8443',
      pki_issuing_ca_uri: 'https://ca2.example.test:8443',
      pki_clone_setup_replication: 'False',
      pki_clone_reindex_data: 'True',
    });
  });

  test('names no PKCS#12 file with keys', () => {
    expect(JSON.stringify(sections)).not.toMatch(/clone_pkcs12/);
  });
});

describe('what differs between releases', () => {
  test('RSA-OAEP is asked for where it is needed, and not named elsewhere', () => {
    const newer = dogtagProfile([11, 5, 0]);
    expect(kraDeployment(sample({ oaep: true }), newer).sections.DEFAULT).toHaveProperty(
      'pki_use_oaep_rsa_keywrap',
      'True',
    );
    expect(JSON.stringify(kraDeployment(sample(), newer).sections)).not.toMatch(/oaep/);
  });

  test('the directory is named by its URL from 11.5 on, keys are numbered at random from 11.2 on', () => {
    const { sections } = kraDeployment(sample(), dogtagProfile([11, 5, 0]));
    expect(sections.KRA).toMatchObject({
      pki_ds_url: 'ldaps://ca2.example.test:636',
      pki_key_id_generator: 'random',
    });
    const older = kraDeployment(sample(), DEBIAN_11).sections.KRA;
    expect(older).toHaveProperty('pki_ds_hostname', 'ca2.example.test');
    expect(older).not.toHaveProperty('pki_key_id_generator');
  });
});

test('a password that Dogtag cannot keep is refused', () => {
  const pin = new Secret('ends with \\', 'token password');
  const token = { ...sample().token, pin };
  expect(() => kraDeployment(sample({ token }), DEBIAN_11)).toThrow(
    expect.objectContaining({ code: 'password-unsuitable' }),
  );
});
