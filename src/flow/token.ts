/** The objects that one installation makes on the token: known to the journal, and deleted by nobody else. */
import { CA_TOKEN_NICKNAMES } from '../dogtag/certificates.ts';
import { failure } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { appeared, belongingTo, objectRef } from '../hsm/inventory.ts';
import { type Module, withModule } from '../hsm/module.ts';
import type { ObjectRef } from '../hsm/protocol.ts';
import { occupiedRefusals } from '../hsm/requirements.ts';
import { selectToken } from '../hsm/token.ts';
import type { StepReport } from '../plan/step.ts';
import type { Secret } from '../secret/secret.ts';
import { PKI_USER, type TokenChoice } from './site.ts';

/** Works on the token, logged in, through its library in a process of pkiuser's. */
export async function onToken<T>(
  host: Host,
  token: TokenChoice,
  pin: Secret,
  work: (module: Module, slot: number) => Promise<T>,
): Promise<T> {
  const request = { libraryPath: token.libraryPath, user: PKI_USER };
  return withModule(host, request, async (module) => {
    const { slot } = selectToken(await module.tokens(), token.label);
    await module.login(slot, pin);
    return work(module, slot);
  });
}

/**
 * What is on the token right before the first key is made: minutes have gone by since the preflight.
 * @throws CapstanError `token-occupied`, and what Module throws
 */
export async function blankToken(host: Host, token: TokenChoice, pin: Secret): Promise<ObjectRef[]> {
  const objects = await onToken(host, token, pin, (module, slot) => module.objects(slot));
  const [occupied] = occupiedRefusals(token.label, objects, CA_TOKEN_NICKNAMES);
  if (occupied) throw occupied;
  return objects.map(objectRef);
}

async function inventory(host: Host, token: TokenChoice, pin: Secret): Promise<ObjectRef[]> {
  return onToken(host, token, pin, async (module, slot) => (await module.objects(slot)).map(objectRef));
}

/**
 * Puts into the journal what this run made on the token: what appeared, tied to its private keys by CKA_ID.
 * @throws CapstanError `token-shared` when more appeared than one CA makes: another host worked on the token, too
 */
export async function rememberCreated(
  host: Host,
  token: TokenChoice,
  pin: Secret,
  report: StepReport,
): Promise<void> {
  const before = (report.facts.tokenBefore ?? []) as ObjectRef[];
  const created = appeared(before, await inventory(host, token, pin));
  const strange = created.filter(({ label }) => label !== '' && !CA_TOKEN_NICKNAMES.includes(label));
  const keys = created.filter((object) => object.class === 'private-key');
  if (strange.length > 0 || keys.length > CA_TOKEN_NICKNAMES.length) {
    const names = [...strange, ...keys].map((object) => `${object.class} ${object.id} "${object.label}"`);
    throw failure(
      'token-shared',
      `Somebody else made objects on the token ${token.label} at the same time: ${names.join(', ')}.`,
      'Nothing of them was or will be deleted. See whose they are with the tool of the HSM, and install on one host at a time.',
    );
  }
  await report.remember({ tokenCreated: created });
}

/**
 * Deletes what this installation made, by the ids in the journal, and says what it did not find.
 * @throws CapstanError `token-objects-unknown` when the journal does not tell, and what Module throws
 */
export async function purgeToken(
  host: Host,
  token: TokenChoice,
  pin: Secret,
  report: StepReport,
): Promise<void> {
  const { tokenBefore, tokenCreated } = report.facts as {
    tokenBefore?: ObjectRef[];
    tokenCreated?: ObjectRef[];
  };
  if (!tokenBefore) return;
  await onToken(host, token, pin, async (module, slot) => {
    const objects = await module.objects(slot);
    if (!tokenCreated) {
      const since = appeared(tokenBefore, objects.map(objectRef));
      if (since.length > 0) throw unknownObjects(token, since);
      return;
    }
    const deleted = await module.deleteObjects(slot, belongingTo(objects, tokenCreated).map(objectRef));
    const gone = tokenCreated.filter(
      (object) => object.class === 'private-key' && !deleted.some(({ id }) => id === object.id),
    );
    report.line(`${deleted.length} objects deleted from the token ${token.label}`);
    for (const { id, label } of gone) report.line(`The key ${id} "${label}" was no longer on the token`);
  });
}

function unknownObjects(token: TokenChoice, objects: readonly ObjectRef[]) {
  const names = objects.map((object) => `${object.class} ${object.id} "${object.label}"`);
  return failure(
    'token-objects-unknown',
    `The journal does not say which objects on the token ${token.label} this installation made; these were not there before it: ${names.join(', ')}.`,
    'Nothing was deleted from the token. Delete what is yours with the tool of the HSM.',
  );
}
