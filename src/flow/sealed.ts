/** The secrets of the first stage of an externally signed CA that the token keeps for the second one. */
import { open, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { CapstanError, isInterruption, refusal, sentenceOf } from '../errors.ts';
import { syncFolder } from '../host/files.ts';
import type { Host } from '../host/host.ts';
import { withModule } from '../hsm/module.ts';
import { pinRefusals } from '../hsm/requirements.ts';
import { openContentKey } from '../hsm/sealing.ts';
import { selectToken } from '../hsm/token.ts';
import type { JournalEntry, JournalFile } from '../plan/journal.ts';
import { runChecks } from '../plan/run.ts';
import type { Check, Listener } from '../plan/step.ts';
import { LONGEST_SEALED_FILE, parseSealed, type SealContext, type SealedSecrets } from '../secret/sealed.ts';
import type { Secret } from '../secret/secret.ts';
import { PKI_USER, type TokenChoice } from './site.ts';

/** Where the sealed secrets lie. */
export const SEALED_FILE = '/var/lib/capstan/passwords.sealed';

/** The id of the step that seals them; where they are kept, the first stage ends with it. */
export const SEAL_STEP = 'seal-passwords';
/** The id of the step that deletes them and their key, the last of the second stage. */
export const UNSEAL_STEP = 'forget-passwords';

/** What the journal tells of them, before the first of it is made. */
export interface SealingFacts extends SealContext {
  /** CKA_LABEL and CKA_ID (hex) of the key pair. */
  keyLabel: string;
  keyId: string;
  /** Serial number of the token. */
  tokenSerial: string;
}

/** The secrets that are kept, by the names of their options. */
export const KEPT_SECRETS = { ds: 'ds-password', admin: 'admin-password' } as const;

/** The secrets that are kept. */
export type KeptSecrets = Record<keyof typeof KEPT_SECRETS, Secret>;

/** What stands in the place of passwords that were kept: sealed ones, or none where nothing needs them any more. */
export type Kept = { state: 'sealed'; facts: SealingFacts } | { state: 'forgotten' };

/** Whether passwords were kept by an installation, and may be left out; undefined where they are to be given. */
export function keptIn({ entry }: Pick<JournalFile, 'entry'>): Kept | undefined {
  const sealed = entry(SEAL_STEP);
  if (sealed?.state !== 'done') return undefined;
  // What comes before the last step is done by then, and that one needs the PIN alone.
  if (['applying', 'undoing', 'done'].includes(entry(UNSEAL_STEP)?.state ?? ''))
    return { state: 'forgotten' };
  return { state: 'sealed', facts: sealed.facts as unknown as SealingFacts };
}

/** Whether the step that seals them may have made a key pair on the token that is still there. */
export function mayHoldSealingKey(entry: JournalEntry | undefined): boolean {
  if (!entry || entry.state === 'undone') return false;
  return entry.facts.keyId !== undefined && entry.facts.purged !== true;
}

/** Where secrets are sealed. */
export interface SealedPlace {
  token: TokenChoice;
  /** The user as whom the library runs, and what its environment lacks. */
  as?: { user?: string; env?: Readonly<Record<string, string>> };
  file?: string;
}

/**
 * The secrets that were kept, looked for before anything is changed.
 * @throws PreflightError with what {@link openKept} throws
 */
export async function keptSecrets(
  host: Host,
  facts: SealingFacts,
  pin: Secret,
  place: SealedPlace,
  listen: Listener,
): Promise<KeptSecrets> {
  let opened: KeptSecrets | undefined;
  const check: Check = {
    id: 'kept-passwords',
    title: `The token ${place.token.label} opens the passwords that were kept`,
    async run() {
      opened = await openKept(host, facts, pin, place);
      return undefined;
    },
  };
  await runChecks([check], listen);
  if (!opened) throw new Error('the check passed and opened nothing');
  return opened;
}

/**
 * Has the token open the secrets that were kept. The PIN is tried once, and not at all where that could lock it.
 * @throws CapstanError `sealed-passwords-unusable`; `pin-...`, and the codes of {@link withModule} and {@link selectToken}
 */
export async function openKept(
  host: Host,
  facts: SealingFacts,
  pin: Secret,
  { token, as = { user: PKI_USER }, file = SEALED_FILE }: SealedPlace,
): Promise<KeptSecrets> {
  const sealed = await readSealed(file);
  const contentKey = await withModule(host, { libraryPath: token.libraryPath, ...as }, async (module) => {
    const found = selectToken(await module.tokens(), token.label);
    const [refused] = pinRefusals(found);
    if (refused) throw refused;
    await module.login(found.slot, pin);
    return openContentKey(module, found.slot, facts.keyId, sealed.wrapped).catch((error: unknown) => {
      throw isOfKey(error) ? unusable(file, whyNot(error, found, facts), error) : error;
    });
  });
  try {
    const { run, host: name } = facts;
    const opened = sealed.open(contentKey, { run, host: name });
    return { ds: named(opened, KEPT_SECRETS.ds), admin: named(opened, KEPT_SECRETS.admin) };
  } catch (error) {
    throw unusable(file, sentenceOf(error).replace(/\.$/, ''), error);
  } finally {
    contentKey.fill(0);
  }
}

function named(secrets: ReadonlyMap<string, Secret>, name: string): Secret {
  const secret = secrets.get(name);
  if (!secret) throw new Error(`the ${name.replaceAll('-', ' ')} is not in it`);
  return secret;
}

async function readSealed(file: string): Promise<SealedSecrets> {
  try {
    const handle = await open(file, 'r');
    try {
      const { size } = await handle.stat();
      if (size > LONGEST_SEALED_FILE) throw new Error(`it has ${size} bytes`);
      return parseSealed(await handle.readFile('utf8'));
    } finally {
      await handle.close();
    }
  } catch (error) {
    const why = error instanceof SyntaxError ? 'it is cut off or changed' : sentenceOf(error);
    throw unusable(file, why.replace(/\.$/, ''), error);
  }
}

/** Whether the key or what it was given is to blame, and not the library or the way to the token. */
function isOfKey(error: unknown): boolean {
  if (!(error instanceof CapstanError) || isInterruption(error)) return false;
  return ['key-not-found', 'key-ambiguous'].includes(error.code) || error.code.startsWith('pkcs11-');
}

function whyNot(error: unknown, { label, serial }: { label: string; serial: string }, facts: SealingFacts) {
  const other =
    serial === facts.tokenSerial ? '' : `, the serial number of whose token is ${facts.tokenSerial}`;
  if ((error as CapstanError).code === 'key-not-found')
    return `the token ${label} (serial number ${serial}) does not have the key that they were sealed with${other}`;
  return `the token ${label} does not open it: ${sentenceOf(error).replace(/\.$/, '')}`;
}

function unusable(file: string, why: string, cause: unknown) {
  return refusal(
    'sealed-passwords-unusable',
    `The passwords that were kept in ${file} cannot be used: ${why}.`,
    'Give them again, with --ds-password-file and --admin-password-file: those of the first stage.',
    cause,
  );
}

/** Writes the file of sealed secrets; one that is there is not overwritten. On disk before this returns. */
export async function writeSealed(text: string, file = SEALED_FILE): Promise<void> {
  const handle = await open(file, 'wx', 0o600);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await syncFolder(dirname(file));
}

/** Removes it. */
export async function removeSealed(file = SEALED_FILE): Promise<void> {
  await rm(file, { force: true });
}
