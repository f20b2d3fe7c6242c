/** A PKCS#11 library in the module process: loading it, calling it, its sessions. See module-child.ts. */

import pkcs11, { type Handle, type PKCS11 } from 'pkcs11js';
import type { ChildFailure, ModuleFacts } from './protocol.ts';

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

const { CKR_CANT_LOCK, CKR_NEED_TO_CREATE_THREADS } = pkcs11;

/** The number of a PKCS#11 return code in an error of the addon, whose text is `CKR_NAME:number`. */
function returnCodeOf(error: unknown): number | undefined {
  const { code, message } = error as { code?: unknown; message?: string };
  if (typeof code === 'number' && code > 0) return code;
  const match = /CKR_[^:]*:(\d+)/.exec(message ?? '');
  return match ? Number(match[1]) : undefined;
}

/** Calls one function of the library, announced beforehand and with its return code kept on failure. */
export function call<Answer>(module: LoadedModule, name: string, body: () => Answer): Answer {
  module.enter(name);
  try {
    return body();
  } catch (error) {
    const returnCode = returnCodeOf(error);
    if (returnCode === undefined) throw error;
    throw new CallFailure({ kind: 'return-code', function: name, returnCode });
  }
}

/** Whether a call failed with one of these return codes. */
export function failedWith(error: unknown, ...codes: number[]): boolean {
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
export function padded(text: string): string {
  const end = text.indexOf('\0');
  return (end < 0 ? text : text.slice(0, end)).replace(/ +$/, '');
}

/** A slot number in the addon's form. */
export function slotHandle(slot: number): Handle {
  const handle = Buffer.alloc(8);
  handle.writeBigUInt64LE(BigInt(slot));
  return handle;
}

/** The session of a slot, opened when first needed; one that writes only where something is to be written. */
export function session(module: LoadedModule, slot: number, access: 'read' | 'write'): Handle {
  const key = `${slot} ${access}`;
  const open = module.sessions.get(key);
  if (open) return open;
  const flags = pkcs11.CKF_SERIAL_SESSION | (access === 'write' ? pkcs11.CKF_RW_SESSION : 0);
  const handle = call(module, 'C_OpenSession', () => module.library.C_OpenSession(slotHandle(slot), flags));
  module.sessions.set(key, handle);
  return handle;
}

/** Lets go of the token in order: an HSM that loses its client without C_Finalize may hold sessions for minutes. */
export function close(module: LoadedModule): null {
  call(module, 'C_Finalize', () => module.library.C_Finalize());
  return null;
}
