/**
 * Archives secrets with a KRA and recovers them, the way a client of the KRA does: what travels is encrypted for one
 * request, with a key that is wrapped with the KRA's transport key. The storage key wraps what the KRA keeps.
 */
import {
  constants,
  createCipheriv,
  createDecipheriv,
  publicEncrypt,
  randomBytes,
  X509Certificate,
} from 'node:crypto';
import { failure } from '../errors.ts';
import type { CaSession } from './rest.ts';

/** The name under which Capstan archives a text that is no secret, to prove with its recovery that a KRA works. */
export const PROOF_NAME = 'capstan-proof';
/** That text. */
const PROOF_TEXT = 'Archived by Capstan to prove that the keys of the KRA work.';

/** How to talk to a KRA. */
export interface KraClient {
  /** With the KRA, as one of its agents; {@link import('./rest.ts').kraPath}. */
  session: CaSession;
  /** Whether keys are wrapped with RSA-OAEP. */
  oaep: boolean;
}

/** 128 bits: what the KRA takes for a session key without further parameters (`sessionKeyLength` of its CS.cfg). */
const KEY_BYTES = 16;
const CIPHER = 'aes-128-cbc';
/** AES-128-CBC. Dogtag 10 takes it in one form where it archives and in another where it recovers (10.10.2, seen). */
const AES_128_CBC = { archive: '{2 16 840 1 101 3 4 1 2}', recover: '2.16.840.1.101.3.4.1.2' };

/**
 * Archives a secret.
 * @param name the client's own name of it (`clientKeyID`)
 * @returns the id of the key; a request without one has failed, although the KRA calls it complete (10.10.2, seen)
 * @throws CapstanError `archival-failed`, `kra-refused`, `kra-unreachable`, `kra-login-refused`
 */
export async function archiveSecret(client: KraClient, name: string, secret: Buffer): Promise<string> {
  const key = await passingKey(client);
  const iv = randomBytes(16);
  const cipher = createCipheriv(CIPHER, key.plain, iv);
  const data = Buffer.concat([cipher.update(secret), cipher.final()]);
  const answer = await client.session.post('/agent/keyrequests', {
    ClassName: 'com.netscape.certsrv.key.KeyArchivalRequest',
    Attributes: attributes({
      clientKeyID: name,
      dataType: 'passPhrase',
      algorithmOID: AES_128_CBC.archive,
      symmetricAlgorithmParams: iv.toString('base64'),
      wrappedPrivateData: data.toString('base64'),
      transWrappedSessionKey: key.wrapped,
    }),
  });
  const id = keyIdIn((answer as { RequestInfo?: { keyURL?: unknown } } | undefined)?.RequestInfo);
  if (id !== undefined) return id;
  throw failure(
    'archival-failed',
    `The KRA took "${name}" and made no key of it.`,
    'It could not use its keys: see that the HSM answers, then "capstan restart".',
  );
}

/**
 * Recovers a secret that is archived.
 * @param id of the key
 * @throws CapstanError `recovery-failed`, `kra-refused`, `kra-unreachable`, `kra-login-refused`
 */
export async function recoverSecret(client: KraClient, id: string): Promise<Buffer> {
  const key = await passingKey(client);
  const answer = (await client.session.post('/agent/keys/retrieve', {
    ClassName: 'com.netscape.certsrv.key.KeyRecoveryRequest',
    Attributes: attributes({
      keyId: id,
      transWrappedSessionKey: key.wrapped,
      payloadEncryptionOID: AES_128_CBC.recover,
      payloadWrappingName: 'AES KeyWrap/Padding',
    }),
  })) as { wrappedPrivateData?: string; nonceData?: string } | undefined;
  try {
    const iv = Buffer.from(answer?.nonceData ?? '', 'base64');
    const decipher = createDecipheriv(CIPHER, key.plain, iv);
    const data = Buffer.from(answer?.wrappedPrivateData ?? '', 'base64');
    return Buffer.concat([decipher.update(data), decipher.final()]);
  } catch (error) {
    throw failure(
      'recovery-failed',
      `What the KRA gave for the key ${id} cannot be decrypted.`,
      undefined,
      error,
    );
  }
}

/** The id of the active key of a client's name; undefined where there is none. @throws CapstanError as above */
export async function archivedKey({ session }: KraClient, name: string): Promise<string | undefined> {
  const query = new URLSearchParams({ clientKeyID: name, status: 'active' });
  const found = (await session.get(`/agent/keys?${query}`)) as { entries?: unknown[] } | undefined;
  return keyIdIn(found?.entries?.[0] as { keyURL?: unknown } | undefined);
}

/** Archives the text of the proof, unless it is archived already. @throws CapstanError as {@link archiveSecret} */
export async function archiveProof(client: KraClient): Promise<string> {
  return (
    (await archivedKey(client, PROOF_NAME)) ??
    archiveSecret(client, PROOF_NAME, Buffer.from(PROOF_TEXT, 'utf8'))
  );
}

/**
 * Has the KRA recover the text of the proof: it unwraps with its transport key and with its storage key, both on the
 * token, and leaves nothing behind. A KRA that lost its HSM fails here, while it calls itself running.
 * @returns the id of the key
 * @throws CapstanError `proof-missing`, `recovery-failed`, `kra-refused`, `kra-unreachable`, `kra-login-refused`
 */
export async function recoverProof(client: KraClient): Promise<string> {
  const id = await archivedKey(client, PROOF_NAME);
  if (id === undefined) {
    throw failure('proof-missing', `Nothing is archived under the name ${PROOF_NAME} to be recovered.`);
  }
  const text = (await recoverSecret(client, id)).toString('utf8');
  if (text === PROOF_TEXT) return id;
  throw failure('recovery-failed', `What the KRA recovered for the key ${id} is not what was archived.`);
}

/** The certificate of the transport key, PEM: all KRAs of a cluster have the same. @throws CapstanError as above */
export async function transportCertificate(session: CaSession): Promise<string> {
  const { Encoded } = (await session.get('/config/cert/transport')) as { Encoded: string };
  return Encoded;
}

/** A key for one request: as it is, and wrapped for the KRA in base64. */
async function passingKey({ session, oaep }: KraClient): Promise<{ plain: Buffer; wrapped: string }> {
  const { publicKey } = new X509Certificate(await transportCertificate(session));
  const plain = randomBytes(KEY_BYTES);
  // SHA-256 for the hash and for MGF1: what Dogtag has from its first release with OAEP on (CryptoUtil).
  const way = oaep
    ? { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' }
    : { padding: constants.RSA_PKCS1_PADDING };
  return { plain, wrapped: publicEncrypt({ key: publicKey, ...way }, plain).toString('base64') };
}

function attributes(values: Readonly<Record<string, string>>) {
  return { Attribute: Object.entries(values).map(([name, value]) => ({ name, value })) };
}

/** Keys are named by their URL: `https://ca1.example.test:8443/kra/rest/agent/keys/1`. */
function keyIdIn(info: { keyURL?: unknown; keyId?: unknown } | undefined): string | undefined {
  if (typeof info?.keyURL === 'string') return info.keyURL.split('/').at(-1);
  return typeof info?.keyId === 'string' ? info.keyId : undefined;
}
