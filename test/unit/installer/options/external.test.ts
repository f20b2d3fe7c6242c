import { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import {
  type ExternalValues,
  externalOptions,
  keepSecretsOption,
  readCertificateFiles,
  readExternal,
} from '../../../../installer/options/external.ts';

function values(...words: string[]): ExternalValues {
  const command = new Command().exitOverride().configureOutput({ writeErr: () => {} });
  keepSecretsOption(externalOptions(command));
  return command.parse(words, { from: 'user' }).opts();
}

describe('the options of a CA that another authority signs', () => {
  it('name the authority, and its template where it has some', () => {
    expect(readExternal(values())).toBeUndefined();
    expect(readExternal(values('--external-ca'))).toEqual({ type: 'generic' });
    expect(readExternal(values('--external-ca', '--external-ca-type', 'ms-cs'))).toEqual({
      ...{ type: 'ms-cs', profile: 'SubCA' },
    });
    const own = values('--external-ca', '--external-ca-type=ms-cs', '--external-ca-profile=1.2.3:4:5');
    expect(readExternal(own)).toEqual({ type: 'ms-cs', profile: '1.2.3:4:5' });
    const kept = values('--external-ca', '--keep-secrets');
    expect(readExternal(kept)).toEqual({ type: 'generic', keepSecrets: true });
  });

  it.each([
    [['--external-ca-type', 'ms-cs'], 'external-option-unused'],
    [['--external-ca-profile', 'SubCA'], 'external-option-unused'],
    [['--keep-secrets'], 'external-option-unused'],
    [['--external-ca', '--external-ca-profile', 'SubCA'], 'external-option-unused'],
    [['--external-ca', '--external-ca-type=ms-cs', '--external-ca-profile=1.2'], 'external-profile-invalid'],
    [['--external-ca', '--external-ca-type=ms-cs', '--external-ca-profile=a\nb'], 'option-unprintable'],
  ])('refuse %j', (words, code) => {
    expect(() => readExternal(values(...words))).toThrow(expect.objectContaining({ code, exit: 2 }));
  });

  it('take any number of files, by their whole paths', () => {
    expect(readCertificateFiles(values())).toBeUndefined();
    const two = values('--external-cert-file', '/root/a', '--external-cert-file', '/root/b');
    expect(readCertificateFiles(two)).toEqual(['/root/a', '/root/b']);
    for (const path of ['ca.crt', '', '/root/\u0000'])
      expect(() => readCertificateFiles({ externalCertFile: [path] })).toThrow(
        expect.objectContaining({ code: 'external-file-invalid' }),
      );
  });
});
