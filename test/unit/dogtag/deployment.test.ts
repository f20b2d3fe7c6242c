import { describe, expect, test } from 'vitest';
import { CA_TOKEN_TAGS, type CaDeployment, caDeployments } from '../../../src/dogtag/deployment.ts';
import { readTemplate } from '../../../src/dogtag/template.ts';
import { dogtagProfile } from '../../../src/dogtag/version.ts';
import { type ConfigEntry, renderConfig } from '../../../src/host/configparser.ts';
import { Secret } from '../../../src/secret/secret.ts';
import { SUBSYSTEM } from './samples.ts';

const DEBIAN_11 = dogtagProfile([10, 10, 2]);

function sample(changes: Partial<CaDeployment> = {}): CaDeployment {
  return {
    realm: 'EXAMPLE.TEST',
    hostname: 'ca1.example.test',
    caSubject: 'CN=Certificate Authority,O=EXAMPLE.TEST',
    subjectBase: 'O=EXAMPLE.TEST',
    keySize: 3072,
    ...SUBSYSTEM,
    adminPassword: new Secret('password-of-admin', 'administrator password'),
    agentFile: '/root/ca-agent.p12',
    ...changes,
  };
}

const entry = (section: string, key: string, value: string): ConfigEntry => ({
  section,
  key,
  value,
  line: 1,
});

describe('for Dogtag up to 11.2', () => {
  const [installation, configuration] = caDeployments(sample(), DEBIAN_11);

  test('there are two runs of pkispawn', () => {
    expect(installation).toMatchObject({
      name: 'installation',
      arguments: ['-s', 'CA', '--skip-configuration'],
    });
    expect(configuration).toMatchObject({
      name: 'configuration',
      arguments: ['-s', 'CA', '--skip-installation'],
    });
    expect(caDeployments(sample(), dogtagProfile([11, 2, 9]))).toHaveLength(2);
  });

  test('the second differs from the first in its default token alone', () => {
    const first = { ...installation?.sections.DEFAULT };
    const second = { ...configuration?.sections.DEFAULT };
    expect(first).toMatchObject({ pki_hsm_enable: 'True', pki_token_name: 'softhsm_token' });
    expect(second).toMatchObject({ pki_hsm_enable: 'False', pki_token_name: 'internal' });
    for (const key of ['pki_hsm_enable', 'pki_token_name']) delete first[key];
    for (const key of ['pki_hsm_enable', 'pki_token_name']) delete second[key];
    for (const key of ['pki_hsm_libfile', 'pki_hsm_modulename', 'pki_token_password']) {
      expect(first).toHaveProperty(key);
      delete first[key];
    }
    expect(second).toEqual(first);
    expect(configuration?.sections.CA).toEqual(installation?.sections.CA);
  });

  test('both name every token, with the TLS key in the internal one', () => {
    for (const run of [installation, configuration]) {
      expect(run?.sections.DEFAULT).toMatchObject({
        pki_sslserver_token: 'internal',
        pki_self_signed_token: 'internal',
      });
      for (const tag of CA_TOKEN_TAGS) {
        expect(run?.sections.CA).toHaveProperty(`pki_${tag}_token`, 'softhsm_token');
      }
    }
  });

  test('the directory is reached over LDAPS in both', () => {
    for (const run of [installation, configuration]) {
      expect(run?.sections.CA).toMatchObject({
        pki_ds_hostname: 'ca1.example.test',
        pki_ds_secure_connection: 'True',
        pki_ds_ldaps_port: '636',
      });
      expect(run?.sections.DEFAULT).toMatchObject({
        pki_ds_secure_connection_ca_pem_file: '/etc/capstan/ca.crt',
      });
    }
  });

  test('nothing is written that this release does not know', () => {
    const keys = Object.keys({ ...installation?.sections.DEFAULT, ...installation?.sections.CA });
    expect(keys).not.toContain('pki_cert_id_generator');
    expect(keys).not.toContain('pki_ds_url');
    expect(keys).toContain('pki_restart_configured_instance');
  });
});

