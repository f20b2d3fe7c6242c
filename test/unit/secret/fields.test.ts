import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  isSecretField,
  secretAttributesOf,
  secretFieldsOf,
  withoutCredentials,
  withoutPrivateKeys,
  withoutSecretAttributes,
  withoutSecretFields,
} from '../../../src/secret/fields.ts';

describe('the names of fields that hold secrets', () => {
  test.each([
    'nsslapd-rootpw',
    'userPassword',
    'userPassword;deleted',
    'nsDS5ReplicaCredentials',
    'nsds5ReplicaBootstrapCredentials',
    'nsMultiplexorCredentials',
    'nsSymmetricKey',
    'pki_ds_password',
    'pki_token_password',
    'pki_one_time_pin',
    'preop.pin',
    'pin',
    'key_pin',
    'tokenPin',
    'template_challenge_password',
    'internaldb.ldapauth.bindPassword',
    'requiredSecret',
    'keystorePass',
    'privateKey',
  ])('%s', (name) => {
    expect(isSecretField(name)).toBe(true);
  });

  test.each([
    'nsslapd-rootpwstoragescheme',
    'passwordHistory',
    'passwordFile',
    'passwordClass',
    'cms.passwordlist',
    'internaldb.ldapauth.bindPWPrompt',
    'auths.impl.SharedToken.class',
    'key_pin_file',
    'key_pubkey',
    'nsslapd-search-bypass',
    'posixwinsyncmapping',
    'ca.signing.nickname',
    'certTransparency.log.1.pubKey',
  ])('not %s', (name) => {
    expect(isSecretField(name)).toBe(false);
  });
});

describe('text of fields', () => {
  test('dse.ldif: hashes, keys and their further lines go, everything else stays', () => {
    const ldif = [
      'dn: cn=config',
      'nsslapd-rootpw: {PBKDF2_SHA256}AAAIAFy7mwBkDGkY8uggA9jI3nBMTZOg9bZiqRZytyIkZim',
      ' bU5nZXM0RGV0YWlscw==',
      'nsslapd-rootpwstoragescheme: PBKDF2_SHA256',
      '',
      'dn: cn=AES,cn=encrypted attribute keys,cn=userRoot',
      'nsSymmetricKey:: OL74PJH0PqmeEcPxLk77hFweRnEaMPFK/h34d+aTzs6EOI7PfmqTOp8GsZQ6E',
      ' 3fJ/Qw==',
      'cn: AES',
      '',
    ].join('\n');
    expect(withoutSecretFields(ldif).split('\n')).toEqual([
      'dn: cn=config',
      'nsslapd-rootpw: [secret]',
      'nsslapd-rootpwstoragescheme: PBKDF2_SHA256',
      '',
      'dn: cn=AES,cn=encrypted attribute keys,cn=userRoot',
      'nsSymmetricKey:: [secret]',
      'cn: AES',
      '',
    ]);
  });

  test("a certmonger request: the PIN goes, the token's name and the certificate stay", () => {
    const request = [
      'id=capstan-subsystem',
      'key_token=HSM',
      'key_pin=3|he=O]cV: r',
      'key_perms=0',
      'cert=-----BEGIN CERTIFICATE-----',
      ' MIIDjTCC',
      ' -----END CERTIFICATE-----',
    ].join('\n');
    expect(withoutSecretFields(request)).toBe(request.replace('3|he=O]cV: r', '[secret]'));
    expect(secretFieldsOf(request)).toEqual(['3|he=O]cV: r']);
  });

  test('pkispawn: multi-line values, comments and both separators', () => {
    const ini = [
      '[DEFAULT]',
      '# pki_ds_password = Commented.1',
      'pki_token_password : first',
      '    second',
      '',
      '    third',
      'pki_token_name = HSM',
      'pki_client_pin=',
    ].join('\n');
    expect(withoutSecretFields(ini).split('\n')).toEqual([
      '[DEFAULT]',
      '# pki_ds_password = [secret]',
      'pki_token_password : [secret]',
      '',
      ' [secret]',
      'pki_token_name = HSM',
      'pki_client_pin=',
    ]);
    expect(secretFieldsOf(ini)).toEqual(['Commented.1', 'first', 'second', 'third']);
  });

  test('a line separator of another alphabet, or a carriage return, ends no value', () => {
    expect(withoutSecretFields('a.password=x\u2028y\rz\nb=1')).toBe('a.password=[secret]\nb=1');
  });

  test('what stands for no secret is not learned', () => {
    expect(secretFieldsOf('a.password=true\nb.password=XXXXXXXX\nc.pin=12\nd.password=[secret]')).toEqual([]);
  });

  test('property: no value of a secret field is left, whatever it is', () => {
    const value = fc.string({ minLength: 6, maxLength: 40 }).filter((text) => !/[\n\r]/.test(text));
    fc.assert(
      fc.property(value, fc.constantFrom('=', ' = ', ': ', ':: '), (secret, separator) => {
        const clean = withoutSecretFields(`before=1\npki_ds_password${separator}${secret}\nafter=2`);
        expect(clean).toMatch(/^before=1\npki_ds_password[^\n]*\nafter=2$/);
        expect(clean.replace('pki_ds_password', '').replace(HIDDEN, '')).toMatch(
          /^before=1\n[\s:=]*\nafter=2$/,
        );
      }),
    );
  });
});

