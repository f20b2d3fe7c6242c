/** Taking turns at a directory: what two servers must not do there at the same time. */
import { failure } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { pause } from '../host/wait.ts';
import type { Directory } from './client.ts';
import { REPLICATION_ACCOUNTS_DN } from './identity.ts';

/** Milliseconds between two looks whether it is somebody's turn. */
const BETWEEN_LOOKS = 500;
/** Milliseconds after which a turn that does not pass on is taken for that of a server that was killed in it. */
const LOST = 60_000;
/** Milliseconds until it is given up: two turns of servers that were killed. */
const PATIENCE = 150_000;

/** The entry that is there while it is somebody's turn; in the directory's own configuration, which is not replicated. */
export const TURN_DN = `cn=turn,${REPLICATION_ACCOUNTS_DN}`;

/**
 * Has a server of the cluster do something at a directory while no other one is at it. Whose turn it is the directory
 * itself decides: an entry is added once. A server that was killed in its turn has it still when it comes again.
 * @param hostname of the server that wants its turn
 * @throws CapstanError `turn-missed` when it does not come; `interrupted`, `directory-refused`, and what `work` throws
 */
export async function inTurn<T>(
  host: Pick<Host, 'signal'>,
  directory: Directory,
  hostname: string,
  work: () => Promise<T>,
): Promise<T> {
  await takeTurn(host, directory, hostname);
  try {
    return await work();
  } finally {
    await endTurn(directory, hostname).catch(() => undefined);
  }
}

/** Gives a turn back that a server was killed in. @throws CapstanError `directory-unreachable`, `directory-refused` */
export async function endTurn(directory: Directory, hostname: string): Promise<void> {
  if ((await holder(directory)) === hostname) await directory.remove(TURN_DN);
}

async function takeTurn(host: Pick<Host, 'signal'>, directory: Directory, hostname: string): Promise<void> {
  const begun = performance.now();
  let seen: { who: string; since: number } | undefined;
  while (performance.now() - begun < PATIENCE) {
    if (await addTurn(directory, hostname)) return;
    const who = await holder(directory);
    if (who === hostname) return;
    const now = performance.now();
    if (who !== undefined && seen?.who !== who) seen = { who, since: now };
    if (who !== undefined && seen && now - seen.since > LOST) {
      if (await directory.swap(TURN_DN, 'description', who, hostname)) return;
    }
    await pause(host, BETWEEN_LOOKS, 'its turn to join');
  }
  throw failure(
    'turn-missed',
    `Other servers have been changing the replication of the directory for ${PATIENCE / 1000} s${seen ? `, at last ${seen.who}` : ''}.`,
    'Run the command again when they have ended.',
  );
}

function addTurn(directory: Directory, hostname: string): Promise<boolean> {
  return directory.add(TURN_DN, {
    objectClass: ['top', 'nsContainer', 'extensibleObject'],
    cn: ['turn'],
    description: [hostname],
  });
}

async function holder(directory: Directory): Promise<string | undefined> {
  return (await directory.entry(TURN_DN, ['description']))?.values('description')[0];
}
