/** The PKCS#11 calls themselves. Runs only in the module process; see module-child.ts. */

import pkcs11, { type Handle, type PKCS11, type Template } from 'pkcs11js';
import type {
  ChildFailure,
  MechanismFacts,
  ModuleFacts,
  ObjectClass,
  ObjectRef,
  SessionCount,
  SignMechanism,
  TokenFacts,
  TokenObject,
  UnreadableSlot,
} from './protocol.ts';

/** A failed call, as facts for the parent. */
export class CallFailure extends Error {
  readonly failure: ChildFailure;

  constructor(failure: ChildFailure) {
    super(failure.kind);
    this.failure = failure;
  }
}

/** A loaded library with what has to be remembered between calls. */
export interface LoadedModule {
  library: PKCS11;
  /** Tells the parent which function is entered, before it is: a hang or a crash leaves no other trace. */
  enter: (name: string) => void;
  sessions: Map<string, Handle>;
  /** How the one C_Login of each slot ended: 0, or its return code. */
  logins: Map<number, number>;
  found: Handle[];
}

/** Longest signature asked for: RSA of 16384 bits. */
const SIGNATURE_BYTES = 2048;
/** Handles asked for in one C_FindObjects. */
const FIND_BATCH = 256;
/** CK_UNAVAILABLE_INFORMATION as the addon gives it: cut to 32 bits. */
const UNAVAILABLE = 0xffff_ffff;

const { CKR_OK, CKR_CANT_LOCK, CKR_NEED_TO_CREATE_THREADS } = pkcs11;

/** The number of a PKCS#11 return code in an error of the addon, whose text is `CKR_NAME:number`. */
function returnCodeOf(error: unknown): number | undefined {
  const { code, message } = error as { code?: unknown; message?: string };
  if (typeof code === 'number' && code > 0) return code;
  const match = /CKR_[^:]*:(\d+)/.exec(message ?? '');
  return match ? Number(match[1]) : undefined;
}

/** Calls one function of the library, announced beforehand and with its return code kept on failure. */
function call<Answer>(module: LoadedModule, name: string, body: () => Answer): Answer {
  module.enter(name);
  try {
    return body();
  } catch (error) {
    const returnCode = returnCodeOf(error);
    if (returnCode === undefined) throw error;
    throw new CallFailure({ kind: 'return-code', function: name, returnCode });
  }
}

function failedWith(error: unknown, ...codes: number[]): boolean {
  return (
    error instanceof CallFailure &&
    error.failure.kind === 'return-code' &&
    codes.includes(error.failure.returnCode)
  );
}

/** Loads the library into this process and initialises it. */
export function load(libraryPath: string, enter: (name: string) => void): LoadedModule {
  const library = new pkcs11.PKCS11();
  const module = { library, enter, sessions: new Map(), logins: new Map(), found: [] };
  enter('its loading');
  try {
    library.load(libraryPath);
  } catch (error) {
    const returnCode = returnCodeOf(error);
    if (returnCode !== undefined) {
      throw new CallFailure({ kind: 'return-code', function: 'C_GetFunctionList', returnCode });
    }
    const detail = (error as Error).message;
    throw new CallFailure({ kind: detail.includes('C_GetFunctionList') ? 'not-pkcs11' : 'load', detail });
  }
  initialise(module);
  return module;
}

function initialise(module: LoadedModule): void {
  const start = (flags: number) => call(module, 'C_Initialize', () => module.library.C_Initialize({ flags }));
  try {
    start(pkcs11.CKF_OS_LOCKING_OK);
  } catch (error) {
    // NSS takes such libraries too and serialises the calls itself; here there is one thread anyway.
    if (!failedWith(error, CKR_CANT_LOCK, CKR_NEED_TO_CREATE_THREADS)) throw error;
    start(0);
  }
}

/** What the library says about itself. */
export function moduleFacts(module: LoadedModule): ModuleFacts {
  const info = call(module, 'C_GetInfo', () => module.library.C_GetInfo());
  return {
    manufacturer: padded(info.manufacturerID),
    description: padded(info.libraryDescription),
    libraryVersion: `${info.libraryVersion.major}.${info.libraryVersion.minor}`,
    cryptokiVersion: `${info.cryptokiVersion.major}.${info.cryptokiVersion.minor}`,
  };
}

