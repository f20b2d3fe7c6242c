/** Passwords that a real token seals: opened by another process, by nobody without the key, and gone with it. */
import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  keptSecrets,
  openKept,
  removeSealed,
  type SealingFacts,
  writeSealed,
} from '../../../src/flow/sealed.ts';
import { type Module, withModule } from '../../../src/hsm/module.ts';
import { sealingRefusals } from '../../../src/hsm/requirements.ts';
import { makeSealingKey, sealingObjects } from '../../../src/hsm/sealing.ts';
import { selectToken } from '../../../src/hsm/token.ts';
import { sealedFile } from '../../../src/secret/sealed.ts';
import { Secret } from '../../../src/secret/secret.ts';
import {
  errorOf,
  failuresOf,
  hostWithLog,
  PIN,
  pin,
  removeWorkspace,
  SOFTHSM,
  type SoftTokens,
  softTokens,
  workspace,
} from './support.ts';

const KEY = { id: '5ea1', label: 'Capstan passwords 5ea1' };
const VALUES = { ds: 'Canary ds \\ ü "quoted"', admin: 'Canary-admin-%s' };

let directory: string;
let store: SoftTokens;
let file: string;
let facts: SealingFacts;
let sealingLog: string[];

beforeAll(async () => {
  directory = workspace();
  store = softTokens(directory, 'store');
  store.add('hsm');
  store.keyAndCertificate('hsm', 'caSigningCert cert-pki-ca', 'a1');
  file = join(directory, 'passwords.sealed');
  const { host, lines } = hostWithLog();
  sealingLog = lines;
  facts = await onToken(
    store,
    async (module, slot, tokenSerial) => {
      const made = { ...{ run: 'run-1', host: 'ca1' }, keyId: KEY.id, keyLabel: KEY.label, tokenSerial };
      const { plain, wrapped } = await makeSealingKey(module, slot, { ...KEY, bits: 2048 });
      const secrets = {
        'ds-password': new Secret(VALUES.ds, 'a'),
        'admin-password': new Secret(VALUES.admin, 'b'),
      };
      await writeSealed(sealedFile(plain, wrapped, made, secrets), file);
      return made;
    },
    host,
  );
});
afterAll(() => removeWorkspace(directory));

let sealed: string;
beforeEach(() => {
  sealed = readFileSync(file, 'utf8');
});

function onToken<Result>(
  { env }: SoftTokens,
  work: (module: Module, slot: number, serial: string) => Promise<Result>,
  host = hostWithLog().host,
): Promise<Result> {
  return withModule(host, { libraryPath: SOFTHSM, env }, async (module) => {
    const { slot, serial } = selectToken(await module.tokens(), 'hsm');
    await module.login(slot, pin);
    return work(module, slot, serial);
  });
}

/** Opens the file as the second stage does, in a module process of its own. */
function open(
  changes: { facts?: Partial<SealingFacts>; from?: SoftTokens; file?: string; pin?: Secret } = {},
) {
  const token = { label: 'hsm', libraryPath: SOFTHSM };
  const as = { env: (changes.from ?? store).env };
  const given = { ...facts, ...changes.facts };
  return openKept(hostWithLog().host, given, changes.pin ?? pin, { token, as, file: changes.file ?? file });
}

/** A file beside the sealed one, with this content. */
function other(text: string): string {
  const path = join(directory, 'other.sealed');
  writeFileSync(path, text);
  return path;
}

async function expectUnusable(opening: Promise<unknown>, words: RegExp): Promise<void> {
  const error = await errorOf(opening);
  expect(error).toMatchObject({ code: 'sealed-passwords-unusable', exit: 2 });
  expect(error.message).toMatch(words);
  expect(error.next).toContain('--ds-password-file');
  expect(`${error.message}${error.next}`).not.toMatch(/Canary/);
}

