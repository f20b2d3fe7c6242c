import { execFileSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ownedKeys, readOverride } from '../../../src/dogtag/override.ts';
import { CapstanError } from '../../../src/errors.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'capstan-override-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function read(text: string | Uint8Array) {
  const path = join(folder, 'override.cfg');
  await writeFile(path, text);
  return readOverride(path);
}

async function refusalOf(text: string | Uint8Array): Promise<CapstanError> {
  const error = await read(text).catch((thrown: unknown) => thrown);
  if (!(error instanceof CapstanError)) throw new Error('The file was accepted.', { cause: error });
  expect(error.exit).toBe(2);
  return error;
}

describe('an override file is used', () => {
  test.each([
    ['[CA]\npki_ocsp_signing_key_size = 4096', 'pki_ocsp_signing_key_size', '4096'],
    [
      '[CA]\npki_ca_signing_signing_algorithm: SHA512withRSA',
      'pki_ca_signing_signing_algorithm',
      'SHA512withRSA',
    ],
    ['[DEFAULT]\npki_sslserver_key_size=3072', 'pki_sslserver_key_size', '3072'],
    ['[Tomcat]\npki_ajp_port=9009', 'pki_ajp_port', '9009'],
    ['[DEFAULT]\npki_status_request_timeout=15', 'pki_status_request_timeout', '15'],
    ['[CA]\npki_admin_email=pki@%(pki_hostname)s', 'pki_admin_email', 'pki@%(pki_hostname)s'],
    ['[CA]\npki_ca_signing_opFlags=sign', 'pki_ca_signing_opFlags', 'sign'],
    ['[CA]\npki_san_inject=True', 'pki_san_inject', 'True'],
  ])('%j', async (text, key, value) => {
    expect(await read(text)).toEqual([expect.objectContaining({ key, value, line: 2 })]);
  });

  test('when it is empty', async () => {
    expect(await read('# nothing\n')).toEqual([]);
  });
});

describe('what Capstan owns', () => {
  const keys = [
    ...['pki_token_name', 'pki_token_password', 'pki_hsm_enable', 'pki_hsm_libfile', 'pki_hsm_modulename'],
    ...['pki_sslserver_token', 'pki_ca_signing_token', 'pki_storage_token', 'pki_self_signed_token'],
    ...[
      'pki_clone',
      'pki_clone_uri',
      'pki_clone_pkcs12_path',
      'pki_master_hostname',
      'pki_replication_password',
    ],
    ...['pki_backup_keys', 'pki_backup_password', 'pki_external', 'pki_subordinate', 'pki_existing'],
    ...['pki_ds_url', 'pki_ds_hostname', 'pki_ds_ldap_port', 'pki_ds_password', 'pki_ds_remove_data'],
    ...['pki_ca_signing_key_size', 'pki_ca_signing_key_type', 'pki_ca_signing_subject_dn', 'pki_pin'],
    ...['pki_instance_name', 'pki_instance_path', 'pki_path', 'pki_user', 'pki_http_port', 'pki_https_port'],
    ...['pki_skip_installation', 'pki_security_domain_name', 'pki_client_dir', 'pki_server_pkcs12_path'],
    ...[
      'pki_cert_id_generator',
      'pki_profiles_in_ldap',
      'pki_audit_signing_nickname',
      'pki_ssl_server_key_size',
    ],
    ...['pki_use_pss_rsa_signing_algorithm', 'pki_ajp_secret', 'pki_server_database_password'],
  ];

  test.each(['DEFAULT', 'Tomcat', 'CA', 'KRA', 'ca'])('cannot be overridden in [%s]', async (section) => {
    const error = await refusalOf(`[${section}]\n${keys.map((key) => `${key}=x`).join('\n')}\n`);
    expect(error.code).toBe('override-owned');
    keys.forEach((key, index) => {
      expect(error.message).toContain(`${key} in [${section}], line ${index + 2}, belongs to Capstan`);
    });
  });

  test('cannot be reached by another spelling', async () => {
    const error = await refusalOf('[DEFAULT]\nPKI_TOKEN_NAME=x\nPki_Hsm_Enable=x\n');
    expect(error.code).toBe('override-owned');
    expect(error.message).toMatch(/PKI_TOKEN_NAME .*line 2.*Pki_Hsm_Enable .*line 3/);
  });

  test('cannot be smuggled in a continued value', async () => {
    const error = await refusalOf('[CA]\npki_admin_email=a\n pki_hsm_enable=True\n');
    expect(error.message).toContain('pki_admin_email in [CA], line 2, holds a line break');
    const heading = await refusalOf('[CA]\npki_admin_email=a\n [DEFAULT]\n pki_hsm_enable=True\n');
    expect(heading.message).toContain('pki_admin_email in [CA], line 2, holds a line break');
  });

  test('is what the deployment writes on old and new releases, without the free parameters', () => {
    const owned = ownedKeys();
    expect([...owned]).toEqual(expect.arrayContaining(['pki_ds_url', 'pki_ds_ldaps_port', 'pki_token_name']));
    expect(owned.has('pki_ocsp_signing_key_size')).toBe(false);
    expect(owned.has('pki_admin_email')).toBe(false);
  });
});

