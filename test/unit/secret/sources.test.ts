import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readSecretFile } from '../../../src/secret/secret-file.ts';
import {
  collectSecrets,
  readStandardInput,
  type SecretPlaces,
  type SecretRequest,
} from '../../../src/secret/sources.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'capstan-test-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function file(content: string | Uint8Array, mode = 0o600, name = 'password'): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  chmodSync(path, mode);
  return path;
}

const refused = (code: string, words = '') =>
  expect.objectContaining({ code, exit: 2, message: expect.stringContaining(words) });

describe('readSecretFile', () => {
  it.each([
    ['Secret.123\n', 'Secret.123'],
    ['no newline', 'no newline'],
    ['blanks  stay\n', 'blanks  stay'],
    ['%;#="\'\\$ é漢\n', '%;#="\'\\$ é漢'],
    ['x'.repeat(4095).concat('\n'), 'x'.repeat(4095)],
  ])('reads %j', (content, value) => {
    expect(readSecretFile(file(content))).toBe(value);
  });

  it.each([
    ['', 'is empty'],
    ['\n', 'is empty'],
    ['one\ntwo\n', 'more than one line'],
    ['one\n\n', 'more than one line'],
    ['dos\r\n', 'CR LF'],
    ['a\0b', 'NUL'],
    ['a\tb', 'control character'],
    ['\ufeffx', 'byte order mark'],
    ['caf\ufffd', 'U+FFFD'],
    ['x'.repeat(4097), 'more than 4096 bytes'],
    [Uint8Array.of(0x61, 0xff), 'not UTF-8'],
  ])('refuses %j: %s', (content, words) => {
    const path = file(content);
    expect(() => readSecretFile(path)).toThrow(refused('secret-file-unusable', words));
    expect(() => readSecretFile(path)).toThrow(path);
  });

  it.each([0o640, 0o604, 0o644, 0o620, 0o602])('refuses mode %o and says the chmod to run', (mode) => {
    const path = file('Secret.123', mode);
    expect(() => readSecretFile(path)).toThrow(
      expect.objectContaining({
        code: 'secret-file-exposed',
        next: expect.stringContaining(`chmod 600 ${path}`),
      }),
    );
    expect(readSecretFile(path, { exposed: true })).toBe('Secret.123');
  });

  it.each([0o400, 0o600, 0o700])('takes mode %o', (mode) => {
    expect(readSecretFile(file('Secret.123', mode))).toBe('Secret.123');
  });

  it('refuses the file of another user', () => {
    const path = file('Secret.123');
    chownSync(path, 65534, 65534);
    expect(() => readSecretFile(path)).toThrow(refused('secret-file-exposed', 'uid 65534'));
  });

  it('follows a symbolic link to a good file, and judges what it leads to', () => {
    const link = join(folder, 'link');
    symlinkSync(file('Secret.123'), link);
    expect(readSecretFile(link)).toBe('Secret.123');
    chmodSync(join(folder, 'password'), 0o644);
    expect(() => readSecretFile(link)).toThrow(refused('secret-file-exposed'));
  });

  it('refuses a missing file, a directory, a device and a pipe without waiting', () => {
    const pipe = join(folder, 'pipe');
    execFileSync('mkfifo', [pipe]);
    expect(() => readSecretFile(join(folder, 'none'))).toThrow(refused('secret-file-missing', 'none'));
    for (const path of [folder, '/dev/zero', pipe]) {
      expect(() => readSecretFile(path)).toThrow(refused('secret-file-unusable', 'not a regular file'));
    }
  });
});

