import { createHash, X509Certificate } from 'node:crypto';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { appeared, objectRef } from '../../../src/hsm/inventory.ts';
import { type Module, withModule } from '../../../src/hsm/module.ts';
import { possesses, proveKeys, verifiesWith } from '../../../src/hsm/proof.ts';
import { selectToken } from '../../../src/hsm/token.ts';
import {
  errorOf,
  hostWithLog,
  pin,
  removeWorkspace,
  run,
  SOFTHSM,
  type SoftTokens,
  softTokens,
  workspace,
} from './support.ts';

const NICKNAME = 'caSigningCert cert-pki-ca';
const OTHER = 'ocspSigningCert cert-pki-ca';
const FREE = 'auditSigningCert cert-pki-ca';

let directory: string;
let tokens: SoftTokens;
let certificate: Buffer;

beforeAll(() => {
  directory = workspace();
  tokens = softTokens(directory, 'store');
  tokens.add('hsm');
  certificate = tokens.keyAndCertificate('hsm', NICKNAME, 'a1');
  tokens.keyAndCertificate('hsm', OTHER, 'b2');
});
afterAll(() => removeWorkspace(directory));

/** Works on a token, logged in. */
function onToken<Result>(
  store: SoftTokens,
  label: string,
  work: (module: Module, slot: number) => Promise<Result>,
): Promise<Result> {
  return withModule(hostWithLog().host, { libraryPath: SOFTHSM, env: store.env }, async (module) => {
    const { slot } = selectToken(await module.tokens(), label);
    await module.login(slot, pin);
    return work(module, slot);
  });
}