const HIDDEN = '[secret]';

describe('XML', () => {
  const xml = `<Connector protocol="AJP/1.3" address="127.0.0.1"
     requiredSecret="4idDjrmG>jm2Mr3VMg8RXDCbn" keystorePass='k&amp;y' passwordFile="/etc/password.conf"/>
     <Parameter name="bindPassword" value="Top.Secret" override="false"/><Parameter name="bindDN" value="cn=x"/>`;

  test('secret attributes and parameters go, the others stay', () => {
    expect(withoutSecretAttributes(xml)).toBe(
      xml
        .replace('4idDjrmG>jm2Mr3VMg8RXDCbn', HIDDEN)
        .replace("'k&amp;y'", `"${HIDDEN}"`)
        .replace('Top.Secret', HIDDEN),
    );
  });

  test('their values are known', () => {
    expect(secretAttributesOf(xml)).toEqual(['4idDjrmG>jm2Mr3VMg8RXDCbn', 'k&amp;y', 'Top.Secret']);
  });
});

describe('credentials in any text', () => {
  test.each([
    ['pki-server ca-user-add --password Sec.ret admin', 'pki-server ca-user-add --password [secret] admin'],
    ["sslget -n x --pin='a b' -v", "sslget -n x --pin='[secret]' -v"],
    ['pki-server ca-user-add --password a,b;c admin', 'pki-server ca-user-add --password [secret] admin'],
    ["['sslget', '--pin', 'a b', '-v']", "['sslget', '--pin', '[secret]', '-v']"],
    ['openssl pkcs12 -passin pass:abc -in x', 'openssl pkcs12 -passin pass:[secret] -in x'],
    ['keytool -storepass changeit -list', 'keytool -storepass [secret] -list'],
    [
      'POST xml=true&pin=a&sessionID=1&token_pin=1234&x=y',
      'POST xml=true&pin=a&sessionID=1&token_pin=[secret]&x=y',
    ],
    ["DEBUG: {'pki_ds_password': 'it\\'s', 'a': 1}", "DEBUG: {'pki_ds_password': '[secret]', 'a': 1}"],
    ['{"token":"HSM","password":"x\\"y"}', '{"token":"HSM","password":"[secret]"}'],
    ['<AdminPassword>abc</AdminPassword><a>b</a>', '<AdminPassword>[secret]</AdminPassword><a>b</a>'],
    ['> Authorization: Basic YWRtaW46eA==', '> Authorization: Basic [secret]'],
    ['ldap://admin:geheim@ds.example.test:389/', 'ldap://admin:[secret]@ds.example.test:389/'],
    ['rootpw {SSHA512}Ab+/9= next', 'rootpw {SSHA512}[secret] next'],
  ])('%s', (text, clean) => {
    expect(withoutCredentials(text)).toBe(clean);
  });

  test.each([
    'INFO: Loading password config: /etc/pki/pki-tomcat/password.conf',
    'certutil -N --empty-password -d sql:/etc/pki/nssdb',
    'WARNING: password test execution failed for replicationdb with NO_SUCH_USER.',
    'certutil -R -f /etc/dirsrv/slapd-EXAMPLE-TEST/pwdfile.txt -k Server-Cert',
    'cms.passwordlist=internaldb,replicationdb',
    'ii  base-passwd      3.5.51   amd64   Debian base system master password and group files',
    '<Connector requiredSecret="[secret]" />',
    'https://ca1.example.test:8443/ca/rest',
  ])('not in: %s', (text) => {
    expect(withoutCredentials(text)).toBe(text);
  });
});

