import { describe, expect, test } from 'vitest';
import { dscreateAnswers, instanceName, withPluginEnabled } from '../../../src/directory/instance.ts';
import { Secret } from '../../../src/secret/secret.ts';

const DSE = `dn: cn=config
nsslapd-port: 389

dn: cn=USN,cn=plugins,cn=config
cn: USN
nsslapd-pluginEnabled: off
nsslapd-pluginId: none

dn: cn=Views,cn=plugins,cn=config
cn: Views
nsslapd-pluginEnabled: off
`;

describe('a plug-in in dse.ldif', () => {
  test('is enabled, and nothing else is changed', () => {
    const changed = withPluginEnabled(DSE, 'USN');
    expect(changed).toBe(
      DSE.replace(
        'nsslapd-pluginEnabled: off\nnsslapd-pluginId',
        'nsslapd-pluginEnabled: on\nnsslapd-pluginId',
      ),
    );
    expect(withPluginEnabled(changed, 'USN')).toBe(changed);
  });

  test('that is not there is an error, also where its name is part of another', () => {
    expect(() => withPluginEnabled(DSE, 'US')).toThrow(expect.objectContaining({ code: 'plugin-missing' }));
  });
});

test('an instance is named as FreeIPA names it', () => {
  expect(instanceName('EXAMPLE.TEST')).toBe('EXAMPLE-TEST');
});

test('the answers double the percent signs that lib389 would interpolate', () => {
  const instance = { name: 'EXAMPLE-TEST', hostname: 'ca1.example.test', suffix: 'dc=example,dc=test' };
  const answers = dscreateAnswers(instance, new Secret('50%;#"', 'Directory Manager password'));
  expect(answers).toMatch(/^root_password ?= ?50%%;#"$/m);
  expect(answers).toMatch(/^suffix ?= ?dc=example,dc=test$/m);
});
