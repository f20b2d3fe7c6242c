/** The objects that one installation makes on the token: known to the journal, and deleted by nobody else. */
import { failure, sentenceOf } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { appeared, belongingTo, objectRef } from '../hsm/inventory.ts';
import { type Module, withModule } from '../hsm/module.ts';
import type { ObjectRef } from '../hsm/protocol.ts';
import { occupiedRefusals } from '../hsm/requirements.ts';
import { selectToken } from '../hsm/token.ts';
import type { JournalEntry } from '../plan/journal.ts';
import type { StepReport } from '../plan/step.ts';
import type { Secret } from '../secret/secret.ts';
import { PKI_USER, type TokenChoice } from './site.ts';
import { seen } from './token-look.ts';

/** Works on the token, logged in, through its library in a process of pkiuser's. */
export async function onToken<T>(
  host: Host,
  token: TokenChoice,
  pin: Secret,
  work: (module: Module, slot: number) => Promise<T>,
): Promise<T> {
  const request = { libraryPath: token.libraryPath, user: PKI_USER };
  const login = () =>
    withModule(host, request, async (module) => {
      const { slot } = selectToken(await module.tokens(), token.label);
      await module.login(slot, pin);
      return work(module, slot);
    });
  return seen(host, login);
}

/** The keys that a step makes: on which token, and the nicknames of their certificates. */
export interface TokenKeys {
  token: TokenChoice;
  pin: Secret;
  nicknames: readonly string[];
  /** Those of them whose keys an earlier step has made. */
  earlier?: readonly string[];
}

/**
 * Makes keys on the token, and puts into the journal which objects they are, also when that fails half way.
 * @throws CapstanError `token-occupied`, `token-shared`, what Module throws, and whatever `make` throws
 */
export async function withKeysRemembered(
  host: Host,
  keys: TokenKeys,
  report: StepReport,
  make: () => Promise<void>,
): Promise<void> {
  await report.remember({
    tokenBefore: await blankToken(host, keys),
    tokenCreated: undefined,
    tokenPurged: undefined,
  });
  try {
    await make();
  } catch (error) {
    // With a signal of its own: what an interrupted run made must be known to its undo. A token that is gone must not
    // hide why the keys were not made.
    await rememberCreated(host.under(), keys, report).catch((second: unknown) =>
      host.log.write(`The token could not be looked at after the failure: ${sentenceOf(second)}`),
    );
    throw error;
  }
  await rememberCreated(host, keys, report);
}

/** What is on the token right before the first key is made: minutes have gone by since the preflight. */
async function blankToken(
  host: Host,
  { token, pin, nicknames, earlier = [] }: TokenKeys,
): Promise<ObjectRef[]> {
  const objects = await onToken(host, token, pin, (module, slot) => module.objects(slot));
  const unmade = nicknames.filter((nickname) => !earlier.includes(nickname));
  const [occupied] = occupiedRefusals(token.label, objects, unmade);
  if (occupied) throw occupied;
  return objects.map(objectRef);
}

async function inventory(host: Host, token: TokenChoice, pin: Secret): Promise<ObjectRef[]> {
  return onToken(host, token, pin, async (module, slot) => (await module.objects(slot)).map(objectRef));
}

/**
 * Puts into the journal what this run made on the token: what appeared since the inventory before it.
 * @throws CapstanError `token-shared` when more appeared than that: another host worked on the token, too
 */
async function rememberCreated(
  host: Host,
  { token, pin, nicknames }: TokenKeys,
  report: StepReport,
): Promise<void> {
  const before = (report.facts.tokenBefore ?? []) as ObjectRef[];
  const after = await inventory(host, token, pin);
  await report.remember({ tokenCreated: createdBy(token, nicknames, before, after) });
}

/**
 * What appeared between two inventories of the token.
 * @throws CapstanError `token-shared`
 */
function createdBy(
  token: TokenChoice,
  nicknames: readonly string[],
  before: readonly ObjectRef[],
  after: readonly ObjectRef[],
): ObjectRef[] {
  const created = appeared(before, after);
  const strange = created.filter(({ label }) => label !== '' && !nicknames.includes(label));
  const keys = created.filter((object) => object.class === 'private-key');
  if (strange.length > 0 || keys.length > nicknames.length) {
    const names = [...strange, ...keys].map((object) => `${object.class} ${object.id} "${object.label}"`);
    throw failure(
      'token-shared',
      `Somebody else made objects on the token ${token.label} at the same time: ${names.join(', ')}.`,
      'Nothing of them was or will be deleted. See whose they are with the tool of the HSM, and install on one host at a time.',
    );
  }
  return created;
}

/**
 * Deletes what this installation made, and says what of it was not found. Where the journal does not name the objects,
 * because Capstan was killed while pkispawn ran, they are those that appeared since the inventory taken before it.
 * @throws CapstanError `token-shared` when these cannot all be its own, and what Module throws
 */
export async function purgeToken(
  host: Host,
  { token, pin, nicknames }: TokenKeys,
  report: StepReport,
): Promise<void> {
  const { tokenBefore, tokenPurged } = report.facts as { tokenBefore?: ObjectRef[]; tokenPurged?: boolean };
  if (!tokenBefore || tokenPurged) return;
  await onToken(host, token, pin, async (module, slot) => {
    const objects = await module.objects(slot);
    if (!report.facts.tokenCreated) {
      await report.remember({
        tokenCreated: createdBy(token, nicknames, tokenBefore, objects.map(objectRef)),
      });
    }
    const created = report.facts.tokenCreated as ObjectRef[];
    const deleted = await module.deleteObjects(slot, belongingTo(objects, created).map(objectRef));
    const gone = created.filter(
      (object) => object.class === 'private-key' && !deleted.some(({ id }) => id === object.id),
    );
    report.line(`${deleted.length} objects deleted from the token ${token.label}`);
    for (const { id, label } of gone) report.line(`The key ${id} "${label}" was no longer on the token`);
  });
  await report.remember({ tokenPurged: true });
}

/** Whether a step that makes keys may have made anything on the token that is still there. */
export function mayHoldObjects(entry: JournalEntry | undefined): boolean {
  if (!entry || entry.state === 'undone') return false;
  return entry.facts.tokenBefore !== undefined && entry.facts.tokenPurged !== true;
}