/** Fields of fixed length are padded with blanks, and by some libraries with NUL against the standard. */
function padded(text: string): string {
  const end = text.indexOf('\0');
  return (end < 0 ? text : text.slice(0, end)).replace(/ +$/, '');
}

/** Every token that is present; slots that will not tell are listed beside, so that one cannot hide another. */
export function tokens(module: LoadedModule): { tokens: TokenFacts[]; unreadable: UnreadableSlot[] } {
  const found: TokenFacts[] = [];
  const unreadable: UnreadableSlot[] = [];
  for (const handle of call(module, 'C_GetSlotList', () => module.library.C_GetSlotList(true))) {
    const slot = Number(handle.readBigUInt64LE());
    try {
      found.push(tokenFacts(module, slot));
    } catch (error) {
      if (!(error instanceof CallFailure) || error.failure.kind !== 'return-code') throw error;
      unreadable.push({ slot, returnCode: error.failure.returnCode });
    }
  }
  return { tokens: found, unreadable };
}

function slotHandle(slot: number): Handle {
  const handle = Buffer.alloc(8);
  handle.writeBigUInt64LE(BigInt(slot));
  return handle;
}

function tokenFacts(module: LoadedModule, slot: number): TokenFacts {
  const info = call(module, 'C_GetTokenInfo', () => module.library.C_GetTokenInfo(slotHandle(slot)));
  const has = (flag: number) => (info.flags & flag) !== 0;
  return {
    slot,
    label: padded(info.label),
    serial: padded(info.serialNumber),
    manufacturer: padded(info.manufacturerID),
    model: padded(info.model),
    initialised: has(pkcs11.CKF_TOKEN_INITIALIZED),
    loginRequired: has(pkcs11.CKF_LOGIN_REQUIRED),
    pinPad: has(pkcs11.CKF_PROTECTED_AUTHENTICATION_PATH),
    writeProtected: has(pkcs11.CKF_WRITE_PROTECTED),
    userPinInitialised: has(pkcs11.CKF_USER_PIN_INITIALIZED),
    pinCountLow: has(pkcs11.CKF_USER_PIN_COUNT_LOW),
    pinFinalTry: has(pkcs11.CKF_USER_PIN_FINAL_TRY),
    pinLocked: has(pkcs11.CKF_USER_PIN_LOCKED),
    pinToBeChanged: has(pkcs11.CKF_USER_PIN_TO_BE_CHANGED),
    sessions: {
      max: limit(info.maxSessionCount),
      open: counted(info.sessionCount),
      maxReadWrite: limit(info.maxRwSessionCount),
      openReadWrite: counted(info.rwSessionCount),
    },
  };
}

function limit(value: number): SessionCount {
  return value === 0 ? 'unlimited' : counted(value);
}

function counted(value: number): SessionCount {
  return value === UNAVAILABLE ? 'unknown' : value;
}

/** Every mechanism of a token. */
export function mechanisms(module: LoadedModule, slot: number): MechanismFacts[] {
  const handle = slotHandle(slot);
  const types = call(module, 'C_GetMechanismList', () => module.library.C_GetMechanismList(handle));
  return types.map((type) => ({
    type,
    ...call(module, 'C_GetMechanismInfo', () => module.library.C_GetMechanismInfo(handle, type)),
  }));
}

function session(module: LoadedModule, slot: number, access: 'read' | 'write'): Handle {
  const key = `${slot} ${access}`;
  const open = module.sessions.get(key);
  if (open) return open;
  const flags = pkcs11.CKF_SERIAL_SESSION | (access === 'write' ? pkcs11.CKF_RW_SESSION : 0);
  const handle = call(module, 'C_OpenSession', () => module.library.C_OpenSession(slotHandle(slot), flags));
  module.sessions.set(key, handle);
  return handle;
}

/** Logs in as the token's user: one C_Login for a slot in the life of the process, whatever is asked later. */
export function login(module: LoadedModule, slot: number, pin: string): null {
  const handle = session(module, slot, 'read');
  const before = module.logins.get(slot);
  if (before === undefined) {
    try {
      call(module, 'C_Login', () => module.library.C_Login(handle, pkcs11.CKU_USER, pin));
      module.logins.set(slot, CKR_OK);
    } catch (error) {
      if (error instanceof CallFailure && error.failure.kind === 'return-code') {
        module.logins.set(slot, error.failure.returnCode);
      }
      throw error;
    }
  } else if (before !== CKR_OK) {
    throw new CallFailure({ kind: 'return-code', function: 'C_Login', returnCode: before });
  }
  return null;
}

