import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import type { CapstanError } from '../../../src/errors.ts';
import {
  isFolderOf,
  isTokenFile,
  sealToken,
  type TokenContent,
  unsealToken,
} from '../../../src/hsm/token-file.ts';
import { Secret } from '../../../src/secret/secret.ts';

/** The least work that is accepted: the tests open many files. */
const QUICK = { logN: 14, r: 8, p: 1 };
const HEADER = 64;
const PATH = '/root/hsm.token';
const passphrase = new Secret('battery-staple-correct', 'passphrase');

const FOLDER = 'ea6fe1a6-e0eb-5a72-790c-12907a59b71f';
const SERIAL = '790c12907a59b71f';
const OBJECT = '2cef9a67-0d14-ce90-46a7-95d716c083e9.object';

const content = (changes: Partial<TokenContent> = {}): TokenContent => ({
  label: 'HSM é',
  serial: SERIAL,
  folder: FOLDER,
  backend: 'file',
  files: ['generation', 'token.object', 'token.lock', OBJECT].map((path, index) => ({
    path,
    content: randomBytes(index * 300),
    modified: new Date('2026-11-22T06:23:40Z'),
  })),
  ...changes,
});

const errorOf = (sealed: Buffer, secret = passphrase) =>
  unsealToken(sealed, secret, PATH).then(
    () => undefined,
    (error: CapstanError) => error,
  );

async function refused(sealed: Buffer, why: string, secret = passphrase): Promise<void> {
  const error = await errorOf(sealed, secret);
  expect(error).toMatchObject({ code: 'token-file-unreadable', exit: 2 });
  expect(error?.message).toContain(PATH);
  expect(error?.message).toContain(why);
}

let token: TokenContent;
let sealed: Buffer;

beforeAll(async () => {
  token = content();
  sealed = await sealToken(token, passphrase, QUICK);
});

describe('a token file', () => {
  test('gives back what was put in', async () => {
    expect(await unsealToken(sealed, passphrase, PATH)).toEqual(token);
  });

  test('of a database is no other', async () => {
    const file = { path: 'sqlite3.db', content: randomBytes(9000), modified: new Date(0) };
    const database = content({ backend: 'db', files: [file] });
    expect(await unsealToken(await sealToken(database, passphrase, QUICK), passphrase, PATH)).toEqual(
      database,
    );
  });

  test('asks for 128 MiB of memory unless told', async () => {
    const usual = await sealToken(token, passphrase);
    expect([...usual.subarray(14, 20)]).toEqual([1, 17, 8, 1, 0, 0]);
    expect(await unsealToken(usual, passphrase, PATH)).toEqual(token);
  });

  test('never looks the same, and tells nothing of what is in it', async () => {
    const again = await sealToken(token, passphrase, QUICK);
    expect(again.subarray(20).includes(sealed.subarray(20, 52))).toBe(false);
    expect(again.subarray(64, 96).equals(sealed.subarray(64, 96))).toBe(false);
    for (const word of [SERIAL, FOLDER, 'HSM', 'token.object']) expect(sealed.includes(word)).toBe(false);
  });
});

