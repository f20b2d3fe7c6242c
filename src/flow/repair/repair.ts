/** Getting a server back whose certificates have expired: `capstan repair`. */
import { CapstanError, EXIT_FAILED, EXIT_REFUSED, refusal } from '../../errors.ts';
import type { Host } from '../../host/host.ts';
import { clearLeftovers } from '../../host/leftovers.ts';
import { createJournal, type JournalFile, readJournal } from '../../plan/journal.ts';
import { runChecks, runSteps, undoSteps } from '../../plan/run.ts';
import type { Check, Listener } from '../../plan/step.ts';
import { version } from '../../version.ts';
import { requireHsm, serverProblems, wakeDirectory } from '../recovery.ts';
import { requireServer } from '../renewal/renew.ts';
import { DRY_RUN, type InstalledServer, type Report } from '../site.ts';
import { requireAuthority } from './authority.ts';
import { certificatesHere, day, requireExpired } from './expiry.ts';
import { REPAIR_JOURNAL } from './journal.ts';
import { requireTurn } from './shared.ts';
import { repairSteps } from './steps.ts';

/** How a repair is run. */
export interface RepairWish {
  /** Stop after the checks, and show the plan. */
  dryRun: boolean;
  /** Asks whether the plan that was shown is meant; throws where it is not. */
  confirm(): Promise<void>;
  listen: Listener;
}

/**
 * Repairs the server of this host: says what it will do, has Dogtag start in spite of what has expired, renews everything for
 * the keys that there are, and takes the temporary settings back. A run that stopped is gone on with by the next.
 * @throws CapstanError (exit code 2, nothing changed) `not-installed`, `no-ca`, `unfinished-run`, `removal-begun`;
 *   PreflightError with `nothing-expired`, `clock-behind`, `ca-expired`, `other-server-first`, `hsm-unavailable`...;
 *   (exit code 1) that of the step that failed
 */
export async function repairServer(host: Host, { dryRun, confirm, listen }: RepairWish): Promise<Report> {
  const server = await requireServer();
  const { site, hasKra } = server;
  let journal = await readJournal(REPAIR_JOURNAL);
  if (journal?.journal.removing) throw removalBegun(journal.journal.removing);
  if (journal && !dryRun) await clearLeftovers(host, journal.journal.runs);
  await runChecks(checks(host, server, journal !== undefined), listen);
  const steps = repairSteps(host, site, hasKra, () => journal);
  listen({ type: 'plan', steps: steps.map(({ id, title }) => ({ id, title })) });
  if (dryRun) return DRY_RUN;
  await confirm();
  if (journal) await journal.resume(host.runId);
  else journal = await beginning(host, site.hostname);
  const settle = () => host.run('sync', ['-f', '/etc', '/var/lib'], { what: 'the disk' });
  try {
    await runSteps(steps, { journal, listen, signal: host.signal, settle });
  } catch (error) {
    throw kept(error);
  }
  await journal.remove();
  return report(site.hostname);
}

function beginning(host: Host, hostname: string): Promise<JournalFile> {
  const head = { flow: 'repair', capstan: version(), runs: [host.runId], site: { hostname } };
  return createJournal(REPAIR_JOURNAL, head);
}

/**
 * Takes the temporary settings of a repair that stopped back. What it renewed stays.
 * @throws CapstanError `nothing-to-undo`, `repair-not-undone`, `interrupted`
 */
export async function undoRepair(host: Host, listen: Listener): Promise<Report> {
  const { site, hasKra } = await requireServer();
  const journal = await readJournal(REPAIR_JOURNAL);
  if (!journal) throw refusal('nothing-to-undo', 'No repair stopped half way on this host.');
  await clearLeftovers(host, journal.journal.runs);
  await wakeDirectory(host, site, () => {});
  const steps = repairSteps(host, site, hasKra, () => journal);
  const [first] = await undoSteps(steps, { journal, listen, run: host.runId, signal: host.signal });
  if (first) throw first;
  return {
    title: 'The temporary settings of the repair are taken back; what it renewed stays.',
    facts: [],
    next: ['Dogtag may be stopped. Go on when you can: capstan repair'],
  };
}

function checks(host: Host, { site, hasKra }: InstalledServer, goesOn: boolean): Check[] {
  const withDirectory = async (look: () => Promise<string>) => {
    const { directory } = await serverProblems(host, site, { directory: true, ca: false });
    return directory ? 'is looked at when the directory runs' : look();
  };
  return [
    {
      id: 'token',
      title: `The token ${site.token.label} lets Dogtag in`,
      async run() {
        await requireHsm(host, site, () => {});
        return 'yes';
      },
    },
    {
      id: 'expired',
      title: 'What has expired',
      async run() {
        const here = await certificatesHere(host, site, hasKra);
        if (goesOn) return 'a repair that stopped is gone on with';
        const expired = requireExpired(here);
        const [first] = expired;
        const told = `${expired.length} of ${here.length} certificates, the first of them, ${first?.name}, on ${first && day(first.certificate)}`;
        // A clock that is wrong would make certificates that nobody accepts when it is right again.
        return `${told}; the clock says ${new Date().toISOString().slice(0, 16)}Z`;
      },
    },
    {
      id: 'authority',
      title: 'The certificate of the CA',
      run: () => withDirectory(() => requireAuthority(host, site)),
    },
    {
      id: 'turn',
      title: 'It is the turn of this server',
      run: () => withDirectory(() => requireTurn(host, site, hasKra)),
    },
  ];
}

function removalBegun(at: string) {
  return refusal(
    'removal-begun',
    `The last repair began to be taken back at ${at}.`,
    'Take back the rest with "capstan repair --undo"; then begin anew.',
  );
}

function kept(error: unknown): unknown {
  if (!(error instanceof CapstanError)) return error;
  const { code, message, next, cause } = error;
  const exit = error.exit === EXIT_REFUSED ? EXIT_FAILED : error.exit;
  const more =
    'What was renewed stays. "capstan repair" goes on; "capstan repair --undo" takes the temporary settings of Dogtag back.';
  return new CapstanError({ code, message, exit, next: [next, more].filter(Boolean).join(' '), cause });
}

function report(hostname: string): Report {
  return {
    title: `The server ${hostname} is back, with new certificates for its old keys.`,
    facts: [],
    next: [
      'See how it is: capstan status, capstan health',
      'On each of the other servers of the cluster, one after the other: capstan repair',
    ],
  };
}
