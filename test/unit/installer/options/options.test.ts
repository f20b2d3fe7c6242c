import { describe, expect, it } from 'vitest';
import { readField } from '../../../../installer/options/field.ts';
import { readSite, type SiteValues } from '../../../../installer/options/site.ts';
import { readSubjects, type SubjectValues } from '../../../../installer/options/subject.ts';
import { together } from '../../../../installer/options/together.ts';
import { readToken, type TokenValues } from '../../../../installer/options/token.ts';
import type { Asker } from '../../../../installer/prompt.ts';
import { CapstanError, PreflightError, refusal } from '../../../../src/errors.ts';

/** The codes of everything that is refused. */
async function codesOf(work: Promise<unknown>): Promise<string[]> {
  try {
    await work;
  } catch (error) {
    return error instanceof PreflightError
      ? error.failures.map(({ code }) => code)
      : [(error as { code: string }).code];
  }
  return [];
}

describe('readSite', () => {
  const site = (values: SiteValues, system?: string) => readSite(values, undefined, system);
  const ca1 = { hostname: 'ca1.example.test', domain: 'example.test', realm: 'EXAMPLE.TEST' };

  it('derives what is not given', async () => {
    expect(await site({}, 'ca1.example.test')).toEqual(ca1);
    expect(await site({ hostname: 'ca1.example.test' }, 'other')).toEqual(ca1);
    expect(await site({ domain: 'other.test' }, 'ca1.example.test')).toEqual({
      ...ca1,
      domain: 'other.test',
      realm: 'OTHER.TEST',
    });
    expect(await site({ realm: 'MY.REALM' }, 'ca1.example.test')).toEqual({ ...ca1, realm: 'MY.REALM' });
  });

  it.each<[SiteValues, string | undefined, string[]]>([
    [{}, 'ca1', ['hostname-invalid']],
    [{}, undefined, ['option-missing']],
    [{ hostname: 'localhost' }, 'ca1.example.test', ['hostname-invalid']],
    [{ domain: 'x' }, 'ca1.example.test', ['domain-invalid']],
    [
      { hostname: 'A.b', domain: 'x y.z', realm: 'low.er' },
      undefined,
      ['hostname-invalid', 'domain-invalid', 'realm-invalid'],
    ],
    [{ realm: 'EXAMPLE.TEST\n' }, 'ca1.example.test', ['option-unprintable']],
    [{ hostname: 'ca1.example.test\0' }, undefined, ['option-unprintable']],
  ])('refuses %j on %s: %j', async (values, system, codes) => {
    expect(await codesOf(site(values, system))).toEqual(codes);
  });
});

describe('readToken', () => {
  const token = (values: TokenValues) => readToken(values, undefined);

  it('takes the library path under both names', async () => {
    const chosen = { label: 'HSM', libraryPath: '/lib/x.so' };
    expect(await token({ tokenName: 'HSM', libraryPath: '/lib/x.so' })).toEqual(chosen);
    expect(await token({ tokenName: 'HSM', tokenLibraryPath: '/lib/x.so' })).toEqual(chosen);
    expect(
      await token({ tokenName: 'HSM', libraryPath: '/lib/x.so', tokenLibraryPath: '/lib/x.so' }),
    ).toEqual(chosen);
  });

  it.each<[TokenValues, string[]]>([
    [{}, ['option-missing', 'option-missing']],
    [{ tokenName: '', libraryPath: '/lib/x.so' }, ['option-missing']],
    [{ tokenName: 'a\tb', libraryPath: '/lib/x.so' }, ['option-unprintable']],
    [{ tokenName: 'a\u202eb', libraryPath: '/lib/x.so' }, ['option-unprintable']],
    [{ tokenName: 'HSM', libraryPath: '/lib/../x.so' }, ['library-path-invalid']],
    [{ tokenName: 'HSM', libraryPath: '/lib/x.so', tokenLibraryPath: '/lib/y.so' }, ['library-path-twice']],
  ])('refuses %j: %j', async (values, codes) => expect(await codesOf(token(values))).toEqual(codes));

  it('asks only for what is missing', async () => {
    const asked: string[] = [];
    const asker: Asker = {
      text: async ({ what, flaw }) => {
        asked.push(what);
        expect(flaw('')).toContain('empty');
        expect(flaw('a\nb')).toContain('control character');
        expect(flaw('/lib/x.so')).toBeUndefined();
        return '/lib/x.so';
      },
      secret: async () => expect.unreachable('no password is asked for here'),
    };
    expect(await readToken({ tokenName: 'HSM' }, asker)).toEqual({ label: 'HSM', libraryPath: '/lib/x.so' });
    expect(asked).toEqual(['PKCS#11 library path']);
  });
});

