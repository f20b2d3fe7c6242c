import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CapstanError } from '../../../src/errors.ts';
import { libraryPath, moduleName, selectToken, tokenLabel, tokenPin } from '../../../src/hsm/token.ts';
import { Secret } from '../../../src/secret/secret.ts';
import { tokenWith } from './tokens.ts';

function refusalOf(action: () => unknown): CapstanError {
  try {
    action();
  } catch (error) {
    if (error instanceof CapstanError) return error;
    throw error;
  }
  throw new Error('nothing was refused');
}

describe('a token label', () => {
  test.each(['hsm', 'two words', 'a'.repeat(32), 'ü'.repeat(16), 'HSM-1_(main)', '"quoted"'])(
    'may be %s',
    (label) => {
      expect(tokenLabel(label)).toBe(label);
    },
  );

  test.each([
    ['', 'it is empty'],
    ['a'.repeat(33), 'it has 33 bytes'],
    ['ü'.repeat(17), 'it has 34 bytes'],
    ['a:b', 'Dogtag splits nicknames at it'],
    ['a;b', 'it separates the fields of the HSM record'],
    ['a=b', 'it ends the key in Dogtag’s password.conf'],
    ['a\nb', 'control character'],
    ['a\u0085b', 'control character'],
    [' a', 'begins or ends with a blank'],
    ['a ', 'begins or ends with a blank'],
    ['\ud800', 'no valid Unicode'],
    ['internal', 'a name of the internal token'],
    ['Internal Key Storage Token', 'a name of the internal token'],
  ])('may not be %j: %s', (label, reason) => {
    const error = refusalOf(() => tokenLabel(label));
    expect(error).toMatchObject({ code: 'token-label-invalid', exit: 2 });
    expect(error.message).toContain(reason);
  });

  test('is refused with all reasons at once', () => {
    const { message } = refusalOf(() => tokenLabel(' a:b;c '));
    for (const reason of ['":"', '";"', 'blank']) expect(message).toContain(reason);
  });

  test('that passes survives the HSM record and password.conf', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 33 }), (text) => {
        let label: string;
        try {
          label = tokenLabel(text);
        } catch {
          return;
        }
        expect(`${label};/lib.so`.split(';')).toEqual([label, '/lib.so']);
        expect(`hardware-${label}=pin`.split('=')).toEqual([`hardware-${label}`, 'pin']);
        expect(`${label}:nickname`.split(':')[0]).toBe(label);
        expect(Buffer.byteLength(label)).toBeLessThanOrEqual(32);
      }),
    );
  });
});

describe('a token password', () => {
  const refused = (value: string) => refusalOf(() => tokenPin(new Secret(value, 'token password')));

  test.each(['Secret.123', 'a b', '%;#="\'', '\\inside\\x', '12345678'])('may be %s', (value) => {
    const pin = new Secret(value, 'token password');
    expect(tokenPin(pin)).toBe(pin);
  });

  test.each([
    ['', 'it is empty'],
    ['tail\\', 'ends with a backslash'],
    [' lead', 'begins or ends with a blank'],
    ['tail ', 'begins or ends with a blank'],
    ['two\nlines', 'a line break'],
    ['two\u0085lines', 'a line break'],
    ['two\u2028lines', 'a line break'],
    ['Geheimnüs', 'other than ASCII'],
  ])('may not be %j: %s', (value, reason) => {
    const error = refused(value);
    expect(error).toMatchObject({ code: 'token-password-invalid', exit: 2 });
    expect(error.message).toContain(reason);
    if (value.length > 4) expect(error.message).not.toContain(value);
  });
});

describe('a library path', () => {
  test('may be an absolute path', () => expect(libraryPath('/usr/lib/x.so')).toBe('/usr/lib/x.so'));
  test.each(['', 'x.so', '/usr/lib/', '/a;b.so', '/a\nb.so'])('may not be %j', (path) => {
    expect(refusalOf(() => libraryPath(path)).code).toBe('library-path-invalid');
  });
});

test.each([
  ['/usr/lib/softhsm/libsofthsm2.so', 'libsofthsm2'],
  ['/usr/safenet/lunaclient/lib/libCryptoki2_64.so', 'libCryptoki2_64'],
  ['/opt/nfast/toolkits/pkcs11/libcknfast.so', 'libcknfast'],
  ['/lib/libx.so.2.6', 'libx'],
  ['/lib/libx-1.2.so', 'libx-1.2'],
  ['/lib/libx.sofa.so', 'libx.sofa'],
  ['/lib/module', 'module'],
  ['/lib/module.dylib', 'module'],
  ['/lib/.so', '.so'],
])('the module name of %s is %s', (path, name) => {
  expect(moduleName(path)).toBe(name);
});

describe('choosing a token', () => {
  const tokens = [
    tokenWith({ label: 'hsm-backup', slot: 1 }),
    tokenWith({ label: 'hsm', slot: 2 }),
    tokenWith({ label: '', slot: 3, initialised: false }),
  ];

  test('takes the one with exactly the label', () => expect(selectToken(tokens, 'hsm').slot).toBe(2));

  test('names what is there when there is none', () => {
    const error = refusalOf(() => selectToken(tokens, 'hs'));
    expect(error.code).toBe('token-not-found');
    expect(error.message).toBe('No token has the label "hs". The library shows "hsm", "hsm-backup".');
    expect(refusalOf(() => selectToken([], 'hs')).message).toContain('shows no token');
  });

  test('does not take a token that was never initialised', () => {
    expect(refusalOf(() => selectToken(tokens, '')).code).toBe('token-not-found');
  });

  test('names the serials of two', () => {
    const twins = [tokenWith({ serial: 'A1', slot: 1 }), tokenWith({ serial: 'B2', slot: 2 })];
    const error = refusalOf(() => selectToken(twins, 'hsm'));
    expect(error.code).toBe('token-ambiguous');
    expect(error.message).toContain('serial A1 in slot 1, serial B2 in slot 2');
  });
});
