import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { addAbortSignal, type Readable } from 'node:stream';
import { CapstanError, interruption, isInterruption, PreflightError, refusal } from '../errors.ts';
import { Secret } from './secret.ts';
import { flawOfSecret, LONGEST_SECRET_FILE, readSecretFile, singleLine } from './secret-file.ts';

/** A secret that a command needs, and what the administrator gave for it. */
export interface SecretRequest {
  /** What it is, for people: `token password`. */
  what: string;
  /** The option that takes the value; the one that takes a file ends in `-file`: `--token-password`. */
  option: string;
  /** The fewest characters that it may have; 1 unless told. */
  shortest?: number;
  /** Whether it is chosen now rather than known, and so asked for twice. */
  chosen?: boolean;
  /** Whether it becomes the password of an entry of the directory. */
  ofDirectory?: boolean;
  /** The value of the option. */
  value?: string | undefined;
  /** The value of the `-file` option: a path, or `-` for standard input. */
  file?: string | undefined;
}

/** Where secrets may come from besides the options. */
export interface SecretPlaces {
  /** systemd's directory of credentials ($CREDENTIALS_DIRECTORY, systemd.exec(5)); files are named as the options. */
  credentials?: string | undefined;
  /** Secrets that were handed over together, by the names of their options; see secrets-input.ts. */
  handed?: ReadonlyMap<string, Secret> | undefined;
  /** Reads standard input to its end, or to the limit. */
  readInput(): Promise<Uint8Array>;
  /** Asks a person; undefined when nobody is there. */
  ask?: ((request: SecretRequest) => Promise<string>) | undefined;
  /** Accepts files that other users can read. */
  exposedFiles?: boolean | undefined;
}

/**
 * Every secret that is asked for, each from exactly one source: its option, its file, what was handed over together,
 * systemd's credentials, a person.
 * An option comes before a credential of the same name. Nobody is asked before everything else was found good.
 * @throws CapstanError `secret-given-twice`, `secret-input-twice`, `secret-too-short`, `secret-too-long`,
 *   `secret-unusable`, `secrets-missing`, and those of {@link readSecretFile}; a PreflightError where there are several
 */
export async function collectSecrets<Name extends string>(
  requests: Readonly<Record<Name, SecretRequest>>,
  places: SecretPlaces,
): Promise<Record<Name, Secret>> {
  const wanted = Object.entries(requests) as [Name, SecretRequest][];
  refuseAmbiguous(
    wanted.map(([, request]) => request),
    places.handed,
  );
  const found: Partial<Record<Name, Secret>> = {};
  const missing: [Name, SecretRequest][] = [];
  const errors: CapstanError[] = [];
  for (const [name, request] of wanted) {
    try {
      const value = await given(request, places);
      if (value === undefined) missing.push([name, request]);
      else found[name] = accept(value, request);
    } catch (error) {
      if (!(error instanceof CapstanError) || isInterruption(error)) throw error;
      errors.push(error);
    }
  }
  if (missing.length > 0 && !places.ask) errors.push(secretsMissing(missing.map(([, request]) => request)));
  throwAny(errors);
  for (const [name, request] of missing) {
    found[name] = accept((await places.ask?.(request)) ?? '', request);
  }
  return found as Record<Name, Secret>;
}

/** Whether a secret is given, by its option, its file or a credential, without looking at what it is. */
export function isGiven(request: SecretRequest, places: GivenPlaces): boolean {
  return (
    request.value !== undefined ||
    request.file !== undefined ||
    places.handed?.has(nameOf(request)) === true ||
    credentialOf(request, places.credentials) !== undefined
  );
}

/** The places that can be looked at without asking anybody and without reading. */
export type GivenPlaces = Pick<SecretPlaces, 'credentials' | 'handed'>;

/** What a secret is called where it comes with others: as its option, without the hyphens. */
function nameOf({ option }: SecretRequest): string {
  return option.replace(/^-+/, '');
}

/** The credential of a secret's name, where there is one. */
function credentialOf(request: SecretRequest, folder: string | undefined): string | undefined {
  const path = folder && join(folder, nameOf(request));
  return path && existsSync(path) ? path : undefined;
}

function throwAny(errors: readonly CapstanError[]): void {
  if (errors.length > 1) throw new PreflightError(errors);
  if (errors[0]) throw errors[0];
}

