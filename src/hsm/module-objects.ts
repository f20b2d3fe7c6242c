/** The objects on a token, read and destroyed in the module process. See module-child.ts. */

import pkcs11, { type Handle, type Template } from 'pkcs11js';
import { CallFailure, call, failedWith, type LoadedModule, session } from './module-library.ts';
import type { ObjectClass, ObjectRef, TokenObject } from './protocol.ts';

/** Handles asked for in one C_FindObjects. */
const FIND_BATCH = 256;

/** The handles of all objects that fit a template. */
export function search(module: LoadedModule, handle: Handle, template: Template): Handle[] {
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
    ...(keyType === 'RSA' && objectClass === 'public-key' && exponentFacts(get)),
    ...(objectClass !== 'public-key' && protection(get)),
  };
}

function modulusFacts(value: Buffer | undefined): Partial<TokenObject> {
  const modulus = value?.toString('hex').replace(/^0+/, '');
  if (!modulus) return {};
  const leadingBits = Number.parseInt(modulus.charAt(0), 16).toString(2).length;
  return { modulus, modulusBits: (modulus.length - 1) * 4 + leadingBits };
}

function exponentFacts(get: Get): Partial<TokenObject> {
  const exponent = get(pkcs11.CKA_PUBLIC_EXPONENT)[0]?.toString('hex').replace(/^0+/, '');
  return exponent ? { exponent } : {};
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
