import { addAgreement, initialise } from '../../directory/agreement.ts';
import { addBackend, removeBackend } from '../../directory/backend.ts';
import { type Directory, withLocalDirectory } from '../../directory/client.ts';
import { instanceUnit } from '../../directory/instance.ts';
import { allocateReplicaId } from '../../directory/replica-id.ts';
import { letIn, makeSupplier, supplierId } from '../../directory/replication.ts';
import { proveReplication } from '../../directory/replication-proof.ts';
import { beginSupplying } from '../../directory/supplying.ts';
import { inTurn } from '../../directory/turn.ts';
import { CA_BACKEND, CA_SUFFIX } from '../../dogtag/deployment.ts';
import { type CapstanError, isInterruption, sentenceOf } from '../../errors.ts';
import type { Host } from '../../host/host.ts';
import { restart } from '../../host/services.ts';
import type { Step, StepReport } from '../../plan/step.ts';
import { passingSecret } from '../../secret/passing.ts';
import { cutOff } from '../cut-off.ts';
import type { Joining } from '../joining.ts';
import type { Peers } from '../peers.ts';
import { directoryOf, type JoinedSite } from '../site.ts';

/** Replicates the domain's subtree with the server that was joined: servers, roles, the HSM record. */
export function domainReplication(host: Host, site: JoinedSite, { peers }: Joining, force = false): Step {
  const { suffix } = directoryOf(site);
  return replication(host, site, peers, {
    id: 'domain-replication',
    title: `Replicate ${suffix} with ${site.supplier}, both ways over TLS`,
    suffix,
    force,
  });
}

/** Replicates the CA's subtree: certificates, requests, profiles, users. */
export function caReplication(host: Host, site: JoinedSite, { peers }: Joining, force = false): Step {
  return replication(host, site, peers, {
    id: 'ca-replication',
    title: `Replicate ${CA_SUFFIX} with ${site.supplier}, both ways over TLS`,
    suffix: CA_SUFFIX,
    backend: CA_BACKEND,
    force,
  });
}

/** A suffix that this host is to supply. */
interface Replicated {
  id: string;
  title: string;
  suffix: string;
  /** The database that is made for it, where this server has none yet. */
  backend?: string;
  /** Whether an undo goes on although a peer cannot be told. */
  force: boolean;
}

function replication(host: Host, site: JoinedSite, peers: Peers, wanted: Replicated): Step {
  const instance = directoryOf(site);
  return {
    id: wanted.id,
    title: wanted.title,
    holdsBack: true,
    done: async () => false,
    async apply(report) {
      // A directory that was given a suffix, and lost it in an undo, crashes when it is given it again (389-ds 1.4.4.11).
      if (report.facts.replicaId !== undefined) await restart(host, instanceUnit(instance));
      await withLocalDirectory(host, instance, (local) =>
        peers.at(site.supplier, async (remote) => {
          if (wanted.backend) await addBackend(local, wanted.backend, wanted.suffix);
          await bothSupply(host, local, remote, site, wanted.suffix, report);
          const there = { at: remote, hostname: site.supplier };
          const here = { at: local, hostname: site.hostname };
          await feed(there, here, wanted.suffix);
          await initialise(host, remote, { suffix: wanted.suffix, receiver: site.hostname }, report.line);
          // First this way: a sender whose changelog has no change of the other server yet fails its first session, and
          // waits some seconds ("Can't locate CSN", 389-ds 1.4.4.11, seen).
          await prove(host, there, here, wanted.suffix, report.line);
          await feed(here, there, wanted.suffix);
          await prove(host, here, there, wanted.suffix, report.line);
        }),
      );
    },
    async undo(report) {
      const unmakeAt = report.facts.supplierMade === true ? site.supplier : undefined;
      const replicaId = report.facts.replicaId as number | undefined;
      const cut = { suffix: wanted.suffix, replicaId, unmakeAt, forget: !wanted.backend };
      await cutOff(host, site, peers, cut, report.line).catch((error: unknown) => {
        if (!wanted.force || isInterruption(error)) throw error;
        report.line(sentenceOf(error));
      });
      if (!wanted.backend) return;
      // A directory that does not run any more takes its databases with it.
      await removeBackend(host, instance, wanted.backend).catch((error: unknown) => {
        if ((error as CapstanError).code !== 'directory-unreachable') throw error;
        report.line(sentenceOf(error));
      });
    },
  };
}

/** Gives both servers their replica ids. */
async function bothSupply(
  host: Host,
  local: Directory,
  remote: Directory,
  site: JoinedSite,
  suffix: string,
  report: StepReport,
): Promise<void> {
  const domain = directoryOf(site).suffix;
  // Of two that make one server a supplier at the same time 389-ds refuses one, and ends with a segmentation fault when
  // the other has its changelog trimmed (1.4.4.11, seen).
  await inTurn(host, remote, site.hostname, async () => {
    const theirs = await supplierId(remote, suffix);
    await report.remember({ supplierMade: report.facts.supplierMade ?? theirs === undefined });
    if (theirs === undefined) await beginSupplying(host, remote, suffix, domain);
    else await makeSupplier(remote, suffix, theirs);
  });
  const replicaId =
    (report.facts.replicaId as number | undefined) ??
    (await supplierId(local, suffix)) ??
    (await supplierId(local, domain)) ??
    (await allocateReplicaId(remote, domain));
  await report.remember({ replicaId });
  await makeSupplier(local, suffix, replicaId);
}

/** A server and its directory. */
interface End {
  at: Directory;
  hostname: string;
}

/** Has one server send to another, with a password that nobody else ever gets to know. */
async function feed(from: End, to: End, suffix: string): Promise<void> {
  const [sender, receiver] = [from.hostname, to.hostname];
  const password = passingSecret(`password of ${sender} on ${receiver}`);
  await letIn(to.at, { suffixes: [suffix], sender, password });
  await addAgreement(from.at, { suffix, sender, receiver, password });
}

/** Proves by a write that one server sends to the other. */
async function prove(
  host: Host,
  from: End,
  to: End,
  suffix: string,
  line: (text: string) => void,
): Promise<void> {
  const way = { suffix, sender: from.hostname, receiver: to.hostname };
  const seconds = await proveReplication(host, from.at, to.at, way);
  line(`A change on ${way.sender} is on ${way.receiver} after ${seconds.toFixed(1)} s`);
}