describe('passwords that a token seals', () => {
  test('are opened by the token in another process', async () => {
    const { ds, admin } = await open();
    expect([ds.reveal(), admin.reveal()]).toEqual([VALUES.ds, VALUES.admin]);
  });

  test('lie in a file that names the hash which the token knows, for its owner alone, and in no log', () => {
    expect(JSON.parse(sealed).wrapping).toMatchObject({ mechanism: 'RSA-OAEP', hash: 'SHA-1' });
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(sealed).not.toContain('Canary');
    expect(sealingLog.join('\n')).not.toMatch(/Canary/);
    expect(sealingLog.join('\n')).not.toContain(PIN);
  });

  test('are sealed with a key that decrypts only, was made on the token and cannot leave it', async () => {
    const objects = await onToken(store, (module, slot) => module.objects(slot));
    const key = objects.find(({ class: kind, id }) => kind === 'private-key' && id === KEY.id);
    const safe = {
      sensitive: true,
      alwaysSensitive: true,
      extractable: false,
      neverExtractable: true,
      local: true,
    };
    expect(key).toMatchObject({ label: KEY.label, modulusBits: 2048, ...safe });
    const usage = store.tool('hsm', '--list-objects', '--type', 'privkey', '--id', KEY.id);
    expect(usage).toMatch(/Usage:\s+decrypt\n/);
    const error = await errorOf(
      onToken(store, (module, slot) => module.sign(slot, KEY.id, 'SHA256_RSA_PKCS', Buffer.from('x'))),
    );
    expect(error.code).toMatch(/^pkcs11-/);
  });

  test('are not opened by the key of a CA', async () => {
    const opened = Buffer.from(JSON.parse(sealed).wrapping.key, 'base64');
    const error = await errorOf(
      onToken(store, (module, slot) => module.decrypt(slot, 'a1', 'SHA-1', opened)),
    );
    expect(error.code).toMatch(/^pkcs11-/);
  });

  test('do not overwrite a file that is there', async () => {
    await expect(writeSealed('x', file)).rejects.toMatchObject({ code: 'EEXIST' });
    expect(readFileSync(file, 'utf8')).toBe(sealed);
  });

  test.each([
    ['cut off', () => sealed.slice(0, 300), /cut off or changed/],
    ['empty', () => '', /cut off or changed/],
    ['of another form', () => '{"version": 9}', /form that this version/],
    ['with another wrapped key', () => withKey((key) => key.map((byte) => byte ^ 1)), /does not open it/],
    ['with a shorter wrapped key', () => withKey((key) => key.subarray(1)), /does not open it/],
    ['with another secret', () => sealed.replace(/"text": "../, '"text": "AB'), /changed since/],
  ])('cannot be used from a file that is %s', async (_, content, words) => {
    await expectUnusable(open({ file: other(content()) }), words);
  });

  function withKey(change: (key: Buffer) => Uint8Array): string {
    const json = JSON.parse(sealed);
    json.wrapping.key = Buffer.from(change(Buffer.from(json.wrapping.key, 'base64'))).toString('base64');
    return JSON.stringify(json);
  }

  test('cannot be used where the file is missing or too long', async () => {
    await expectUnusable(open({ file: join(directory, 'none') }), /ENOENT|no such file/);
    await expectUnusable(open({ file: other(' '.repeat(70_000)) }), /70000 bytes/);
  });

  test('belong to one run and one host', async () => {
    await expectUnusable(open({ facts: { run: 'run-2' } }), /not sealed by this installation/);
    await expectUnusable(open({ facts: { host: 'ca2' } }), /not sealed by this installation/);
  });

  test('cannot be opened by another token of the same name', async () => {
    const foreign = softTokens(directory, 'foreign');
    foreign.add('hsm');
    await expectUnusable(open({ from: foreign }), /does not have the key .* whose token is/);
  });

  test('are not opened with a wrong PIN, which is tried once', async () => {
    const wrong = new Secret('Wrong-Horse-7', 'token password');
    const token = { label: 'hsm', libraryPath: SOFTHSM };
    const events: string[] = [];
    const looking = keptSecrets(
      hostWithLog().host,
      facts,
      wrong,
      { token, as: { env: store.env }, file },
      ({ type }) => events.push(type),
    );
    expect(await failuresOf(looking)).toMatchObject([{ code: 'pin-incorrect' }]);
    await expect(looking).rejects.toMatchObject({ exit: 2 });
    expect(events).toEqual(['checks', 'check-started', 'check-failed']);
  });

  test('need a token that decrypts by RSA-OAEP', async () => {
    const mechanisms = await onToken(store, (module, slot) => module.mechanisms(slot));
    expect(sealingRefusals('hsm', mechanisms, 3072)).toEqual([]);
    const fewer = mechanisms.filter(({ type }) => type !== 9);
    expect(sealingRefusals('hsm', fewer, 3072)).toMatchObject([{ code: 'mechanism-missing', exit: 2 }]);
    const narrow = mechanisms.map((one) => (one.type === 9 ? { ...one, maxKeySize: 2048 } : one));
    expect(sealingRefusals('hsm', narrow, 3072)).toMatchObject([{ code: 'key-size-unsupported' }]);
  });

  test('are gone for good when their key is deleted, and nothing else on the token is', async () => {
    const deleted = await onToken(store, (module, slot) => module.deleteObjects(slot, sealingObjects(KEY)));
    expect(deleted.map((one) => one.class)).toEqual(['private-key', 'public-key']);
    await expectUnusable(open(), /does not have the key/);
    const left = await onToken(store, (module, slot) => module.objects(slot));
    expect(left.map(({ id }) => id)).toEqual(['a1', 'a1', 'a1']);
    expect(await onToken(store, (module, slot) => module.deleteObjects(slot, sealingObjects(KEY)))).toEqual(
      [],
    );
    await removeSealed(file);
    await removeSealed(file);
    expect(() => statSync(file)).toThrow(/ENOENT/);
    rmSync(join(directory, 'other.sealed'), { force: true });
    writeFileSync(file, sealed);
  });
});
