/** What is left to do on the token after certmonger wrote a renewed certificate to it. */
import { INSTANCE } from '../../dogtag/certificates.ts';
import { instancePins } from '../../dogtag/nssdb.ts';
import { failure } from '../../errors.ts';
import type { Host } from '../../host/host.ts';
import { objectRef } from '../../hsm/inventory.ts';
import { withModule } from '../../hsm/module.ts';
import type { TokenObject } from '../../hsm/protocol.ts';
import { isSoftHsm, softHsmStore } from '../../hsm/softhsm.ts';
import { folderOf, ownTokenFolder } from '../../hsm/softhsm-folder.ts';
import { selectToken } from '../../hsm/token.ts';
import { PKI_USER, type TokenChoice } from '../site.ts';
import { onToken } from '../token.ts';
import type { Renewed } from './place.ts';

/**
 * Has Dogtag's user see each of the renewed certificates once on the token, beside its key.
 * @throws CapstanError `renewal-not-on-token`, and what Module throws
 */
export async function settleToken(
  host: Host,
  token: TokenChoice,
  renewed: readonly Renewed[],
): Promise<void> {
  const here = renewed.filter(({ certificate }) => certificate.token === 'hsm');
  if (here.length === 0) return;
  await ownFiles(host, token);
  const pin = (await instancePins(INSTANCE)).pin(token.label);
  await onToken(host, token, pin, async (module, slot) => {
    const objects = await module.objects(slot);
    const stale = here.flatMap((one) => staleOf(objects, one, token));
    if (stale.length > 0) await module.deleteObjects(slot, stale.map(objectRef));
  });
}

/**
 * The certificates on a token that a renewed one replaced.
 * @throws CapstanError `renewal-not-on-token` where the renewed one or its key is not there
 */
export function staleOf(
  objects: readonly TokenObject[],
  { certificate: { nickname }, renewed }: Pick<Renewed, 'certificate' | 'renewed'>,
  { label }: Pick<TokenChoice, 'label'>,
): TokenObject[] {
  const value = renewed.raw.toString('base64');
  const found = objects.find((object) => object.class === 'certificate' && object.value === value);
  const key = objects.find((object) => object.class === 'private-key' && object.id === found?.id);
  if (!found || !key) {
    throw failure(
      'renewal-not-on-token',
      `certmonger says that it saved "${nickname}", ${renewed.serialNumber}, on the token ${label}, but ${found ? 'its key' : 'it'} is not there.`,
      'Look at "getcert list" and at the token with the tool of the HSM.',
    );
  }
  return objects.filter(
    (object) =>
      object.class === 'certificate' &&
      object.id === found.id &&
      object.label === nickname &&
      object.value !== undefined &&
      object.value !== value,
  );
}

/** What root writes to a token of SoftHSM nobody else can read; certmonger writes as root. */
async function ownFiles(host: Host, { libraryPath, label }: TokenChoice): Promise<void> {
  const request = { libraryPath, user: PKI_USER };
  const serial = await withModule(host, request, async (module) =>
    isSoftHsm(module.facts) ? selectToken(await module.tokens(), label).serial : undefined,
  );
  if (serial === undefined) return;
  const store = await softHsmStore(host, request);
  await ownTokenFolder(store, await folderOf(store, serial));
}
