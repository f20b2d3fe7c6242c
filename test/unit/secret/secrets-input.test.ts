import { PassThrough, Readable } from 'node:stream';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { flawOfSecret } from '../../../src/secret/secret-file.ts';
import { LONGEST_SECRETS_INPUT, parseSecrets, SECRET_NAMES } from '../../../src/secret/secrets-input.ts';
import { collectSecrets, isGiven, readStandardInput } from '../../../src/secret/sources.ts';

const parse = (text: string) => parseSecrets(Buffer.from(text));
const token = { what: 'token password', option: '--token-password' };
const readInput = async () => Buffer.from('from input\n');

describe('parseSecrets', () => {
  it('reads what JSON can write of any secrets, and each prints as no more than that', () => {
    const secret = fc.string({ unit: 'grapheme', minLength: 1 }).filter((text) => !flawOfSecret(text));
    const some = fc.dictionary(fc.constantFrom(...SECRET_NAMES), secret);
    fc.assert(
      fc.property(some, (given) => {
        const found = parse(JSON.stringify(given));
        expect(Object.fromEntries([...found].map(([name, one]) => [name, one.reveal()]))).toEqual({
          ...given,
        });
        expect(JSON.stringify([...found.values()])).toBe(JSON.stringify([...found].map(() => '[secret]')));
        for (const one of found.values()) one.forget();
      }),
    );
  });

  it.each([
    ['', 'no JSON'],
    ['Canary-2026', 'no JSON'],
    ['{"token-password": "Canary-2026"', 'no JSON'],
    ['["Canary-2026"]', 'no JSON object'],
    ['"Canary-2026"', 'no JSON object'],
    ['null', 'no JSON object'],
    ['{"Canary-2026": "x"}', 'none of a secret'],
    ['{"token-password": ["Canary-2026"]}', '"token-password" is no text'],
    ['{"token-password": 2026}', '"token-password" is no text'],
    ['{"token-password": ""}', '"token-password" is empty'],
    ['{"ds-password": "Canary\\n2026"}', '"ds-password" holds a control character'],
  ])('refuses %j, and repeats nothing of it', (text, words) => {
    const refused = { code: 'secrets-input-malformed', exit: 2, message: expect.stringContaining(words) };
    expect(() => parse(text)).toThrow(expect.objectContaining(refused));
    expect(() => parse(text)).not.toThrow(
      expect.objectContaining({ message: expect.stringContaining('Canary') }),
    );
  });

  it('refuses bytes that are no UTF-8, and what is too long', () => {
    const code = 'secrets-input-malformed';
    expect(() => parseSecrets(Uint8Array.of(0x22, 0xff, 0x22))).toThrow(expect.objectContaining({ code }));
    const long = JSON.stringify({ 'token-password': 'x'.repeat(LONGEST_SECRETS_INPUT) });
    expect(() => parse(long)).toThrow(expect.objectContaining({ code }));
  });
});

describe('secrets that are handed over together', () => {
  const handed = parse('{"token-password": "handed over", "join-secret": "not asked for"}');

  it('are taken by their names', async () => {
    expect((await collectSecrets({ token }, { readInput, handed })).token.reveal()).toBe('handed over');
    expect(isGiven(token, { handed })).toBe(true);
    expect(isGiven({ what: 'admin password', option: '--admin-password' }, { handed })).toBe(false);
  });

  it('come before a credential of systemd, and a person is asked for what is missing', async () => {
    const ask = async () => 'typed by hand';
    const admin = { what: 'admin password', option: '--admin-password' };
    const found = await collectSecrets(
      { token, admin },
      { readInput, handed, ask, credentials: '/nonexistent' },
    );
    expect([found.token.reveal(), found.admin.reveal()]).toEqual(['handed over', 'typed by hand']);
  });

  it('are given once', async () => {
    for (const twice of [{ value: 'again' }, { file: '/nonexistent' }]) {
      await expect(
        collectSecrets({ token: { ...token, ...twice } }, { readInput, handed }),
      ).rejects.toMatchObject({
        code: 'secret-given-twice',
      });
    }
    const other = { what: 'admin password', option: '--admin-password', file: '-' };
    await expect(collectSecrets({ token, other }, { readInput, handed })).rejects.toMatchObject({
      code: 'secret-input-twice',
    });
  });

  it('are read to the end, however long, and no further than they may be', async () => {
    const { signal } = new AbortController();
    const whole = Buffer.alloc(LONGEST_SECRETS_INPUT, 'x');
    expect(await readStandardInput(signal, Readable.from([whole]), LONGEST_SECRETS_INPUT)).toEqual(whole);
    const endless = new PassThrough();
    endless.write(Buffer.alloc(LONGEST_SECRETS_INPUT + 1, 'x'));
    const read = await readStandardInput(signal, endless, LONGEST_SECRETS_INPUT);
    expect(read.length).toBeGreaterThan(LONGEST_SECRETS_INPUT);
  });
});
