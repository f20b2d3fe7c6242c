/**
 * The file in which a token of SoftHSM travels: a header, and an archive of the token's folder in AES-256-GCM under a
 * key that scrypt (RFC 7914) makes from a passphrase. The header is authenticated with it.
 *
 * | bytes | |
 * | --- | --- |
 * | 14 | `capstan-token` and a line feed |
 * | 1 | version of the format: 1 |
 * | 3 | scrypt: binary logarithm of N; r; p |
 * | 2 | 0 |
 * | 32 | salt |
 * | 12 | nonce |
 * | … | encrypted archive |
 * | 16 | authentication tag |
 */
import { createCipheriv, createDecipheriv, randomBytes, scrypt } from 'node:crypto';
import { promisify } from 'node:util';
import { type CapstanError, refusal, sentenceOf } from '../errors.ts';
import { type TarFile, tarBlocks } from '../host/tar.ts';
import { readTar } from '../host/tar-reader.ts';
import type { Secret } from '../secret/secret.ts';
import type { SoftHsmBackend } from './softhsm.ts';

/** A token of SoftHSM with the files of its folder. */
export interface TokenContent {
  label: string;
  serial: string;
  /** The name of its folder, a UUID. */
  folder: string;
  backend: SoftHsmBackend;
  /** By name, without the folder. */
  files: TarFile[];
}

/** What a token may hold at most; a certificate authority has some 40 files and 100 KiB. */
export const TOKEN_LIMITS = { files: 20_000, bytes: 64 * 1024 * 1024 };

const MAGIC = Buffer.from('capstan-token\n');
const VERSION = 1;
const SALT = 32;
const NONCE = 12;
const TAG = 16;
const HEADER = MAGIC.length + 6 + SALT + NONCE;
const MANIFEST = 'manifest.json';

/** The longest token file, in bytes. */
export const LONGEST_TOKEN_FILE = HEADER + TOKEN_LIMITS.bytes + TAG;

/** What scrypt costs: 128 * r * 2^logN bytes of memory, p times. */
export interface ScryptCost {
  logN: number;
  r: number;
  p: number;
}

/** 128 MiB and about half a second. */
const COST: ScryptCost = { logN: 17, r: 8, p: 1 };
/** A file that asks for less is no protection, one that asks for more than 256 MiB could exhaust the host. */
const isSane = ({ logN, r, p }: ScryptCost) => logN >= 14 && logN <= 18 && r === 8 && p >= 1 && p <= 4;

const SERIAL = /^[0-9a-f]{16}$/;
const FOLDER = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const OBJECT = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\.(?:object|lock)$/;

/** The files that SoftHSM has in the folder of a token (2.6.1 and 2.7.0: OSToken.cpp, DBToken.cpp), and no other. */
export function isTokenFile(name: string): boolean {
  return (
    /^(?:token\.object|token\.lock|generation|sqlite3\.db(?:-journal)?)$/.test(name) || OBJECT.test(name)
  );
}

/** The file of a folder that holds label and serial, without which SoftHSM sees no token in it. */
export function mainFile(backend: SoftHsmBackend): string {
  return backend === 'file' ? 'token.object' : 'sqlite3.db';
}

/** Whether a folder of SoftHSM is the one of a serial: the end of its name (ObjectStore.cpp, newToken). */
export function isFolderOf(folder: string, serial: string): boolean {
  return FOLDER.test(folder) && folder.slice(19).replace('-', '') === serial;
}

/**
 * The bytes of a token file.
 * @throws CapstanError `token-too-large`
 */
export async function sealToken(content: TokenContent, passphrase: Secret, cost = COST): Promise<Buffer> {
  const archive = pack(content);
  if (archive.length > TOKEN_LIMITS.bytes || content.files.length >= TOKEN_LIMITS.files) {
    throw refusal(
      'token-too-large',
      `The token ${content.label} has ${content.files.length} files and takes ${archive.length} bytes; at most ${TOKEN_LIMITS.files} and ${TOKEN_LIMITS.bytes} can be moved.`,
      'Delete from it what no rehearsal needs, with the tools of SoftHSM.',
    );
  }
  const header = Buffer.concat([
    MAGIC,
    Buffer.from([VERSION, cost.logN, cost.r, cost.p, 0, 0]),
    randomBytes(SALT + NONCE),
  ]);
  const key = await keyOf(header, passphrase, cost);
  const cipher = createCipheriv('aes-256-gcm', key, header.subarray(-NONCE), { authTagLength: TAG });
  cipher.setAAD(header);
  const sealed = Buffer.concat([header, cipher.update(archive), cipher.final(), cipher.getAuthTag()]);
  key.fill(0);
  archive.fill(0);
  return sealed;
}