function search(module: LoadedModule, handle: Handle, template: Template): Handle[] {
  const found: Handle[] = [];
  call(module, 'C_FindObjectsInit', () => module.library.C_FindObjectsInit(handle, template));
  try {
    for (;;) {
      const batch = call(module, 'C_FindObjects', () => module.library.C_FindObjects(handle, FIND_BATCH));
      found.push(...batch);
      if (batch.length === 0) return found;
    }
  } finally {
    call(module, 'C_FindObjectsFinal', () => module.library.C_FindObjectsFinal(handle));
  }
}

/** Looks up every object that lives on the token; session objects are nobody's business. */
export function find(module: LoadedModule, slot: number): number {
  module.found = search(module, session(module, slot, 'read'), [{ type: pkcs11.CKA_TOKEN, value: true }]);
  return module.found.length;
}

/** The facts of some of the objects found last. */
export function read(module: LoadedModule, slot: number, from: number, count: number): TokenObject[] {
  const handle = session(module, slot, 'read');
  return module.found.slice(from, from + count).map((object) => objectFacts(module, handle, object));
}

/** The values of attributes, undefined where the token does not give one. */
function attributes(
  module: LoadedModule,
  handle: Handle,
  object: Handle,
  types: number[],
): (Buffer | undefined)[] {
  const get = (some: number[]) =>
    call(module, 'C_GetAttributeValue', () =>
      module.library.C_GetAttributeValue(
        handle,
        object,
        some.map((type) => ({ type })),
      ),
    ).map(({ value }) => (Buffer.isBuffer(value) ? value : undefined));
  const unavailable = [pkcs11.CKR_ATTRIBUTE_TYPE_INVALID, pkcs11.CKR_ATTRIBUTE_SENSITIVE];
  try {
    return get(types);
  } catch (error) {
    if (!failedWith(error, ...unavailable)) throw error;
    if (types.length === 1) return [undefined];
    // The addon drops the whole answer when one attribute is missing, so each is asked for by itself.
    return types.map((type) => attributes(module, handle, object, [type])[0]);
  }
}

const CLASSES = new Map<number, ObjectClass>([
  [pkcs11.CKO_DATA, 'data'],
  [pkcs11.CKO_CERTIFICATE, 'certificate'],
  [pkcs11.CKO_PUBLIC_KEY, 'public-key'],
  [pkcs11.CKO_PRIVATE_KEY, 'private-key'],
  [pkcs11.CKO_SECRET_KEY, 'secret-key'],
]);

const KEY_TYPES = new Map<number, NonNullable<TokenObject['keyType']>>([
  [pkcs11.CKK_RSA, 'RSA'],
  [pkcs11.CKK_EC, 'EC'],
  [pkcs11.CKK_AES, 'AES'],
]);

function objectFacts(module: LoadedModule, handle: Handle, object: Handle): TokenObject {
  const get = (...types: number[]) => attributes(module, handle, object, types);
  const [kind, label] = get(pkcs11.CKA_CLASS, pkcs11.CKA_LABEL);
  const objectClass = (kind && CLASSES.get(ulong(kind))) ?? 'other';
  const hasId = objectClass === 'certificate' || objectClass.endsWith('-key');
  const facts: TokenObject = {
    class: objectClass,
    id: hasId ? (get(pkcs11.CKA_ID)[0]?.toString('hex') ?? '') : '',
    label: label?.toString('utf8') ?? '',
  };
  if (objectClass === 'certificate') return { ...facts, ...certificateFacts(get) };
  return hasId ? { ...facts, ...keyFacts(objectClass, get) } : facts;
}

type Get = (...types: number[]) => (Buffer | undefined)[];

function certificateFacts(get: Get): Partial<TokenObject> {
  const [value, serial] = get(pkcs11.CKA_VALUE, pkcs11.CKA_SERIAL_NUMBER);
  return {
    ...(value?.length && { value: value.toString('base64') }),
    ...(serial?.length && { serial: serial.toString('hex') }),
  };
}

