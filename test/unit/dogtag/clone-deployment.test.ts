import { describe, expect, test } from 'vitest';
import { type CaCloneDeployment, caCloneDeployments } from '../../../src/dogtag/clone-deployment.ts';
import { CA_TOKEN_TAGS } from '../../../src/dogtag/deployment.ts';
import { dogtagProfile } from '../../../src/dogtag/version.ts';
import { renderConfig } from '../../../src/host/configparser.ts';
import { Secret } from '../../../src/secret/secret.ts';
import { SUBSYSTEM } from './samples.ts';

const DEBIAN_11 = dogtagProfile([10, 10, 2]);

function sample(changes: Partial<CaCloneDeployment> = {}): CaCloneDeployment {
  return {
    realm: 'EXAMPLE.TEST',
    hostname: 'ca2.example.test',
    caSubject: 'CN=Certificate Authority,O=EXAMPLE.TEST',
    subjectBase: 'O=EXAMPLE.TEST',
    keySize: 3072,
    ...SUBSYSTEM,
    master: 'ca1.example.test',
    member: { user: 'admin-ca2.example.test', password: new Secret('password-of-join', 'join secret') },
    chainFile: '/etc/capstan/ca.crt',
    ...changes,
  };
}

describe('a clone for Dogtag up to 11.2', () => {
  const [installation, configuration] = caCloneDeployments(sample(), DEBIAN_11);

  test('is made in two runs of pkispawn', () => {
    expect(installation?.arguments).toEqual(['-s', 'CA', '--skip-configuration']);
    expect(configuration?.arguments).toEqual(['-s', 'CA', '--skip-installation']);
  });

  test('names no PKCS#12 file where the HSM is known, and one that nobody opens where it is not', () => {
    expect(installation?.sections.DEFAULT).toHaveProperty('pki_hsm_enable', 'True');
    expect(JSON.stringify(installation?.sections)).not.toMatch(/pkcs12_path/);
    expect(configuration?.sections.DEFAULT).toMatchObject({
      pki_hsm_enable: 'False',
      pki_token_name: 'internal',
      pki_server_pkcs12_path: expect.stringMatching(/^\/nonexistent\//),
    });
  });

  test('joins the security domain of the server that it clones, as the member that was given', () => {
    for (const run of [installation, configuration]) {
      expect(run?.sections.DEFAULT).toMatchObject({
        pki_security_domain_name: 'EXAMPLE.TEST',
        pki_security_domain_hostname: 'ca1.example.test',
        pki_security_domain_user: 'admin-ca2.example.test',
        pki_cert_chain_path: '/etc/capstan/ca.crt',
      });
      expect(run?.sections.CA).toMatchObject({
        pki_clone: 'True',
        pki_clone_uri: 'https://ca1.example.test:8443',
      });
    }
  });

  test('leaves the directory as it is: its data, and its replication', () => {
    for (const run of [installation, configuration]) {
      expect(run?.sections.DEFAULT).toMatchObject({ pki_ds_create_new_db: 'False' });
      expect(run?.sections.CA).toMatchObject({
        pki_clone_setup_replication: 'False',
        pki_clone_replicate_schema: 'False',
        pki_clone_reindex_data: 'True',
        pki_ds_hostname: 'ca2.example.test',
        pki_ds_ldaps_port: '636',
      });
    }
  });

  test('has its four keys on the token and the TLS server’s in the internal one', () => {
    for (const run of [installation, configuration]) {
      for (const tag of CA_TOKEN_TAGS) {
        expect(run?.sections.CA).toHaveProperty(`pki_${tag}_token`, 'softhsm_token');
      }
      expect(run?.sections.DEFAULT).toMatchObject({
        pki_sslserver_token: 'internal',
        pki_self_signed_token: 'internal',
        pki_sslserver_subject_dn: 'cn=ca2.example.test,O=EXAMPLE.TEST',
      });
    }
  });

  test('makes no administrator', () => {
    const text = [installation, configuration].map((run) => renderConfig(run?.sections ?? {})).join('\n');
    expect(text).not.toMatch(/^pki_admin_(?:password|subject_dn)=/m);
  });
});

describe('a clone for Dogtag from 11.3 on', () => {
  test('is made in one run, without any PKCS#12 file', () => {
    const runs = caCloneDeployments(sample(), dogtagProfile([11, 3, 0]));
    expect(runs).toMatchObject([{ name: 'whole', arguments: ['-s', 'CA'] }]);
    expect(runs[0]?.sections.DEFAULT).toMatchObject({
      pki_hsm_enable: 'True',
      pki_token_name: 'softhsm_token',
      pki_sslserver_token: 'internal',
    });
    expect(JSON.stringify(runs)).not.toMatch(/pkcs12_path/);
  });

  test('is not told to index from 11.7 on, where it always does', () => {
    const [older] = caCloneDeployments(sample(), dogtagProfile([11, 6, 9]));
    const [newer] = caCloneDeployments(sample(), dogtagProfile([11, 7, 0]));
    expect(older?.sections.CA).toHaveProperty('pki_clone_reindex_data', 'True');
    expect(newer?.sections.CA).not.toHaveProperty('pki_clone_reindex_data');
  });
});

test('secrets stay secrets until the text is rendered', () => {
  const runs = caCloneDeployments(sample(), DEBIAN_11);
  expect(JSON.stringify(runs)).not.toMatch(/pin-of-the-token|password-of/);
  const [text] = runs.map(({ sections }) => renderConfig(sections));
  expect(text).toContain('\npki_security_domain_password=password-of-join\n');
});

test('a join secret that Dogtag cannot keep is refused', () => {
  const member = { user: 'admin-ca2.example.test', password: new Secret('ends\\', 'join secret') };
  expect(() => caCloneDeployments(sample({ member }), DEBIAN_11)).toThrow(
    expect.objectContaining({ code: 'password-unsuitable', exit: 2 }),
  );
});

test('names are those of the first server, however they were written', () => {
  const [run] = caCloneDeployments(sample({ subjectBase: ' OU=PKI, O = A\\, B ' }), DEBIAN_11);
  expect(run?.sections.CA).toMatchObject({
    pki_ocsp_signing_subject_dn: 'cn=OCSP Subsystem,OU=PKI,O=A\\, B',
  });
});
