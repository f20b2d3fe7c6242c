/** How a server comes to supply a suffix that it did not supply, or does not any more. */
import type { Host } from '../host/host.ts';
import type { Directory } from './client.ts';
import { allocateReplicaId } from './replica-id.ts';
import { makeSupplier, supplierId, unmakeSupplier } from './replication.ts';
import { cleanRuv, ruvOf } from './ruv.ts';

/**
 * Has a server supply a suffix that nobody supplies with it: under the replica id that it has for the domain, or under
 * another one where its data know that id already. The vector stays with the data when the supplying ends, and the
 * changelog does not: under the same id the feeds would look there for the last of the old changes, and send nothing
 * ("Can't locate CSN ... in the changelog", 389-ds 1.4.4.11). What the vector tells of before is cleaned out of it.
 * @param domain the domain's suffix, whose tree holds the counter of the ids
 * @throws CapstanError those of {@link makeSupplier}, {@link allocateReplicaId} and {@link cleanRuv}
 */
export async function beginSupplying(
  host: Host,
  directory: Directory,
  suffix: string,
  domain: string,
): Promise<void> {
  const draw = () => allocateReplicaId(directory, domain);
  let id = (await supplierId(directory, domain)) ?? (await draw());
  await makeSupplier(directory, suffix, id);
  const known = (await ruvOf(directory, suffix))?.elements ?? [];
  if (known.some((element) => element.id === id && element.last)) {
    id = await draw();
    await unmakeSupplier(directory, suffix);
    await makeSupplier(directory, suffix, id);
  }
  for (const { id: old } of known) if (old !== id) await cleanRuv(host, directory, suffix, old);
}
