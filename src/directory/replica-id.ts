/** The numbers by which replication tells servers apart. */
import { failure } from '../errors.ts';
import type { Directory } from './client.ts';
import { replicaIdDn } from './identity.ts';
import { replicasOf } from './ruv.ts';

/** The last id of a server that takes changes (389-ds, slapi-plugin.h; 65535 is for those that only receive). */
const LAST_ID = 65_534;

/** How often it is tried when somebody else draws at the same time; FreeIPA tries as often. */
const ATTEMPTS = 5;

/**
 * Draws a replica id: the number in FreeIPA's counter, or the next one that no server has, in any suffix. The counter is
 * replicated, so draw on one server of a cluster at a time.
 * @param suffix the domain's, whose tree holds the counter
 * @throws CapstanError `replica-ids-missing`, `replica-ids-busy`, `replica-ids-used-up`, `directory-refused`
 */
export async function allocateReplicaId(directory: Directory, suffix: string): Promise<number> {
  const dn = replicaIdDn(suffix);
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    const counter = (await directory.entry(dn, ['nsDS5ReplicaId']))?.values('nsDS5ReplicaId')[0];
    if (counter === undefined) {
      throw failure(
        'replica-ids-missing',
        `The directory has no counter of replica ids: ${dn} is not there.`,
        'Let the first server bring its directory up to date.',
      );
    }
    const id = nextId(Number(counter), await idsInUse(directory));
    if (await directory.swap(dn, 'nsDS5ReplicaId', counter, String(id + 1))) return id;
  }
  throw failure(
    'replica-ids-busy',
    `The counter of replica ids, ${dn}, changed each time that it was read.`,
    'Run the command again when no other server is being installed.',
  );
}

/** The first id from the counter on that nobody has. @throws CapstanError `replica-ids-used-up` */
export function nextId(counter: number, used: ReadonlySet<number>): number {
  let id = counter;
  while (used.has(id)) id++;
  if (id <= LAST_ID) return id;
  throw failure(
    'replica-ids-used-up',
    `There is no replica id left from ${counter} on: the last one is ${LAST_ID}.`,
    'Set nsDS5ReplicaId of cn=replication,cn=etc, below the suffix of the domain, to a number that no server has or had.',
  );
}

/** The ids that suppliers of any suffix have or had, as this server knows them. */
async function idsInUse(directory: Directory): Promise<Set<number>> {
  const ids = (await replicasOf(directory)).flatMap(({ id, ruv }) => [
    id,
    ...ruv.elements.map((element) => element.id),
  ]);
  return new Set(ids);
}
