import { describe, expect, test } from 'vitest';
import { parseConfig, renderConfig, unwritable } from '../../../src/host/configparser.ts';
import { Secret } from '../../../src/secret/secret.ts';

const refusalWith = (code: string, message: RegExp) =>
  expect.objectContaining({ code, exit: 2, message: expect.stringMatching(message) });

describe('renderConfig', () => {
  test('doubles % except where pkispawn does it itself', () => {
    const pin = new Secret('50%(x)s', 'token password');
    const other = new Secret('1%', 'PKCS #12 password');
    expect(
      renderConfig({
        DEFAULT: { pki_token_password: pin, pki_pkcs12_password: other },
        CA: { pki_token_name: '100% token', pki_admin_email: { interpolated: 'root@%(pki_hostname)s' } },
      }),
    ).toBe(
      [
        '[DEFAULT]',
        'pki_token_password=50%(x)s',
        'pki_pkcs12_password=1%%',
        '',
        '[CA]',
        'pki_token_name=100%% token',
        'pki_admin_email=root@%(pki_hostname)s',
        '',
      ].join('\n'),
    );
  });

  test.each([
    ['a\nb', /holds a line break/],
    ['a\rb', /holds a line break/],
    [' a', /begins or ends with a blank/],
    ['a\xa0', /begins or ends with a blank/],
    ['a\x85b', /end of a line/],
    ['a\u2028b', /end of a line/],
    ['a\x0bb', /end of a line/],
    ['a\0b', /control character/],
    ['a\x7fb', /control character/],
  ])('refuses %j, naming the key and not the value', (value, reason) => {
    expect(() => renderConfig({ CA: { pki_admin_name: value } })).toThrow(
      refusalWith('config-value', reason),
    );
    const pin = new Secret(value.replace('a', 'zebra'), 'PIN');
    expect(() => renderConfig({ DEFAULT: { pki_token_password: pin } })).toThrow(
      refusalWith('config-value', /^The PIN \(pki_token_password\) (?!.*zebra)/),
    );
  });

  test.each([
    '',
    'a\tb',
    '; a',
    '# a',
    '[CA]',
    '"a"',
    "'a'",
    '= a',
    'a # b',
    'a ; b',
    '\\',
    'é鍵🔑',
    '\ufeffa',
  ])('carries %j', (value) => {
    expect(unwritable(value)).toBeUndefined();
    expect(renderConfig({ CA: { pki_admin_name: value } })).toBe(`[CA]\npki_admin_name=${value}\n`);
  });

  test('refuses half of a surrogate pair', () => {
    expect(() => renderConfig({ CA: { pki_admin_name: 'a\ud800b' } })).toThrow(
      refusalWith('config-value', /surrogate/),
    );
  });

  test('refuses keys and sections that pkispawn would read otherwise', () => {
    expect(() => renderConfig({ CA: { 'pki a': '1' } })).toThrow(refusalWith('config-value', /"pki a"/));
    expect(() => renderConfig({ CA: { pki_a: '1', PKI_A: '2' } })).toThrow(/two spellings/);
    expect(() => renderConfig({ 'CA]': { pki_a: '1' } })).toThrow(/"CA\]" cannot be the name/);
  });
});

describe('parseConfig', () => {
  test('reads comments, both separators, continuation lines and case as Python does', () => {
    const text = [
      '# note',
      '[CA]',
      'pki_a = 1 # kept',
      'pki_b: x = y',
      '   ; note',
      '   second',
      '',
      '   third',
      'PKI_B=',
      '[Tomcat]',
      'pki_a=2',
    ].join('\r\n');
    expect(parseConfig(text, 'file')).toEqual([
      { section: 'CA', key: 'pki_a', value: '1 # kept', line: 3 },
      { section: 'CA', key: 'pki_b', value: 'x = y\nsecond\n\nthird', line: 4 },
      { section: 'CA', key: 'PKI_B', value: '', line: 9 },
      { section: 'Tomcat', key: 'pki_a', value: '2', line: 11 },
    ]);
  });

  test('names every line that is wrong, and quotes none', () => {
    const text = 'early=secret\n[CA]\na=1\na=2\nno separator secret\n=secret\n[CA]\n[CA] secret\n[DEFAULT\n';
    expect(() => parseConfig(text, '/etc/over.cfg')).toThrow(
      refusalWith(
        'config-syntax',
        /^\/etc\/over\.cfg cannot be read: line 1 .*; line 4 gives a in \[CA\] a second time; line 5 .*; line 6 .*; line 7 .*; line 8 .*; line 9 (?!.*secret)/,
      ),
    );
    expect(() => parseConfig(text, 'f')).not.toThrow(/secret/);
  });

  test('takes a second [DEFAULT] for an error, where Python does not', () => {
    expect(() => parseConfig('[DEFAULT]\n[DEFAULT]\n', 'f')).toThrow(
      /line 2 begins \[DEFAULT\] a second time/,
    );
  });
});
