import { CapstanError, isInterruption, PreflightError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import type { Secret } from '../secret/secret.ts';
import { type Module, withModule } from './module.ts';
import type { ModuleRequest } from './module-process.ts';
import type { ModuleFacts, SessionCount, TokenFacts, TokenObject } from './protocol.ts';
import {
  freeSessions,
  mechanismRefusals,
  NEEDED_SESSIONS,
  occupiedRefusals,
  pinRefusals,
  sealingRefusals,
  sessionRefusals,
  stateRefusals,
  type WrappingNeeds,
  wrappingRefusals,
} from './requirements.ts';
import { libraryPath, moduleName, selectToken, tokenLabel, tokenPin } from './token.ts';

/** What a token is wanted for. */
export interface InspectionRequest extends ModuleRequest {
  /** The label of the token, exactly. */
  label: string;
  pin: Secret;
  /** Sizes of the RSA keys that will be made, in bits; 2048 is always checked. */
  keySizes: readonly number[];
  /** Nicknames that nothing on the token may bear yet: those of the system certificates. */
  nicknames: readonly string[];
  /** Where it is wanted for a KRA, what that needs besides. */
  wrapping?: WrappingNeeds | undefined;
  /** Where secrets are to be sealed on it, the size of the key for that, in bits. */
  sealing?: number | undefined;
  /** Sessions that must be free; {@link NEEDED_SESSIONS} unless told. */
  sessions?: number;
}

/** A token that was found fit. */
export interface Inspection {
  module: ModuleFacts;
  /** The name for NSS; see {@link moduleName}. */
  moduleName: string;
  token: TokenFacts;
  freeSessions: { all: SessionCount; readWrite: SessionCount };
  /** Everything that is on the token now: the inventory before the first change. */
  objects: TokenObject[];
  /** What is no hindrance but worth telling. */
  warnings: string[];
}

/**
 * Looks whether a token can take a certificate authority, and changes nothing but, at most by one, its counter of wrong
 * PINs. Runs every check it can get to and reports all failures together.
 * @throws PreflightError with `token-label-invalid`, `token-password-invalid`, `library-path-invalid`, the codes of
 *   {@link withModule}, `token-not-found`, `token-ambiguous`, `token-write-protected`, `token-unprotected`, `pin-unset`,
 *   `pin-locked`, `pin-final-try`, `pin-expired`, `pin-incorrect`, `token-pin-pad`, `mechanism-missing`,
 *   `key-size-unsupported`, `sessions-exhausted`, `token-occupied`
 * @throws CapstanError `module-interrupted`, `command-interrupted`
 */
export async function inspectToken(host: Host, request: InspectionRequest): Promise<Inspection> {
  const failures: CapstanError[] = [];
  const label = await attempt(failures, () => tokenLabel(request.label));
  const pin = await attempt(failures, () => tokenPin(request.pin));
  const path = await attempt(failures, () => libraryPath(request.libraryPath));
  const inspection =
    path &&
    (await attempt(failures, () =>
      withModule(host, request, async (module) => label && inspectIn(module, request, pin, failures)),
    ));
  if (failures.length > 0 || !inspection) throw new PreflightError(failures);
  return inspection;
}

/** Runs a check and keeps what it refuses; undefined when it did. An interruption is no finding and goes on up. */
async function attempt<Result>(
  failures: CapstanError[],
  check: () => Result | Promise<Result>,
): Promise<Result | undefined> {
  try {
    return await check();
  } catch (error) {
    if (!(error instanceof CapstanError) || isInterruption(error)) throw error;
    // A library that died answers every further question with the same error.
    if (!failures.some(({ message }) => message === error.message)) failures.push(error);
    return undefined;
  }
}

async function inspectIn(
  module: Module,
  request: InspectionRequest,
  pin: Secret | undefined,
  failures: CapstanError[],
): Promise<Inspection> {
  const token = selectToken(await module.tokens(), request.label);
  failures.push(...stateRefusals(token), ...sessionRefusals(token, request.sessions ?? NEEDED_SESSIONS));
  await attempt(failures, async () => {
    const mechanisms = await module.mechanisms(token.slot);
    failures.push(...mechanismRefusals(token.label, mechanisms, request.keySizes));
    if (request.sealing) failures.push(...sealingRefusals(token.label, mechanisms, request.sealing));
    if (request.wrapping) failures.push(...wrappingRefusals(token.label, mechanisms, request.wrapping));
  });
  const refusals = pinRefusals(token);
  failures.push(...refusals);
  if (pin && refusals.length === 0) await attempt(failures, () => module.login(token.slot, pin));
  // Without a login the token still shows its public objects, certificates among them.
  const objects = (await attempt(failures, () => module.objects(token.slot))) ?? [];
  failures.push(...occupiedRefusals(token.label, objects, request.nicknames));
  return {
    module: module.facts,
    moduleName: moduleName(request.libraryPath),
    token,
    freeSessions: {
      all: freeSessions(token.sessions.max, token.sessions.open),
      readWrite: freeSessions(token.sessions.maxReadWrite, token.sessions.openReadWrite),
    },
    objects,
    warnings: warningsOf(token),
  };
}

function warningsOf(token: TokenFacts): string[] {
  return token.pinCountLow
    ? [`A wrong user PIN was given to the token "${token.label}" before this run; few tries may be left.`]
    : [];
}