describe('refused is', () => {
  test('another passphrase', async () => {
    for (const other of ['battery-staple-correcT', 'battery-staple', ' battery-staple-correct']) {
      await refused(sealed, 'passphrase', new Secret(other, 'passphrase'));
    }
  });

  test('every other byte of the header', async () => {
    for (let at = 0; at < HEADER; at++) {
      const changed = Buffer.from(sealed);
      changed[at] = (changed[at] ?? 0) ^ 1;
      expect(await errorOf(changed), `byte ${at}`).toMatchObject({ code: 'token-file-unreadable' });
    }
  }, 60_000);

  test('property: any flipped bit', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(sealed.length - 1), fc.nat(7), async (at, bit) => {
        const changed = Buffer.from(sealed);
        changed[at] = (changed[at] ?? 0) ^ (1 << bit);
        expect(await errorOf(changed)).toMatchObject({ code: 'token-file-unreadable' });
      }),
      { numRuns: 40, examples: [[sealed.length - 1, 0] as [number, number], [HEADER, 7]] },
    );
  }, 60_000);

  test('property: what was cut off, or has something behind it', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(sealed.length - 1), async (length) => {
        expect(await errorOf(sealed.subarray(0, length))).toMatchObject({ code: 'token-file-unreadable' });
      }),
      { numRuns: 20, examples: [[0], [HEADER], [HEADER + 15], [HEADER + 16], [sealed.length - 1]] },
    );
    await refused(Buffer.concat([sealed, Buffer.alloc(1)]), 'passphrase');
  });

  test('something else', async () => {
    await refused(Buffer.from('SQLite format 3\0'.repeat(100)), 'no token file');
  });

  test('a later version', async () => {
    const later = Buffer.from(sealed);
    later[14] = 2;
    await refused(later, 'version 2');
  });

  test.each([
    [15, 13],
    [15, 19],
    [15, 63],
    [15, 255],
    [16, 0],
    [16, 255],
    [17, 0],
    [17, 5],
  ])('a header that asks for too little or too much work: byte %i is %i', async (at, value) => {
    const changed = Buffer.from(sealed);
    changed[at] = value;
    const begun = performance.now();
    await refused(changed, 'too little or too much work');
    expect(performance.now() - begun).toBeLessThan(1000);
  });
});

describe('what is in a file with the right passphrase must be a token:', () => {
  const file = (path: string) => ({ path, content: Buffer.from('x'), modified: new Date(0) });
  const main = file('token.object');
  test.each<[string, Partial<TokenContent>]>([
    ['a file of another name', { files: [main, file('authorized_keys')] }],
    ['a path that climbs up', { files: [main, file('../token.lock')] }],
    ['a folder in the folder', { files: [main, file(`sub/${OBJECT}`)] }],
    ['no main file', { files: [file('generation')] }],
    ['the main file of the other backend', { backend: 'db' }],
    ['a backend that there is not', { backend: 'cloud' as 'db' }],
    ['a folder that is no UUID', { folder: 'tokens' }],
    ['a folder that climbs up', { folder: '../../etc' }],
    ['a folder of another serial', { serial: '790c12907a59b71e' }],
    ['a serial that is none', { serial: '' }],
    ['a label with a line break', { label: 'HSM\nroot' }],
    ['a label that is too long', { label: 'x'.repeat(33) }],
  ])('%s is refused', async (_, changes) => {
    await refused(await sealToken(content(changes), passphrase, QUICK), 'not a token of SoftHSM');
  });
});

test('a token that is too large is not exported', async () => {
  const large = { path: 'token.object', content: Buffer.alloc(64 * 1024 * 1024), modified: new Date(0) };
  await expect(sealToken(content({ files: [large] }), passphrase, QUICK)).rejects.toMatchObject({
    code: 'token-too-large',
    exit: 2,
  });
});

test('the folder of a serial is the one whose name ends in it', () => {
  expect(isFolderOf(FOLDER, SERIAL)).toBe(true);
  expect(isFolderOf(FOLDER, '12907a59b71f')).toBe(false);
  expect(isFolderOf(`x${FOLDER}`, SERIAL)).toBe(false);
  expect(isFolderOf(SERIAL, SERIAL)).toBe(false);
});

test('files of a token are known by their names', () => {
  const names = ['token.object', 'token.lock', 'generation', OBJECT, OBJECT.replace('object', 'lock')];
  for (const name of [...names, 'sqlite3.db', 'sqlite3.db-journal']) expect(isTokenFile(name)).toBe(true);
  const others = ['', '.', '..', `${OBJECT}~`, `.${OBJECT}`, `a/${OBJECT}`, 'token.object\n', 'passwd'];
  for (const name of others) expect(isTokenFile(name)).toBe(false);
});