describe('an override file is refused', () => {
  test.each([
    [
      '[KRA]\npki_storage_key_size=2048',
      /pki_storage_key_size in \[KRA\], line 2, is in a section other than/,
    ],
    ['[CAT]\npki_ajp_port=1', /is in a section other than DEFAULT, Tomcat, CA/],
    ['[CA]\nhome_dir=/x', /home_dir in \[CA\], line 2, is no parameter of pkispawn/],
    ['[CA]\npki_Admin_email=x', /is spelled pki_admin_email/],
    ['[CA]\npki_admin_email=a\npki_admin_EMAIL=b', /differs from pki_admin_email in case only/],
    ['[CA]\npki_admin_email=100%', /has a lone %/],
    ['[CA]\npki_admin_email=%(pki_token_password)s', /refers to a password/],
    ['[CA]\npki_ocsp_signing_key_size=1024', /must be 2048, 3072 or 4096/],
    ['[CA]\npki_ca_signing_key_algorithm=SHA384withEC', /must be SHA256withRSA/],
    ['[CA]\npki_ocsp_signing_signing_algorithm=SHA1withRSA', /must be SHA256withRSA/],
    ['[CA]\npki_admin_email=a\x85b', /end of a line/],
  ])('%j', async (text, message) => {
    const error = await refusalOf(text);
    expect(error.code).toBe('override-invalid');
    expect(error.message).toMatch(message);
  });

  test('with all its faults in the order of the lines', async () => {
    const error = await refusalOf('[CA]\npki_admin_email=%\npki_token_name=x\n[KRA]\npki_a=1\n');
    expect(error.code).toBe('override-owned');
    expect(error.message).toMatch(/line 2,.*line 3,.*line 5,/);
  });

  test('when it cannot be parsed or decoded', async () => {
    expect((await refusalOf('[CA]\npki_a=1\npki_a=2')).code).toBe('config-syntax');
    expect((await refusalOf('[CA]\n[CA]')).code).toBe('config-syntax');
    expect((await refusalOf(Uint8Array.of(0x5b, 0x43, 0x41, 0x5d, 0x0a, 0xff))).code).toBe(
      'override-encoding',
    );
  });

  test.each([
    ['override.cfg', 'override-path'],
    ['~/override.cfg', 'override-path'],
    ['/nonexistent/override.cfg', 'override-missing'],
    ['/etc', 'override-not-a-file'],
    ['/dev/null', 'override-not-a-file'],
  ])('when it is %s', async (path, code) => {
    await expect(readOverride(path)).rejects.toMatchObject({ code, exit: 2 });
  });

  test('when it is a FIFO, without waiting for a writer', async () => {
    const path = join(folder, 'fifo');
    execFileSync('mkfifo', [path]);
    await expect(readOverride(path)).rejects.toMatchObject({ code: 'override-not-a-file' });
  });
});