function refuseAmbiguous(requests: readonly SecretRequest[], handed?: ReadonlyMap<string, Secret>): void {
  const twice = requests.find(({ value, file }) => value !== undefined && file !== undefined);
  if (twice) {
    throw refusal(
      'secret-given-twice',
      `The ${twice.what} is given twice: with ${twice.option} and with ${twice.option}-file.`,
      'Give one of the two; the file is the safer one.',
    );
  }
  const both = requests.find(
    (one) => handed?.has(nameOf(one)) && (one.value !== undefined || one.file !== undefined),
  );
  if (both) {
    throw refusal(
      'secret-given-twice',
      `The ${both.what} is given twice: with ${both.option} or ${both.option}-file, and with --secrets-stdin.`,
      'Give it once.',
    );
  }
  const fromInput = requests.filter(({ file }) => file === '-');
  if (handed && fromInput[0]) {
    throw refusal(
      'secret-input-twice',
      `Standard input holds all secrets (--secrets-stdin), but ${fromInput[0].option}-file names it for one.`,
      'Put that one into the JSON object.',
    );
  }
  if (fromInput.length > 1) {
    const options = fromInput.map(({ option }) => `${option}-file`).join(' and ');
    throw refusal(
      'secret-input-twice',
      `Standard input can carry one secret only, but ${options} name it.`,
      'Put the others into files of their own.',
    );
  }
}

/** The value that an option, a file or a credential gives. */
async function given(request: SecretRequest, places: SecretPlaces): Promise<string | undefined> {
  if (request.value !== undefined) return request.value;
  if (request.file === '-') return singleLine(await places.readInput(), 'standard input');
  if (request.file !== undefined)
    return readSecretFile(request.file, { exposed: places.exposedFiles ?? false });
  const handed = places.handed?.get(nameOf(request));
  if (handed) return handed.reveal();
  const credential = credentialOf(request, places.credentials);
  if (!credential) return undefined;
  // systemd guards the directory; an access list in it makes a file's mode look open when it is not.
  return readSecretFile(credential, { exposed: true });
}

function accept(value: string, request: SecretRequest): Secret {
  const origin = request.file === undefined ? request.option : `${request.option}-file`;
  const flaw = flawOfRequest(value, request, `${request.what} (${origin})`);
  if (flaw) throw flaw;
  return new Secret(value, request.what);
}

/**
 * The refusal of a value that cannot be this secret; undefined when it can.
 * @param what how the refusal names the secret
 */
export function flawOfRequest(
  value: string,
  request: SecretRequest,
  what: string = request.what,
): CapstanError | undefined {
  const { shortest = 1 } = request;
  const flaw = value === '' ? 'is empty' : flawOfSecret(value);
  if (flaw) return refusal('secret-unusable', `The ${what} ${flaw}.`, 'Choose one of printable characters.');
  // Seen with 389-ds 1.4.4: after dscreate with {CLEAR}word the password is word.
  if (request.ofDirectory && /^\{[^}]+\}/.test(value)) {
    return refusal(
      'secret-unusable',
      `The ${what} begins with a word in braces: 389 Directory Server would take it for a hash and not for a password.`,
      'Choose one that begins in another way.',
    );
  }
  if ([...value].length < shortest) {
    return refusal(
      'secret-too-short',
      `The ${what} has fewer than ${shortest} characters.`,
      'Choose a longer one.',
    );
  }
  if (Buffer.byteLength(value) > LONGEST_SECRET_FILE) {
    return refusal(
      'secret-too-long',
      `The ${what} has more than ${LONGEST_SECRET_FILE} bytes.`,
      'Choose a shorter one.',
    );
  }
  return undefined;
}

function secretsMissing(missing: readonly SecretRequest[]): CapstanError {
  const names = missing.map(({ what }) => `the ${what}`).join(', ');
  const options = missing.map(({ option }) => `${option}-file FILE`).join(' ');
  return refusal('secrets-missing', `Not given, and nobody to ask: ${names}.`, `Add ${options}`);
}

/**
 * Standard input as {@link SecretPlaces.readInput} wants it. There is no deadline: what writes it may ask a person.
 * @param signal ends the waiting
 * @param longest bytes, after which it is not read on
 * @throws CapstanError `secret-input-terminal` when a person would have to type there, visibly; `interrupted`
 */
export async function readStandardInput(
  signal: AbortSignal,
  input: Readable & { isTTY?: boolean } = process.stdin,
  longest: number = LONGEST_SECRET_FILE,
): Promise<Uint8Array> {
  if (input.isTTY) {
    throw refusal(
      'secret-input-terminal',
      'A password is to be read from standard input, which is a terminal.',
      'Redirect it, as in: capstan ... --token-password-file - < FILE',
    );
  }
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of addAbortSignal(signal, input)) {
      chunks.push(chunk as Buffer);
      length += (chunk as Buffer).length;
      if (length > longest) break;
    }
  } catch (error) {
    if (!signal.aborted) throw error;
    throw interruption('Interrupted while a password was read from standard input; nothing was changed.');
  }
  return Buffer.concat(chunks);
}