/**
 * What a token file holds. Nothing of it is looked at before all of it is authenticated, except the header.
 * @param path names it in the error
 * @throws CapstanError `token-file-unreadable` whatever is wrong: another passphrase and a changed byte are the same
 */
export async function unsealToken(sealed: Buffer, passphrase: Secret, path: string): Promise<TokenContent> {
  const header = sealed.subarray(0, HEADER);
  const cost = costOf(header, sealed.length, path);
  const key = await keyOf(header, passphrase, cost);
  const decipher = createDecipheriv('aes-256-gcm', key, header.subarray(-NONCE), { authTagLength: TAG });
  decipher.setAAD(header);
  decipher.setAuthTag(sealed.subarray(-TAG));
  let archive: Buffer;
  try {
    archive = Buffer.concat([decipher.update(sealed.subarray(HEADER, -TAG)), decipher.final()]);
  } catch (error) {
    throw unreadable(
      path,
      'the passphrase is not the one that it was written with, or it was changed',
      error,
    );
  } finally {
    key.fill(0);
  }
  return unpack(archive, path);
}

function costOf(header: Buffer, length: number, path: string): ScryptCost {
  if (!header.subarray(0, MAGIC.length).equals(MAGIC)) throw unreadable(path, 'it is no token file');
  const [version = 0, logN = 0, r = 0, p = 0, ...rest] = header.subarray(MAGIC.length, MAGIC.length + 6);
  if (version !== VERSION) throw unreadable(path, `its format has the version ${version}, not ${VERSION}`);
  if (length < HEADER + TAG || length > LONGEST_TOKEN_FILE) throw unreadable(path, `it has ${length} bytes`);
  const cost = { logN, r, p };
  if (!isSane(cost) || rest.some((byte) => byte !== 0)) {
    throw unreadable(path, 'its header was changed, or asks for too little or too much work');
  }
  return cost;
}

const derive = promisify<string, Buffer, number, object, Buffer>(scrypt);

async function keyOf(header: Buffer, passphrase: Secret, { logN, r, p }: ScryptCost): Promise<Buffer> {
  const salt = header.subarray(-(SALT + NONCE), -NONCE);
  const N = 2 ** logN;
  // What OpenSSL counts: 128 * r * (N + p + 2) bytes.
  return derive(passphrase.reveal(), salt, 32, { N, r, p, maxmem: 128 * r * (N + p + 2) + 1024 });
}

function pack({ files, ...facts }: TokenContent): Buffer {
  const manifest = { path: MANIFEST, content: Buffer.from(JSON.stringify(facts)), modified: new Date() };
  const members = files.map((file) => ({ ...file, path: `${facts.folder}/${file.path}` }));
  return Buffer.concat([...tarBlocks([manifest, ...members])]);
}

function unpack(archive: Buffer, path: string): TokenContent {
  try {
    const [manifest, ...members] = readTar(archive, TOKEN_LIMITS);
    if (manifest?.path !== MANIFEST) throw new Error('it does not begin with its manifest');
    const facts = parseManifest(manifest.content);
    const files = members.map((file) => ({ ...file, path: nameIn(facts.folder, file.path) }));
    if (!files.some((file) => file.path === mainFile(facts.backend)))
      throw new Error(`${mainFile(facts.backend)} is missing`);
    return { ...facts, files };
  } catch (error) {
    throw unreadable(path, `what is in it is not a token of SoftHSM: ${sentenceOf(error)}`, error);
  }
}

function parseManifest(bytes: Buffer): Omit<TokenContent, 'files'> {
  const { label, serial, folder, backend } = JSON.parse(bytes.toString()) as Partial<TokenContent>;
  const isLabel = typeof label === 'string' && Buffer.byteLength(label) <= 32 && !/\p{Cc}/u.test(label);
  if (!isLabel) throw new Error('the label is none');
  if (!SERIAL.test(String(serial)) || !isFolderOf(String(folder), String(serial)))
    throw new Error('the serial is not that of the folder');
  if (backend !== 'file' && backend !== 'db') throw new Error('the backend is unknown');
  return { label, serial: String(serial), folder: String(folder), backend };
}

function nameIn(folder: string, path: string): string {
  const [top, name = ''] = path.split('/');
  if (top !== folder || !isTokenFile(name)) throw new Error(`${JSON.stringify(path)} is no file of a token`);
  return name;
}

function unreadable(path: string, why: string, cause?: unknown): CapstanError {
  return refusal(
    'token-file-unreadable',
    `The token file ${path} cannot be read: ${why}.`,
    'Check the passphrase, and that the file arrived whole; or export the token again.',
    cause,
  );
}