describe('for Dogtag from 11.3 on', () => {
  test('there is one run', () => {
    const runs = caDeployments(sample(), dogtagProfile([11, 3, 0]));
    expect(runs).toMatchObject([{ name: 'whole', arguments: ['-s', 'CA'] }]);
    expect(runs[0]?.sections.DEFAULT).toMatchObject({
      pki_hsm_enable: 'True',
      pki_sslserver_token: 'internal',
    });
    expect(runs[0]?.sections.DEFAULT).not.toHaveProperty('pki_restart_configured_instance');
    expect(runs[0]?.sections.CA).toMatchObject({ pki_cert_id_generator: 'random', pki_ds_ldaps_port: '636' });
  });

  test('the directory is one address from 11.5 on', () => {
    const [run] = caDeployments(sample(), dogtagProfile([11, 5, 0]));
    expect(run?.sections.CA).toHaveProperty('pki_ds_url', 'ldaps://ca1.example.test:636');
    expect(run?.sections.CA).not.toHaveProperty('pki_ds_ldaps_port');
  });
});

describe('subjects and names', () => {
  test('are FreeIPA’s, under the subject base', () => {
    const [run] = caDeployments(sample({ subjectBase: ' OU=PKI, O = A\\, B ' }), DEBIAN_11);
    expect(run?.sections.CA).toMatchObject({
      pki_ca_signing_subject_dn: 'CN=Certificate Authority,O=EXAMPLE.TEST',
      pki_ocsp_signing_subject_dn: 'cn=OCSP Subsystem,OU=PKI,O=A\\, B',
      pki_audit_signing_subject_dn: 'cn=CA Audit,OU=PKI,O=A\\, B',
      pki_admin_subject_dn: 'cn=ipa-ca-agent,OU=PKI,O=A\\, B',
      pki_audit_signing_nickname: 'auditSigningCert cert-pki-ca',
      pki_default_ocsp_uri: 'http://ca1.example.test:8080/ca/ocsp',
    });
    expect(run?.sections.DEFAULT).toMatchObject({
      pki_sslserver_subject_dn: 'cn=ca1.example.test,OU=PKI,O=A\\, B',
      pki_subsystem_subject_dn: 'cn=CA Subsystem,OU=PKI,O=A\\, B',
    });
  });

  test('that are no distinguished names are refused', () => {
    expect(() => caDeployments(sample({ subjectBase: 'EXAMPLE' }), DEBIAN_11)).toThrow(
      expect.objectContaining({ code: 'dn-invalid' }),
    );
    expect(() => caDeployments(sample({ caSubject: 'O=a,' }), DEBIAN_11)).toThrow(
      expect.objectContaining({ code: 'dn-invalid' }),
    );
  });
});

describe('passwords', () => {
  test('stay secrets until the text is rendered', () => {
    const runs = caDeployments(sample(), DEBIAN_11);
    expect(JSON.stringify(runs)).not.toMatch(/pin-of-the-token|password-of/);
    const [text] = runs.map(({ sections }) => renderConfig(sections));
    expect(text).toContain('\npki_token_password=pin-of-the-token\n');
    expect(text).toContain('\npki_ds_password=password-of-ds\n');
  });

  test.each(['', 'ends\\', ' blank', 'line\nbreak', 'next\x85line'])('%j is refused', (value) => {
    const token = { ...sample().token, pin: new Secret(value, 'token password') };
    const thrown = expect.objectContaining({ code: 'password-unsuitable', exit: 2 });
    expect(() => caDeployments(sample({ token }), DEBIAN_11)).toThrow(thrown);
    expect(() => caDeployments(sample({ token }), DEBIAN_11)).toThrow(
      /^The token password (?:is|ends|begins|holds)/,
    );
  });
});

