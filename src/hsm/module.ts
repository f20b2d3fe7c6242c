import { type CapstanError, failure } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { accountOf } from '../host/users.ts';
import type { OaepHash } from '../secret/sealed.ts';
import type { Secret } from '../secret/secret.ts';
import { sameObject } from './inventory.ts';
import { type ModuleProcess, type ModuleRequest, startModuleProcess } from './module-process.ts';
import type {
  KeyPairWish,
  MechanismFacts,
  ModuleFacts,
  ObjectRef,
  SignMechanism,
  SlotFacts,
  TokenFacts,
  TokenObject,
} from './protocol.ts';
import { returnCode } from './return-codes.ts';

/**
 * A PKCS#11 library at work in its own process. Every function may throw, beside its own codes: `module-crashed`,
 * `module-hangs`, `module-interrupted`, and a code of the table in return-codes.ts (`pkcs11-…`, `sessions-exhausted`).
 */
export interface Module {
  /** What the library says about itself. */
  facts: ModuleFacts;
  /** The id of the module process. */
  pid: number | undefined;
  /** Every token that is present. Slots whose token will not tell its facts are left out, and logged. */
  tokens(): Promise<TokenFacts[]>;
  slot(slot: number): Promise<SlotFacts>;
  mechanisms(slot: number): Promise<MechanismFacts[]>;
  /**
   * Logs in as the token's user. There is one C_Login for a slot in the life of the module, whatever comes of it:
   * a second call repeats the first one's outcome.
   * @param pin nothing where it is typed at the token itself
   * @throws CapstanError `pin-incorrect`, `pin-locked`, `pin-expired`, `pin-unset`
   */
  login(slot: number, pin?: Secret): Promise<void>;
  /** Makes an RSA key pair on the token whose private key is sensitive, cannot be extracted and does one thing only. */
  generateKeyPair(slot: number, wish: KeyPairWish): Promise<void>;
  /** Every object on the token that the login state lets see, read in batches, each with its own deadline. */
  objects(slot: number): Promise<TokenObject[]>;
  /**
   * Signs data with the one private key of this CKA_ID (hex).
   * @throws CapstanError `key-not-found`, `key-ambiguous`
   */
  sign(slot: number, id: string, mechanism: SignMechanism, data: Buffer): Promise<Buffer>;
  /**
   * Decrypts by RSA-OAEP (RFC 8017, 7.1) with the one private key of this CKA_ID (hex); the label is empty.
   * @param hash in MGF1 too
   * @throws CapstanError `key-not-found`, `key-ambiguous`
   */
  decrypt(slot: number, id: string, hash: OaepHash, data: Buffer): Promise<Buffer>;
  /**
   * Deletes exactly the named objects: class, id, label and (of certificates) serial must all be the same. What is not
   * there any more is passed over; what fits several objects is an error before anything is deleted.
   * @returns what was deleted
   * @throws CapstanError `object-ambiguous`, `object-changed`, `token-write-protected`
   */
  deleteObjects(slot: number, objects: readonly ObjectRef[]): Promise<TokenObject[]>;
}

/** Objects read in one question: small enough for a slow token, large enough to be quick. */
const READ_BATCH = 50;

/**
 * Loads a PKCS#11 library in a process of its own, hands it to `work`, and ends the process whatever happens.
 * @throws CapstanError `user-missing`, `module-user-denied`, `module-missing`, `module-not-file`, `module-unreadable`,
 *   `module-load-failed`, `module-not-pkcs11`, `module-init-failed`, `module-crashed`, `module-hangs`,
 *   `module-interrupted`, `module-not-started`
 */
export async function withModule<Result>(
  host: Host,
  request: ModuleRequest,
  work: (module: Module) => Promise<Result>,
): Promise<Result> {
  const user = request.user === undefined ? undefined : await accountOf(host, request.user);
  host.log.write(`load ${request.libraryPath}${user ? ` as ${user.name}` : ''}`);
  const child = startModuleProcess(host, request);
  try {
    const facts = await child.ask('open', { libraryPath: request.libraryPath, ...(user && { user }) });
    const result = await work(moduleOver(host, child, facts));
    await finalise(host, request, child);
    return result;
  } finally {
    await child.end();
  }
}

/** Lets the library let go. The work is done by then, so a failure is worth a line in the log and no more. */
async function finalise(host: Host, request: ModuleRequest, child: ModuleProcess): Promise<void> {
  try {
    await child.ask('close', {});
  } catch (error) {
    host.log.write(`${request.libraryPath} did not finish cleanly: ${(error as CapstanError).message}`);
  }
}

function moduleOver(host: Host, child: ModuleProcess, facts: ModuleFacts): Module {
  return {
    facts,
    pid: child.pid,
    async tokens() {
      const { tokens, unreadable } = await child.ask('tokens', {});
      for (const { slot, returnCode: code } of unreadable) {
        host.log.write(`slot ${slot} is passed over: ${returnCode(code).name}`);
      }
      return tokens;
    },
    slot: (slot) => child.ask('slot', { slot }),
    mechanisms: (slot) => child.ask('mechanisms', { slot }),
    async login(slot, pin) {
      await child.ask('login', { slot, ...(pin && { pin: pin.reveal() }) });
    },
    async generateKeyPair(slot, wish) {
      await child.ask('generate', { slot, wish });
    },
    objects: (slot) => readAll(child, slot),
    async sign(slot, id, mechanism, data) {
      const signature = await child.ask('sign', { slot, id, mechanism, data: data.toString('base64') });
      return Buffer.from(signature, 'base64');
    },
    async decrypt(slot, id, hash, data) {
      const plain = await child.ask('decrypt', { slot, id, hash, data: data.toString('base64') });
      return Buffer.from(plain, 'base64');
    },
    deleteObjects: (slot, refs) => deleteExactly(child, slot, refs),
  };
}

async function readAll(child: ModuleProcess, slot: number): Promise<TokenObject[]> {
  const total = await child.ask('find', { slot });
  const objects: TokenObject[] = [];
  for (let from = 0; from < total; from += READ_BATCH) {
    objects.push(...(await child.ask('read', { slot, from, count: READ_BATCH })));
  }
  return objects;
}

async function deleteExactly(
  child: ModuleProcess,
  slot: number,
  refs: readonly ObjectRef[],
): Promise<TokenObject[]> {
  const objects = await readAll(child, slot);
  const doomed = new Set<number>();
  for (const ref of refs) {
    const fits = objects.flatMap((object, index) => (sameObject(object, ref) ? [index] : []));
    if (fits.length > 1) {
      throw failure(
        'object-ambiguous',
        `The token has ${fits.length} objects of class ${ref.class} with label "${ref.label}" and id ${ref.id}; none was deleted.`,
        'Delete the right one with the vendor’s tool.',
      );
    }
    for (const index of fits) doomed.add(index);
  }
  const deleted: TokenObject[] = [];
  for (const index of doomed) {
    const object = objects[index];
    if (!object) continue;
    await child.ask('destroy', { slot, index, expected: object });
    deleted.push(object);
  }
  return deleted;
}
