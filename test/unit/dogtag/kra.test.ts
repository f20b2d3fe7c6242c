import { execFileSync } from 'node:child_process';
import { constants, createCipheriv, createDecipheriv, privateDecrypt, randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { archiveProof, archiveSecret, recoverProof, recoverSecret } from '../../../src/dogtag/kra.ts';
import type { CaSession } from '../../../src/dogtag/rest.ts';

let folder: string;
let key: string;
let certificate: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'capstan-kra-'));
  const [keyFile, file] = [join(folder, 'key'), join(folder, 'crt')];
  const words = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=transport', '-days', '2'];
  execFileSync('openssl', [...words, '-keyout', keyFile, '-out', file], { stdio: 'ignore' });
  [key, certificate] = [readFileSync(keyFile, 'utf8'), readFileSync(file, 'utf8')];
});

afterAll(() => rmSync(folder, { recursive: true }));

/** The far end of what travels, which RSA-OAEP has in no lab: it keeps what it can decrypt, as the KRA does. */
function farEnd(oaep: boolean): { session: CaSession; kept: Map<string, { name: string; data: Buffer }> } {
  const kept = new Map<string, { name: string; data: Buffer }>();
  const unwrap = (wrapped: string) =>
    privateDecrypt(
      oaep
        ? { key, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' }
        : { key, padding: constants.RSA_PKCS1_PADDING },
      Buffer.from(wrapped, 'base64'),
    );
  const urlOf = (id: string) => `https://ca1.example.test:8443/kra/rest/agent/keys/${id}`;
  const post = async (path: string, body: unknown) => {
    const { Attributes } = body as { Attributes: { Attribute: { name: string; value: string }[] } };
    const given = Object.fromEntries(Attributes.Attribute.map(({ name, value }) => [name, value]));
    const session = unwrap(given.transWrappedSessionKey ?? '');
    if (path === '/agent/keyrequests') {
      const iv = Buffer.from(given.symmetricAlgorithmParams ?? '', 'base64');
      const cipher = createDecipheriv('aes-128-cbc', session, iv);
      const data = Buffer.concat([
        cipher.update(Buffer.from(given.wrappedPrivateData ?? '', 'base64')),
        cipher.final(),
      ]);
      const id = String(kept.size + 1);
      kept.set(id, { name: given.clientKeyID ?? '', data });
      return { RequestInfo: { requestStatus: 'complete', keyURL: urlOf(id) } };
    }
    const iv = randomBytes(16);
    const cipher = createCipheriv('aes-128-cbc', session, iv);
    const data = Buffer.concat([cipher.update(kept.get(given.keyId ?? '')?.data ?? ''), cipher.final()]);
    return { wrappedPrivateData: data.toString('base64'), nonceData: iv.toString('base64') };
  };
  const get = async (path: string) => {
    if (path === '/config/cert/transport') return { Encoded: certificate };
    const name = new URL(path, 'https://kra').searchParams.get('clientKeyID');
    const found = [...kept].filter(([, one]) => one.name === name);
    return { entries: found.map(([id]) => ({ keyURL: urlOf(id) })) };
  };
  return { session: { get, post, close: () => {} }, kept };
}

describe.each([false, true])('with RSA-OAEP: %s', (oaep) => {
  test('what is archived is what was given, and comes back byte for byte', async () => {
    const { session, kept } = farEnd(oaep);
    const secret = randomBytes(300);
    const id = await archiveSecret({ session, oaep }, 'mine', secret);
    expect(kept.get(id)).toEqual({ name: 'mine', data: secret });
    expect(await recoverSecret({ session, oaep }, id)).toEqual(secret);
  });

  test('the text of the proof is archived once, and is what it was', async () => {
    const { session, kept } = farEnd(oaep);
    const id = await archiveProof({ session, oaep });
    expect(await archiveProof({ session, oaep })).toBe(id);
    expect(await recoverProof({ session, oaep })).toBe(id);
    kept.set(id, { name: 'capstan-proof', data: Buffer.from('something else') });
    await expect(recoverProof({ session, oaep })).rejects.toMatchObject({ code: 'recovery-failed' });
  });
});

test('a request that is complete and has made no key has failed', async () => {
  const { session } = farEnd(false);
  const silent = { ...session, post: async () => ({ RequestInfo: { requestStatus: 'complete' } }) };
  await expect(
    archiveSecret({ session: silent, oaep: false }, 'mine', Buffer.from('x')),
  ).rejects.toMatchObject({ code: 'archival-failed' });
});

test('where nothing was archived for it there is no proof', async () => {
  const { session } = farEnd(false);
  await expect(recoverProof({ session, oaep: false })).rejects.toMatchObject({ code: 'proof-missing' });
});