function keyFacts(objectClass: ObjectClass, get: Get): Partial<TokenObject> {
  const [type, local] = get(pkcs11.CKA_KEY_TYPE, pkcs11.CKA_LOCAL);
  const keyType = type && (KEY_TYPES.get(ulong(type)) ?? 'other');
  return {
    ...(keyType && { keyType }),
    ...(local?.length && { local: local[0] !== 0 }),
    ...(keyType === 'RSA' && modulusFacts(get(pkcs11.CKA_MODULUS)[0])),
    ...(objectClass !== 'public-key' && protection(get)),
  };
}

function modulusFacts(value: Buffer | undefined): Partial<TokenObject> {
  const modulus = value?.toString('hex').replace(/^0+/, '');
  if (!modulus) return {};
  const leadingBits = Number.parseInt(modulus.charAt(0), 16).toString(2).length;
  return { modulus, modulusBits: (modulus.length - 1) * 4 + leadingBits };
}

function protection(get: Get): Partial<TokenObject> {
  const [sensitive, extractable, alwaysSensitive, neverExtractable] = get(
    pkcs11.CKA_SENSITIVE,
    pkcs11.CKA_EXTRACTABLE,
    pkcs11.CKA_ALWAYS_SENSITIVE,
    pkcs11.CKA_NEVER_EXTRACTABLE,
  ).map((value) => (value?.length ? value[0] !== 0 : undefined));
  return {
    ...(sensitive !== undefined && { sensitive }),
    ...(extractable !== undefined && { extractable }),
    ...(alwaysSensitive !== undefined && { alwaysSensitive }),
    ...(neverExtractable !== undefined && { neverExtractable }),
  };
}

function ulong(value: Buffer): number {
  return value.length === 8 ? Number(value.readBigUInt64LE()) : -1;
}

const MECHANISMS: Record<SignMechanism, number> = {
  RSA_PKCS: pkcs11.CKM_RSA_PKCS,
  SHA256_RSA_PKCS: pkcs11.CKM_SHA256_RSA_PKCS,
  SHA384_RSA_PKCS: pkcs11.CKM_SHA384_RSA_PKCS,
  SHA512_RSA_PKCS: pkcs11.CKM_SHA512_RSA_PKCS,
};

/** Signs with the one private key of that id; answers the signature. */
export function sign(
  module: LoadedModule,
  slot: number,
  id: string,
  name: SignMechanism,
  data: Buffer,
): Buffer {
  const handle = session(module, slot, 'read');
  const keys = search(module, handle, [
    { type: pkcs11.CKA_TOKEN, value: true },
    { type: pkcs11.CKA_CLASS, value: pkcs11.CKO_PRIVATE_KEY },
    { type: pkcs11.CKA_ID, value: Buffer.from(id, 'hex') },
  ]);
  const [key] = keys;
  if (!key || keys.length > 1) throw new CallFailure({ kind: 'key', id, found: keys.length });
  const mechanism = { mechanism: MECHANISMS[name] };
  call(module, 'C_SignInit', () => module.library.C_SignInit(handle, mechanism, key));
  return call(module, 'C_Sign', () => module.library.C_Sign(handle, data, Buffer.alloc(SIGNATURE_BYTES)));
}

/** Destroys one of the objects found last, after looking that it still is the one that was meant. */
export function destroy(module: LoadedModule, slot: number, index: number, expected: ObjectRef): null {
  const handle = session(module, slot, 'write');
  const object = module.found[index];
  if (!object) throw new CallFailure({ kind: 'changed-object' });
  const facts = objectFacts(module, handle, object);
  const same =
    facts.class === expected.class &&
    facts.id === expected.id &&
    facts.label === expected.label &&
    facts.serial === expected.serial;
  if (!same) throw new CallFailure({ kind: 'changed-object' });
  call(module, 'C_DestroyObject', () => module.library.C_DestroyObject(handle, object));
  return null;
}

/** Lets go of the token in order: an HSM that loses its client without C_Finalize may hold sessions for minutes. */
export function close(module: LoadedModule): null {
  call(module, 'C_Finalize', () => module.library.C_Finalize());
  return null;
}