describe('overrides', () => {
  test.each(['DEFAULT', 'Tomcat', 'CA'])('of free defaults win from [%s]', (section) => {
    const override = [entry(section, 'pki_ocsp_signing_key_size', '4096')];
    const [run] = caDeployments(sample({ override }), DEBIAN_11);
    expect(run?.sections.CA?.pki_ocsp_signing_key_size).toEqual({ interpolated: '4096' });
    expect(run?.sections.DEFAULT).not.toHaveProperty('pki_ocsp_signing_key_size');
  });

  test('in [CA] win over those in [DEFAULT]', () => {
    const override = [
      entry('CA', 'pki_admin_email', 'ca@x'),
      entry('DEFAULT', 'pki_admin_email', 'default@x'),
    ];
    const [run] = caDeployments(sample({ override }), DEBIAN_11);
    expect(run?.sections.CA?.pki_admin_email).toEqual({ interpolated: 'ca@x' });
  });

  test('of other parameters take effect in both runs, whatever section default.cfg has them in', () => {
    const override = [entry('DEFAULT', 'pki_san_inject', 'True'), entry('Tomcat', 'pki_ajp_port', '9009')];
    for (const run of caDeployments(sample({ override }), DEBIAN_11)) {
      const { sections } = run;
      expect(sections.DEFAULT).toHaveProperty('pki_san_inject');
      expect(sections.CA).toHaveProperty('pki_san_inject');
      expect(renderConfig(sections)).toContain('[Tomcat]\npki_ajp_port=9009\n');
    }
  });

  test('never win over what Capstan writes', () => {
    const override = [
      entry('DEFAULT', 'pki_token_name', 'other'),
      entry('CA', 'pki_ca_signing_token', 'other'),
    ];
    const [run] = caDeployments(sample({ override }), DEBIAN_11);
    expect(run?.sections.DEFAULT?.pki_token_name).toBe('softhsm_token');
    expect(run?.sections.CA?.pki_ca_signing_token).toBe('softhsm_token');
  });
});

test('no parameter is both fixed and free', () => {
  const fixed = readTemplate('ca.cfg').map(({ key }) => key);
  const free = readTemplate('ca-defaults.cfg').map(({ key }) => key);
  expect(new Set([...fixed, ...free]).size).toBe(fixed.length + free.length);
});

describe('of a CA that another authority signed', () => {
  const requestFile = '/run/capstan/request.pem';
  const kind = (run: { sections: Record<string, Record<string, unknown>> } | undefined) => {
    const { pki_external, pki_external_step_two, pki_ca_signing_csr_path } = run?.sections.CA ?? {};
    return [pki_external, pki_external_step_two, pki_ca_signing_csr_path];
  };

  test.each([
    ['10.10.2', DEBIAN_11, 'internal'],
    ['11.5.0', dogtagProfile([11, 5, 0]), 'softhsm_token'],
  ] as const)(
    '%s makes no key in the first run, and none but the other three in the second',
    (_, profile, token) => {
      const [installation, configuration, ...more] = caDeployments(sample({ requestFile }), profile);
      expect(more).toEqual([]);
      expect(kind(installation as never)).toEqual(['True', 'False', undefined]);
      expect(kind(configuration as never)).toEqual(['True', 'True', requestFile]);
      expect(installation?.sections.DEFAULT).toHaveProperty('pki_token_name', 'softhsm_token');
      expect(configuration?.sections.DEFAULT).toHaveProperty('pki_token_name', token);
      expect([installation, configuration].map((run) => run?.arguments.at(-1))).toEqual([
        '--skip-configuration',
        '--skip-installation',
      ]);
    },
  );

  test('stands in [CA], where pkispawn has defaults that would win over [DEFAULT]', () => {
    for (const { sections } of caDeployments(sample({ requestFile }), DEBIAN_11))
      expect(Object.keys(sections.DEFAULT ?? {}).filter((key) => /external|csr_path/.test(key))).toEqual([]);
  });
});
