/** Proof that what is written on one server arrives on another. */
import { randomBytes } from 'node:crypto';
import { failure, isInterruption, sentenceOf } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { pause, within } from '../host/wait.ts';
import { agreementFor, hasReached } from './agreement.ts';
import type { Directory } from './client.ts';
import { PROBE } from './identity.ts';

/** One direction between two servers, by host name, in one suffix. */
export interface Way {
  suffix: string;
  sender: string;
  receiver: string;
}

/** The entry by which a way is tried; each way has its own, so that a killed run's is found again. */
function probeDn({ suffix, sender, receiver }: Way): string {
  return `cn=${PROBE}${sender}-${receiver},${suffix}`;
}

/** Milliseconds between two looks. */
const LOOK = 100;

/**
 * Writes an entry on one server, waits until another one has it, removes it and waits until it is gone there, too. The
 * agreement between the two must have worked: in a ring, the entry also comes the other way round.
 * @returns seconds until the entry was seen
 * @throws CapstanError `replication-unproven`, also after the deadline `replication`; `directory-refused`, `interrupted`
 */
export async function proveReplication(
  host: Host,
  from: Directory,
  to: Directory,
  way: Way,
): Promise<number> {
  const dn = probeDn(way);
  const mark = randomBytes(12).toString('hex');
  await removeProbe(from, way);
  await from.add(dn, {
    objectClass: ['top', 'applicationProcess'],
    cn: [dn.slice('cn='.length, dn.indexOf(','))],
    description: [mark],
  });
  const written = Date.now();
  try {
    await seen(host, from, way, async () => {
      const entry = await to.entry(dn, ['description']);
      if (entry?.values('description')[0] !== mark) return false;
      const agreement = await agreementFor(from, way);
      return agreement !== undefined && hasReached(agreement);
    });
  } finally {
    // Interrupted, nothing can be done any more; see removeProbe.
    if (!host.signal.aborted) await removeProbe(from, way);
  }
  const seconds = (Date.now() - written) / 1000;
  await seen(host, from, way, async () => (await to.entry(dn, ['1.1'])) === undefined);
  return seconds;
}

/** Removes what an interrupted proof left on the server on which it was written; that there is nothing is no error. */
export async function removeProbe(from: Directory, way: Way): Promise<void> {
  await from.remove(probeDn(way));
}

async function seen(host: Host, from: Directory, way: Way, look: () => Promise<boolean>): Promise<void> {
  const what = `a change of ${way.suffix} on ${way.sender} to arrive on ${way.receiver}`;
  try {
    await within(host, 'replication', what, async (signal) => {
      while (!(await look()) && !signal.aborted) await pause(host, LOOK, what);
    });
  } catch (error) {
    if (isInterruption(error)) throw error;
    throw unproven(way, await reason(from, way, error), error);
  }
}

/** What the sender's own agreement says, when it says something; it knows more than that nothing came. */
async function reason(from: Directory, way: Way, error: unknown): Promise<string> {
  const agreement = await agreementFor(from, way).catch(() => undefined);
  if (!agreement || agreement.lastUpdate.ok) return sentenceOf(error);
  return `${sentenceOf(error)}; ${way.sender} says: ${agreement.lastUpdate.text}`;
}

function unproven({ suffix, sender, receiver }: Way, said: string, error: unknown) {
  return failure(
    'replication-unproven',
    `What is written to ${suffix} on ${sender} does not arrive on ${receiver}: ${said}`,
    `Check that ${sender} reaches ${receiver} on TCP port 636, and the error logs of both directories.`,
    error,
  );
}