describe('collectSecrets', () => {
  const request = (given: Partial<SecretRequest> = {}): SecretRequest => ({
    what: 'token password',
    option: '--token-password',
    ...given,
  });
  const places = (given: Partial<SecretPlaces> = {}): SecretPlaces => ({
    readInput: async () => Buffer.from('from input\n'),
    ...given,
  });
  const token = async (given: Partial<SecretRequest>, from: Partial<SecretPlaces> = {}) =>
    (await collectSecrets({ token: request(given) }, places(from))).token.reveal();

  it('takes the option, the file and standard input', async () => {
    expect(await token({ value: 'from option' })).toBe('from option');
    expect(await token({ file: file('from file\n') })).toBe('from file');
    expect(await token({ file: '-' })).toBe('from input');
  });

  it('takes a credential of the name of the option, which comes after the option', async () => {
    mkdirSync(join(folder, 'credentials'));
    file('from credential', 0o440, 'credentials/token-password');
    const credentials = join(folder, 'credentials');
    expect(await token({}, { credentials })).toBe('from credential');
    expect(await token({ value: 'from option' }, { credentials })).toBe('from option');
  });

  it('asks a person only for what is missing, once each', async () => {
    const asked: string[] = [];
    const ask = async ({ what }: SecretRequest) => `typed ${asked.push(what)}`;
    const { ds, admin } = await collectSecrets(
      {
        token: request({ value: 'given' }),
        ds: request({ what: 'first', option: '--a' }),
        admin: request({ what: 'second', option: '--b' }),
      },
      places({ ask }),
    );
    expect(asked).toEqual(['first', 'second']);
    expect([ds.reveal(), admin.reveal()]).toEqual(['typed 1', 'typed 2']);
  });

  it('names all that is missing when there is nobody to ask', async () => {
    const wanted = {
      token: request(),
      ds: request({ what: 'Directory Manager password', option: '--ds-password' }),
    };
    await expect(collectSecrets(wanted, places())).rejects.toMatchObject({
      code: 'secrets-missing',
      message: expect.stringMatching(/token password.*Directory Manager password/),
      next: expect.stringMatching(/--token-password-file.*--ds-password-file/),
    });
  });

  it('asks nobody when a file is bad', async () => {
    const ask = async () => expect.unreachable('a question was asked');
    const wanted = { ds: request(), token: request({ file: join(folder, 'none') }) };
    await expect(collectSecrets(wanted, places({ ask }))).rejects.toThrow(refused('secret-file-missing'));
  });

  it('refuses a secret that is given twice, and standard input for two', async () => {
    await expect(token({ value: 'x', file: 'y' })).rejects.toThrow(
      refused('secret-given-twice', '--token-password-file'),
    );
    const both = { one: request({ file: '-' }), two: request({ file: '-', option: '--ds-password' }) };
    await expect(collectSecrets(both, places())).rejects.toThrow(
      refused('secret-input-twice', '--ds-password-file'),
    );
  });

  it('reports everything that is wrong together', async () => {
    const wanted = {
      ds: request({ value: 'short', shortest: 8 }),
      admin: request({ file: join(folder, 'none') }),
      token: request(),
    };
    await expect(collectSecrets(wanted, places())).rejects.toMatchObject({
      code: 'preflight-failed',
      failures: [{ code: 'secret-too-short' }, { code: 'secret-file-missing' }, { code: 'secrets-missing' }],
    });
  });

  it('counts characters, not bytes, and never repeats the value', async () => {
    expect(await token({ value: 'äöüßäöüß', shortest: 8 })).toBe('äöüßäöüß');
    const short = token({ value: 'Pa55wörd'.slice(1), shortest: 8 });
    await expect(short).rejects.toThrow(refused('secret-too-short', 'fewer than 8'));
    await expect(short).rejects.not.toThrow('a55w');
    await expect(token({ value: '' })).rejects.toThrow(refused('secret-unusable', 'empty'));
    await expect(token({ value: 'a\nb' })).rejects.toThrow(refused('secret-unusable', 'control'));
    await expect(token({ value: 'x'.repeat(5000) })).rejects.toThrow(refused('secret-too-long', '4096'));
  });
});

describe('a secret that another program would take for something else', () => {
  const secret = async (given: Partial<SecretRequest>) => {
    const request = { what: 'admin password', option: '--admin-password', ...given };
    const { admin } = await collectSecrets({ admin: request }, { readInput: async () => Buffer.alloc(0) });
    return admin.reveal();
  };

  it.each([' blank', 'blank ', 'backslash\\'])('%j is refused', async (value) => {
    await expect(secret({ value })).rejects.toThrow(refused('secret-unusable', '--admin-password'));
  });

  it('begins with a word in braces, when it is chosen now', async () => {
    await expect(secret({ value: '{SSHA}abcdefgh', ofDirectory: true })).rejects.toThrow(
      refused('secret-unusable', '389 Directory Server'),
    );
    expect(await secret({ value: '{SSHA}abcdefgh' })).toBe('{SSHA}abcdefgh');
    expect(await secret({ value: '{}abcdefgh', ofDirectory: true })).toBe('{}abcdefgh');
  });
});

describe('readStandardInput', () => {
  const never = new AbortController().signal;

  it('reads to the end', async () => {
    const input = Readable.from([Buffer.from('Secret'), Buffer.from('.123\n')]);
    expect(Buffer.from(await readStandardInput(never, input)).toString()).toBe('Secret.123\n');
  });

  it('reads not much more than a secret can have, of an input without end', async () => {
    const endless = Readable.from(
      (function* () {
        for (;;) yield Buffer.alloc(1000, 'x');
      })(),
    );
    expect((await readStandardInput(never, endless)).length).toBeLessThan(6000);
  });

  it('asks nobody to type where it shows', async () => {
    const terminal = Object.assign(new PassThrough(), { isTTY: true });
    await expect(readStandardInput(never, terminal)).rejects.toEqual(refused('secret-input-terminal'));
  });

  it('waits until it is interrupted', async () => {
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 50);
    await expect(readStandardInput(controller.signal, new PassThrough())).rejects.toMatchObject({
      code: 'interrupted',
      exit: 130,
    });
  });
});
