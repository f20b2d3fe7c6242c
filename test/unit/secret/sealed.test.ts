import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CONTENT_KEY, parseSealed, sealedFile } from '../../../src/secret/sealed.ts';
import { Secret } from '../../../src/secret/secret.ts';

const CONTEXT = { run: 'run-1', host: 'ca1.example.test' };
const WRAPPED = { hash: 'SHA-256', key: Buffer.from('wrapped') } as const;
const key = randomBytes(CONTENT_KEY);

function seal(values: Record<string, string>): string {
  const secrets = Object.entries(values).map(([name, value]) => [name, new Secret(value, name)] as const);
  const text = sealedFile(key, WRAPPED, CONTEXT, Object.fromEntries(secrets));
  for (const [, secret] of secrets) secret.forget();
  return text;
}

function opened(text: string, context = CONTEXT, contentKey = key): Record<string, string> {
  const secrets = [...parseSealed(text).open(contentKey, context)];
  const values = Object.fromEntries(secrets.map(([name, secret]) => [name, secret.reveal()]));
  for (const [, secret] of secrets) secret.forget();
  return values;
}

const file = seal({ 'ds-password': 'Canary-ds', 'admin-password': 'Canary-admin' });

/** The file with one of its members changed. */
function changed(change: (file: SealedJson) => void): string {
  const json = JSON.parse(file) as SealedJson;
  change(json);
  return JSON.stringify(json);
}

interface SealedJson {
  version: number;
  cipher: string;
  wrapping: { mechanism: string; hash: string; mgf: string; key: string };
  secrets: { name: string; nonce: string; text: string; tag: string }[];
}

describe('a file of sealed secrets', () => {
  it('opens with its key, and gives back any secret', () => {
    const names = fc.constantFrom('ds-password', 'admin-password', 'token-password');
    const values = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 60 });
    fc.assert(
      fc.property(fc.dictionary(names, values), (given) => {
        expect(opened(seal(given))).toEqual({ ...given });
      }),
    );
  });

  it('names its mechanisms, and holds no secret and not the content key', () => {
    const { wrapping, cipher } = JSON.parse(file) as SealedJson;
    expect(wrapping).toMatchObject({ mechanism: 'RSA-OAEP', hash: 'SHA-256', mgf: 'MGF1-SHA-256' });
    expect(cipher).toBe('aes-256-gcm');
    expect(file).not.toContain('Canary');
    for (const coding of ['base64', 'hex'] as const) {
      expect(file).not.toContain(Buffer.from('Canary').toString(coding).slice(0, 8));
      expect(file).not.toContain(key.toString(coding));
    }
    expect(parseSealed(file).wrapped).toEqual(WRAPPED);
  });

  it('is another one each time', () => {
    const tags = new Set(
      Array.from({ length: 20 }, () => (JSON.parse(seal({ a: 'b' })) as SealedJson).secrets[0]?.nonce),
    );
    expect(tags.size).toBe(20);
  });

  it.each([
    ['another run', { ...CONTEXT, run: 'run-2' }],
    ['another host', { ...CONTEXT, host: 'ca2.example.test' }],
  ])('does not open for %s', (_, context) => {
    expect(() => opened(file, context)).toThrow(/was not sealed by this installation, or changed/);
  });

  it('does not open with another key', () => {
    expect(() => opened(file, CONTEXT, randomBytes(CONTENT_KEY))).toThrow(/changed since/);
  });

  it('does not give one secret for another', () => {
    const swapped = changed(({ secrets }) => {
      const [first, second] = secrets;
      if (first && second) [first.name, second.name] = [second.name, first.name];
    });
    expect(() => opened(swapped)).toThrow(/changed since/);
  });

  it('does not open when any of its bits was turned', () => {
    const fields = fc.constantFrom('nonce', 'text', 'tag');
    fc.assert(
      fc.property(fields, fc.nat(1), fc.nat(), fc.nat(7), (field, index, place, bit) => {
        const turned = changed(({ secrets }) => {
          const secret = secrets[index];
          if (!secret) throw new Error('there is none');
          const bytes = Buffer.from(secret[field as 'nonce'], 'base64');
          bytes.writeUInt8(bytes.readUInt8(place % bytes.length) ^ (1 << bit), place % bytes.length);
          secret[field as 'nonce'] = bytes.toString('base64');
        });
        expect(() => opened(turned)).toThrow(/changed since/);
      }),
    );
  });

  it('does not open with a tag that was cut short', () => {
    const short = changed(({ secrets }) => {
      for (const one of secrets) one.tag = Buffer.from(one.tag, 'base64').subarray(0, 4).toString('base64');
    });
    expect(() => opened(short)).toThrow(/changed since/);
  });

  it('is not read where it was cut off anywhere', () => {
    fc.assert(
      fc.property(fc.nat(file.trimEnd().length - 1), (length) => {
        expect(() => parseSealed(file.slice(0, length))).toThrow();
      }),
    );
  });

  it.each<[string, (file: SealedJson) => void]>([
    ['version', (json) => Object.assign(json, { version: 2 })],
    ['cipher', (json) => Object.assign(json, { cipher: 'aes-256-ecb' })],
    ['mechanism', ({ wrapping }) => Object.assign(wrapping, { mechanism: 'RSA-PKCS' })],
    ['hash', ({ wrapping }) => Object.assign(wrapping, { hash: 'MD5', mgf: 'MGF1-MD5' })],
    ['mask', ({ wrapping }) => Object.assign(wrapping, { mgf: 'MGF1-SHA-1' })],
    ['secrets', (json) => Object.assign(json, { secrets: [null] })],
    ['wrapping', (json) => Object.assign(json, { wrapping: null })],
  ])('is not read with another %s', (_, change) => {
    expect(() => parseSealed(changed(change))).toThrow(/not in a form that this version/);
  });

  it.each(['null', '[]', '1', '"x"', '{}'])('is not %s', (text) => {
    expect(() => parseSealed(text)).toThrow(/not in a form that this version/);
  });
});