describe('private keys', () => {
  const BODY = 'MIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n'.repeat(3);
  const key = (kind = '') => `-----BEGIN ${kind}PRIVATE KEY-----\n${BODY}-----END ${kind}PRIVATE KEY-----`;

  test('whole ones go, whatever their kind, and what is between them stays', () => {
    const text = `a\n${key()}\nb\n${key('RSA ')}\nc ${key('ENCRYPTED ')} d\n`;
    expect(withoutPrivateKeys(text)).toBe('a\n[secret]\nb\n[secret]\nc [secret] d\n');
  });

  test('the rest of one whose beginning was cut off goes', () => {
    expect(withoutPrivateKeys(`${BODY}-----END RSA PRIVATE KEY-----\nb\n${key()}\nc\n`)).toBe(
      '[secret]\nb\n[secret]\nc\n',
    );
  });

  test('one whose end was cut off goes as far as it is there', () => {
    expect(withoutPrivateKeys(`a\n-----BEGIN PRIVATE KEY-----\n${BODY}`)).toBe('a\n[secret]\n');
    expect(withoutPrivateKeys(`a\n-----BEGIN PRIVATE KEY-----\n${BODY}2026-01-02 next\n`)).toBe(
      'a\n[secret]\n2026-01-02 next\n',
    );
  });

  test('certificates and public keys stay', () => {
    const text = `-----BEGIN CERTIFICATE-----\n${BODY}-----END CERTIFICATE-----\n-----BEGIN PUBLIC KEY-----\n${BODY}-----END PUBLIC KEY-----\n`;
    expect(withoutPrivateKeys(text)).toBe(text);
  });
});

describe('no text takes long', () => {
  const MIB = 1024 * 1024;
  const cases: Record<string, string> = {
    'one word': 'A',
    'a dotted name': 'ca.crl.MasterCRL.extension.',
    hyphens: '-',
    'open quotes': '"a',
    'open attributes': 'a="',
    'open passwords': 'password="x ',
    'names of parameters': '<Parameter name="password" ',
    'keys without an end': '-----BEGIN PRIVATE KEY-----\n',
    'ends without a key': '-----END PRIVATE KEY-----\n',
    addresses: 'http://',
    blanks: ' ',
    'blanks after a name': 'password ',
    backslashes: 'password="\\',
  };

  test.each(Object.entries(cases))('%s', (_, piece) => {
    const text = `password${piece.repeat(Math.ceil(MIB / piece.length))}`;
    const begun = performance.now();
    for (const clean of [
      withoutPrivateKeys,
      withoutSecretFields,
      withoutSecretAttributes,
      withoutCredentials,
    ]) {
      clean(text);
    }
    // Linear ones take 0.1 s; the others would take minutes.
    expect(performance.now() - begun).toBeLessThan(10_000);
  });
});
