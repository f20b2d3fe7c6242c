/** Every sentence about a PKCS#11 library that failed, composed in one place from the facts of the failure. */

import { type CapstanError, failure, interruption, refusal } from '../errors.ts';
import { longerHint } from '../host/deadlines.ts';
import type { ChildFailure } from './protocol.ts';
import { returnCode } from './return-codes.ts';

/** Where a failure happened. */
export interface ModulePlace {
  libraryPath: string;
  /** The user as whom the library ran; undefined is Capstan's own. */
  user: string | undefined;
  /** The function that was entered last: `C_Login`; undefined before the first. */
  entered: string | undefined;
  /** The library's last line of output, redacted; it often is the only explanation. */
  lastWords: string | undefined;
}

const VENDOR_CHECK = 'Try the library with pkcs11-tool --module as the same user, and see the vendor’s log.';

function asUser({ user }: ModulePlace): string {
  return user ? ` as user ${user}` : '';
}

function inFunction({ entered }: ModulePlace): string {
  return entered ? ` in ${entered}` : ' before its first function';
}

function printed({ lastWords }: ModulePlace): string {
  return lastWords ? ` It printed: ${lastWords}` : '';
}

/**
 * The error of a process that ended by itself: a signal is a crash, a code an exit the library chose. One that ended
 * before it entered the library never got as far as the vendor's code.
 */
export function endedError(place: ModulePlace, code: number | null, signal: string | null): CapstanError {
  if (!place.entered)
    return startError(place, new Error(`it ended at once (${signal ?? `exit code ${code}`})`));
  const how = signal ? `crashed (${signal})` : `ended its process (exit code ${code})`;
  return failure(
    'module-crashed',
    `The PKCS#11 library ${place.libraryPath} ${how}${inFunction(place)}${asUser(place)}.${printed(place)}`,
    VENDOR_CHECK,
  );
}

/** The error of a library that did not come back in time and was ended. */
export function hangsError(place: ModulePlace, seconds: number, deadline: 'token' | 'keygen'): CapstanError {
  return failure(
    'module-hangs',
    `The PKCS#11 library ${place.libraryPath} did not return within ${seconds} s${inFunction(place)}${asUser(place)} and was ended.${printed(place)}`,
    `Check that the HSM can be reached from this host. If it only is slow: ${longerHint(deadline)}.`,
  );
}

/** The error of a run that was ended from outside while the library worked. */
export function interruptedError(place: ModulePlace): CapstanError {
  return interruption(
    `The work with the PKCS#11 library ${place.libraryPath} was interrupted.`,
    'module-interrupted',
  );
}

/** The error of a process that could not be started. */
export function startError(place: ModulePlace, cause: Error): CapstanError {
  return failure(
    'module-not-started',
    `The process for the PKCS#11 library ${place.libraryPath} could not be started: ${cause.message}.`,
    'The log holds what it printed. Check that Capstan is installed completely, its PKCS#11 addon included.',
    cause,
  );
}

/** The error of a call that the process answered with a failure. */
export function callError(place: ModulePlace, why: ChildFailure): CapstanError {
  const library = `The PKCS#11 library ${place.libraryPath}`;
  switch (why.kind) {
    case 'return-code':
      return returnCodeError(place, why.function, why.returnCode);
    case 'path':
      return pathError(place, why.problem, why.path);
    case 'load':
      return refusal(
        'module-load-failed',
        `${library} cannot be loaded${asUser(place)}: ${why.detail}`,
        'Check that it is a library for this machine, and that ldd finds everything it needs.',
      );
    case 'not-pkcs11':
      return refusal(
        'module-not-pkcs11',
        `${place.libraryPath} is a library, but not a PKCS#11 one: it has no C_GetFunctionList.`,
        'Name the PKCS#11 library that came with the HSM.',
      );
    case 'user':
      return refusal(
        'module-user-denied',
        `The library cannot be run as user ${place.user}: ${why.detail}`,
        'Run Capstan as root.',
      );
    case 'key':
      return failure(
        why.found === 0 ? 'key-not-found' : 'key-ambiguous',
        `The token has ${why.found === 0 ? 'no private key' : `${why.found} private keys`} with the id ${why.id}.`,
      );
    case 'changed-object':
      return failure(
        'object-changed',
        'An object on the token changed while it was about to be deleted; it was left.',
      );
    case 'defect':
      return failure(
        'module-defect',
        `${library} could not be used${inFunction(place)}: ${why.detail}.${printed(place)}`,
      );
  }
}

function returnCodeError(place: ModulePlace, name: string, value: number): CapstanError {
  const meaning = returnCode(value);
  const message = `${name} of the PKCS#11 library ${place.libraryPath} returned ${meaning.name}${asUser(place)}: ${meaning.meaning}.${printed(place)}`;
  if (name === 'C_Initialize') {
    return failure(
      'module-init-failed',
      message,
      `Check that ${place.user ?? 'this user'} may read the library’s configuration and its token, and belongs to the groups it needs.`,
    );
  }
  return failure(meaning.code, message, meaning.next);
}

function pathError(
  place: ModulePlace,
  problem: 'missing' | 'denied' | 'not-a-file',
  path: string,
): CapstanError {
  const where = path === place.libraryPath ? '' : `: ${path}`;
  if (problem === 'missing') {
    return refusal(
      'module-missing',
      `The PKCS#11 library ${place.libraryPath} does not exist${where && `${where} is missing`}.`,
      'Install the HSM’s client software, or name the right library path.',
    );
  }
  if (problem === 'not-a-file') {
    return refusal(
      'module-not-file',
      `The PKCS#11 library ${place.libraryPath} is not a regular file.`,
      'Name the PKCS#11 library that came with the HSM.',
    );
  }
  const verb = path === place.libraryPath ? 'read the file' : `enter ${path}`;
  return refusal(
    'module-unreadable',
    `The PKCS#11 library ${place.libraryPath} cannot be read${asUser(place)}: the user may not ${verb}.`,
    `Give ${place.user ?? 'the user'} access, for instance by adding it to the group that owns ${path}.`,
  );
}