describe('readSubjects', () => {
  const subjects = (values: SubjectValues) => readSubjects(values, 'EXAMPLE.TEST');

  it('derives what is not given', async () => {
    expect(await subjects({})).toEqual({
      subjectBase: 'O=EXAMPLE.TEST',
      caSubject: 'CN=Certificate Authority,O=EXAMPLE.TEST',
      keySize: 3072,
      override: undefined,
    });
    expect((await subjects({ subjectBase: 'OU=pki, O=Smith\\, Sons' })).caSubject).toBe(
      'CN=Certificate Authority,OU=pki,O=Smith\\, Sons',
    );
  });

  it.each<[SubjectValues, string[]]>([
    [{ subjectBase: 'nonsense' }, ['dn-invalid']],
    [{ caSubject: 'O=x' }, ['ca-subject-invalid']],
    [{ caSubject: 'CN=a,CN=b' }, ['ca-subject-invalid']],
    [{ caSubject: 'CN=a\nb' }, ['option-unprintable']],
    [{ caSubject: `CN=${'x'.repeat(2000)}` }, ['option-too-long']],
    [{ caSubject: 'CN=a,FOO=b' }, ['subject-invalid']],
    [{ subjectBase: `O=${'X'.repeat(65)}` }, ['subject-invalid']],
    [{ pkiConfigOverride: '/etc/../x' }, ['override-path-invalid']],
    [{ pkiConfigOverride: 'relative.ini' }, ['override-path-invalid']],
    [{ caSubject: 'CN', pkiConfigOverride: './x' }, ['dn-invalid', 'override-path-invalid']],
  ])('refuses %j: %j', async (values, codes) => expect(await codesOf(subjects(values))).toEqual(codes));
});

describe('together', () => {
  const fails = (code: string) => () => {
    throw refusal(code, code);
  };

  it('gives the values, or every error of a nest of readers', async () => {
    expect(await together({ one: () => 1, two: async () => 'b' })).toEqual({ one: 1, two: 'b' });
    const nested = together({ a: fails('a'), b: () => together({ c: fails('c'), d: fails('d') }) });
    expect(await codesOf(nested)).toEqual(['a', 'c', 'd']);
    expect(await codesOf(together({ a: fails('a'), b: () => 1 }))).toEqual(['a']);
  });

  it('stops at the first one where a person is asked', async () => {
    const second = () => expect.unreachable('the second was read');
    expect(await codesOf(together({ a: fails('a'), b: second }, true))).toEqual(['a']);
  });

  it('ends at an interruption, which is no finding', async () => {
    const interrupted = () => {
      throw new CapstanError({ code: 'interrupted', message: 'Stopped.', exit: 130 });
    };
    const third = () => expect.unreachable('the third was read');
    expect(await codesOf(together({ a: fails('a'), b: interrupted, c: third }))).toEqual(['interrupted']);
  });

  it('lets a defect through as it is', async () => {
    const defect = () => {
      throw new TypeError('x');
    };
    await expect(together({ a: fails('a'), b: defect })).rejects.toThrow(TypeError);
  });
});

it('readField takes the option before the default, and the default only when nobody is there', async () => {
  const field = {
    option: '--x',
    what: 'thing',
    given: undefined,
    fallback: 'default',
    parse: (text: string) => text,
  };
  const asker: Asker = {
    text: async ({ fallback }) => `typed instead of ${fallback}`,
    secret: async () => '',
  };
  expect(await readField({ ...field, given: 'given' }, asker)).toBe('given');
  expect(await readField(field, asker)).toBe('typed instead of default');
  expect(await readField(field, undefined)).toBe('default');
});
