import { describe, expect, test } from 'vitest';
import { parseStore, requireSoftHsm } from '../../../src/hsm/softhsm.ts';
import { tokenWith } from './tokens.ts';

const store = (text: string) => parseStore(text, '/etc/softhsm2.conf');

describe('the configuration', () => {
  test('as Debian ships it', () => {
    const text = [
      '# SoftHSM v2 configuration file',
      '',
      'directories.tokendir = /var/lib/softhsm/tokens/',
      'objectstore.backend = file',
      'slots.mechanisms = ALL',
    ].join('\n');
    expect(store(text)).toEqual({ folder: '/var/lib/softhsm/tokens', backend: 'file' });
  });

  test('is read as SoftHSM reads it: the last value counts, comments and blanks do not', () => {
    expect(
      store(
        'directories.tokendir=/a\r\n  directories.tokendir\t= /b # = /c\n# directories.tokendir = /d\ndirectories.tokendir\nobjectstore.backend = db',
      ),
    ).toEqual({ folder: '/b', backend: 'db' });
    expect(store('directories.tokendir = /a = /b')).toEqual({ folder: '/a', backend: 'file' });
  });

  test.each(['', 'directories.tokendir = ', 'directories.tokendir = tokens', '#directories.tokendir = /a'])(
    '%j names no folder',
    (text) => {
      expect(() => store(text)).toThrow(
        expect.objectContaining({ code: 'softhsm-configuration-unusable', exit: 2 }),
      );
    },
  );

  test('with an unknown backend is refused', () => {
    expect(() => store('directories.tokendir = /a\nobjectstore.backend = cloud')).toThrow('"cloud"');
  });
});

describe('SoftHSM', () => {
  const facts = {
    manufacturer: 'SoftHSM',
    description: 'Implementation of PKCS11',
    libraryVersion: '2.6',
    cryptokiVersion: '2.40',
  };
  const token = tokenWith({ manufacturer: 'SoftHSM project', model: 'SoftHSM v2' });

  test('is known by its names', () => {
    expect(() => requireSoftHsm('/lib/x.so', facts)).not.toThrow();
    expect(() => requireSoftHsm('/lib/x.so', facts, token)).not.toThrow();
  });

  test.each([
    ['the library of another', { ...facts, manufacturer: 'Example Corp' }, undefined],
    ['the library in between', { ...facts, manufacturer: 'PKCS#11 Kit' }, token],
    ['a name that only begins so', { ...facts, manufacturer: 'SoftHSMs by Example' }, undefined],
    ['the token of another', facts, { ...token, manufacturer: 'Example Corp' }],
    ['the model of another', facts, { ...token, model: 'Luna' }],
    ['what says nothing', { ...facts, manufacturer: '', description: '' }, undefined],
  ])('is not %s', (_, library, seen) => {
    expect(() => requireSoftHsm('/lib/x.so', library, seen)).toThrow(
      expect.objectContaining({ code: 'token-not-softhsm', exit: 2 }),
    );
  });
});