describe('the objects of a token', () => {
  test('are read with what protects them', async () => {
    const objects = await onToken(tokens, 'hsm', (module, slot) => module.objects(slot));
    const key = objects.find((object) => object.class === 'private-key' && object.id === 'a1');
    expect(key).toMatchObject({
      label: NICKNAME,
      keyType: 'RSA',
      modulusBits: 2048,
      sensitive: true,
      extractable: false,
      alwaysSensitive: true,
      neverExtractable: true,
      local: true,
    });
    const stored = objects.find((object) => object.class === 'certificate' && object.id === 'a1');
    expect(stored?.value).toBe(certificate.toString('base64'));
  });

  test('are read in batches when there are many', async () => {
    const store = softTokens(directory, 'many');
    store.add('many');
    const file = join(directory, 'data');
    run('sh', ['-c', `echo data > ${file}`]);
    for (let index = 0; index < 3; index += 1) {
      store.tool('many', '--write-object', file, '--type', 'data', '--label', `data ${index}`);
    }
    // Copying the files of objects makes further objects, which is quicker than writing each.
    run('sh', [
      '-c',
      `cd ${store.directory}/tokens/*/ && for f in *-*.object; do for n in $(seq 60); do cp "$f" "$n-$f"; done; done`,
    ]);
    const found = await onToken(store, 'many', async (module, slot) => {
      return module.objects(slot);
    });
    expect(found.length).toBe(3 * 61);
    expect(found.every(({ class: kind, id }) => kind === 'data' && id === '')).toBe(true);
    expect(new Set(found.map(({ label }) => label)).size).toBe(3);
  });

  test('sign, and the certificate verifies it; another certificate does not', async () => {
    const data = Buffer.from('to be signed');
    const own = new X509Certificate(certificate);
    const [mine, others, possessed, foreign] = await onToken(tokens, 'hsm', async (module, slot) => [
      await module.sign(slot, 'a1', 'SHA256_RSA_PKCS', data),
      await module.sign(slot, 'b2', 'SHA256_RSA_PKCS', data),
      await possesses(module, slot, 'a1', own),
      await possesses(module, slot, 'b2', own),
    ]);
    expect(verifiesWith(own, data, mine)).toBe(true);
    expect(verifiesWith(own, data, others)).toBe(false);
    expect([possessed, foreign]).toEqual([true, false]);
  });

  test('that are not there cannot sign', async () => {
    const error = await errorOf(
      onToken(tokens, 'hsm', (module, slot) => module.sign(slot, 'ffff', 'RSA_PKCS', Buffer.alloc(8))),
    );
    expect(error.code).toBe('key-not-found');
  });

  test('prove the keys of the certificates, and tell which cannot be proven', async () => {
    const wanted = [{ nickname: NICKNAME }, { nickname: OTHER }];
    const proofs = await onToken(tokens, 'hsm', (module, slot) => proveKeys(module, slot, wanted));
    expect(proofs).toMatchObject([
      { nickname: NICKNAME, id: 'a1', modulusBits: 2048 },
      { nickname: OTHER, id: 'b2' },
    ]);
    const error = await errorOf(
      onToken(tokens, 'hsm', (module, slot) => proveKeys(module, slot, [...wanted, { nickname: FREE }])),
    );
    expect(error.code).toBe('keys-not-proven');
    expect(error.message).toContain(`${FREE}: there is no such certificate on the token`);
    expect(error.message).not.toContain(NICKNAME);
  });

  test('prove a certificate that lies elsewhere, by its public key, whatever the key’s label is', async () => {
    const store = softTokens(directory, 'renewed');
    store.add('renewed');
    const der = store.keyAndCertificate('renewed', NICKNAME, 'c3');
    store.tool('renewed', '--set-id', 'c4', '--type', 'privkey', '--id', 'c3');
    const prove = (wanted: Parameters<typeof proveKeys>[2]) =>
      onToken(store, 'renewed', async (module, slot) => {
        return proveKeys(module, slot, wanted);
      });
    expect(await prove([{ nickname: 'elsewhere', certificate: der }])).toMatchObject([{ id: 'c4' }]);
    const error = await errorOf(prove([{ nickname: 'foreign', certificate }]));
    expect(error.message).toContain('foreign: its private key is not on the token');
  });

  test('do not prove a key that was brought from outside', async () => {
    const store = softTokens(directory, 'imported');
    store.add('imported');
    const key = join(directory, 'outside');
    run('openssl', [
      'req',
      '-x509',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-keyout',
      `${key}.pem`,
      '-outform',
      'DER',
      '-out',
      `${key}.crt`,
      '-subj',
      '/CN=Outside',
    ]);
    run('openssl', [
      'pkcs8',
      '-topk8',
      '-nocrypt',
      '-in',
      `${key}.pem`,
      '-outform',
      'DER',
      '-out',
      `${key}.der`,
    ]);
    store.tool(
      'imported',
      '--write-object',
      `${key}.der`,
      '--type',
      'privkey',
      '--id',
      'd4',
      '--label',
      FREE,
    );
    store.tool('imported', '--write-object', `${key}.crt`, '--type', 'cert', '--id', 'd4', '--label', FREE);
    const error = await errorOf(
      onToken(store, 'imported', async (module, slot) => {
        return proveKeys(module, slot, [{ nickname: FREE }]);
      }),
    );
    expect(error.code).toBe('keys-not-proven');
    expect(error.message).toContain('was not generated on the token');
    expect(error.message).toContain('could once be extracted');
  });

  test('are deleted exactly: what appeared goes, what was there stays', async () => {
    const store = softTokens(directory, 'deleting');
    store.add('deleting');
    store.keyAndCertificate('deleting', OTHER, 'e5');
    const work = <Result>(job: (module: Module, slot: number) => Promise<Result>) =>
      onToken(store, 'deleting', job);
    const before = await work((module, slot) => module.objects(slot));
    store.keyAndCertificate('deleting', NICKNAME, 'f6');
    const made = appeared(before, await work((module, slot) => module.objects(slot))).map(objectRef);
    expect(made.map((object) => object.class).sort()).toEqual(['certificate', 'private-key', 'public-key']);

    const gone = { class: 'certificate', id: 'e5', label: 'not this label' } as const;
    const deleted = await work((module, slot) => module.deleteObjects(slot, [...made, gone]));
    expect(deleted.map(objectRef)).toEqual(expect.arrayContaining(made));
    expect(deleted.length).toBe(3);
    const after = await work((module, slot) => module.objects(slot));
    expect(after.map(objectRef)).toEqual(expect.arrayContaining(before.map(objectRef)));
    expect(after.length).toBe(before.length);
    expect(await work((module, slot) => module.deleteObjects(slot, made))).toEqual([]);
  });

  test('are not deleted when a reference fits two', async () => {
    const store = softTokens(directory, 'doubles');
    store.add('doubles');
    const file = join(directory, 'double');
    run('sh', ['-c', `echo data > ${file}`]);
    for (const _ of [1, 2])
      store.tool('doubles', '--write-object', file, '--type', 'data', '--label', 'same');
    await onToken(store, 'doubles', async (module, slot) => {
      const ref = { class: 'data', id: '', label: 'same' } as const;
      expect((await errorOf(module.deleteObjects(slot, [ref]))).code).toBe('object-ambiguous');
      expect((await module.objects(slot)).length).toBe(2);
    });
  });
});

describe('a key that is made', () => {
  test('has the id by which NSS finds it, unless told another one', async () => {
    tokens.add('made');
    const objects = await onToken(tokens, 'made', async (module, slot) => {
      await module.generateKeyPair(slot, { label: 'by NSS', bits: 2048 });
      await module.generateKeyPair(slot, { label: 'told', id: 'c3', bits: 2048 });
      return module.objects(slot);
    });
    const idsOf = (label: string) => objects.filter((one) => one.label === label).map(({ id }) => id);
    const { modulus = '' } = objects.find((one) => one.label === 'by NSS') ?? {};
    const id = createHash('sha1').update(Buffer.from(modulus, 'hex')).digest('hex');
    expect(idsOf('by NSS')).toEqual([id, id]);
    expect(idsOf('told')).toEqual(['c3', 'c3']);
  });
});
