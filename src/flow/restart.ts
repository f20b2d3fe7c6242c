/** Bringing back a server that stopped, or whose CA lost its HSM: what `capstan restart` does. */
import { type KeptPin, replacePins } from '../certmonger/pins.ts';
import { CapstanError, failure, refusal, sentenceOf } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { isActive, start } from '../host/services.ts';
import { isUnfinished } from '../plan/journal.ts';
import { runChecks } from '../plan/run.ts';
import type { Check, Listener } from '../plan/step.ts';
import { connectorComplaint, connectorProblems, mendConnector } from './connectors.ts';
import { requireHsm, restoreCa, serverProblems, startDirectory } from './recovery.ts';
import { outdatedPins } from './renewal/pins.ts';
import { hasRenewalTimer, RENEWAL_TIMER } from './renewal/units.ts';
import { refuseDuringRepair } from './repair/journal.ts';
import { directoryOf, installedServer, type Report, type Site, tellingJournal } from './site.ts';

const CERTMONGER = 'certmonger.service';

/** What is wrong with each part, found before anything is touched; undefined where it is well. */
interface Findings {
  directory?: CapstanError | undefined;
  ca?: CapstanError | undefined;
  connector?: CapstanError | undefined;
  certmonger?: CapstanError | undefined;
  /** What certmonger has to be told because the PIN of a token was changed. */
  pins?: KeptPin[];
}

/** One part of the server, and how it is brought back. */
interface Repair {
  id: keyof Findings;
  title: string;
  /** @returns what was done, in words */
  run(line: (text: string) => void): Promise<string[]>;
}

/**
 * Brings the server of this host back, in order: directory, CA, certmonger. What works is not touched. When the CA does
 * not work, its token is looked at before anything is changed.
 * @throws CapstanError `not-installed`, `unfinished-run`, `unfinished-repair`; PreflightError with `hsm-unavailable` or a PIN's own code and
 *   nothing changed; `directory-not-started`, `ca-not-started`, `command-failed`, `interrupted`
 */
export async function restartServer(host: Host, listen: Listener): Promise<Report> {
  const server = await installedServer();
  const { site, hasCa, hasKra } = server;
  const journal = tellingJournal(server);
  if (isUnfinished(journal)) throw unfinished(journal.journal.flow);
  await refuseDuringRepair();
  const found: Findings = {};
  const there = ({ id }: { id: string }) => hasCa || !['ca', 'token', 'connector'].includes(id);
  await runChecks(looks(host, site, hasKra, found).filter(there), listen);
  const repairs = repairsOf(host, site, hasKra, found).filter(there);
  listen({ type: 'plan', steps: repairs.map(({ id, title }) => ({ id, title })) });
  const done: string[] = [];
  for (const repair of repairs) done.push(...(await take(repair, found[repair.id] !== undefined, listen)));
  return report(site, done);
}

/** The looks, each with what it found as its fact: that a part is down is no reason to refuse, but the reason to be here. */
function looks(host: Host, site: Site, kra: boolean, found: Findings): Check[] {
  const fact = (problem: CapstanError | undefined, remedy: string) =>
    problem ? `${remedy}: ${problem.message}` : 'well';
  return [
    {
      id: 'directory',
      title: `The directory ${directoryOf(site).name} answers`,
      async run() {
        found.directory = (await serverProblems(host, site, { directory: true, ca: false })).directory;
        return fact(found.directory, 'to be started');
      },
    },
    {
      id: 'ca',
      title: `The CA answers, knows its profiles and makes a signature${kra ? '; the KRA recovers' : ''}`,
      async run() {
        // Its signature needs an answer of the directory: without one there is nothing to wait for.
        found.ca =
          found.directory ?? (await serverProblems(host, site, { directory: false, ca: true, kra })).ca;
        return found.directory
          ? 'to be looked at when the directory is back'
          : fact(found.ca, 'to be restarted');
      },
    },
    {
      id: 'token',
      title: `The token ${site.token.label} lets Dogtag in`,
      async run() {
        found.pins = await outdatedPins(site);
        if (!found.ca && found.pins.length === 0) return 'the CA uses it';
        await requireHsm(host, site, () => {});
        return 'yes';
      },
    },
    {
      id: 'connector',
      title: 'The CA knows every KRA of the cluster, and no other',
      async run() {
        if (found.directory) return 'to be looked at when the directory is back';
        const complaint = connectorComplaint(await connectorProblems(host, site));
        if (complaint !== undefined) found.connector = failure('kra-unconnected', `it ${complaint}`);
        return fact(found.connector, 'to be told');
      },
    },
    {
      id: 'certmonger',
      title: 'certmonger runs, with the PINs that Dogtag has',
      async run() {
        const idle = await idleUnits(host);
        if (idle.length > 0)
          found.certmonger = failure('certmonger-stopped', `${idle.join(' and ')} not active`);
        else if (found.pins?.length)
          found.certmonger = failure('pins-outdated', 'it has another PIN than Dogtag');
        return fact(found.certmonger, 'to be started');
      },
    },
  ];
}

function repairsOf(host: Host, site: Site, kra: boolean, { pins = [] }: Findings): Repair[] {
  return [
    {
      id: 'directory',
      title: `Start the directory ${directoryOf(site).name}`,
      run: async (line) => [await startDirectory(host, site, line)],
    },
    {
      id: 'ca',
      title: `Bring the CA back to where it makes signatures${kra ? ', and the KRA to where it recovers' : ''}`,
      run: (line) => restoreCa(host, site, line, kra),
    },
    {
      id: 'connector',
      title: 'Tell the CA of the KRAs that it does not know, and of those that are gone',
      run: () => mendConnector(host, site),
    },
    {
      id: 'certmonger',
      title: 'Start certmonger, and the timer of the renewals',
      async run() {
        // Before it is started: it gives its PINs to the tokens when it starts.
        if (pins.length > 0) await replacePins(host, pins);
        const idle = await idleUnits(host);
        for (const unit of idle) await start(host, unit);
        return [
          ...(pins.length > 0 ? ['had certmonger take the PIN that Dogtag has'] : []),
          ...idle.map((unit) => `started ${unit.replace(/\.service$/, '')}`),
        ];
      },
    },
  ];
}

/** What renews certificates and is not active. */
async function idleUnits(host: Host): Promise<string[]> {
  const units = [CERTMONGER, ...((await hasRenewalTimer()) ? [RENEWAL_TIMER] : [])];
  const active = await Promise.all(units.map((unit) => isActive(host, unit)));
  return units.filter((_, index) => !active[index]);
}

async function take({ id, title, run }: Repair, needed: boolean, listen: Listener): Promise<string[]> {
  const begun = performance.now();
  const seconds = () => Math.round(performance.now() - begun) / 1000;
  listen({ type: 'step-started', id, title });
  try {
    const done = needed ? await run((line) => listen({ type: 'step-line', id, line })) : [];
    listen({ type: 'step-finished', id, title, seconds: seconds(), changed: done.length > 0 });
    return done;
  } catch (error) {
    const code = error instanceof CapstanError ? error.code : 'unexpected';
    listen({ type: 'step-failed', id, title, seconds: seconds(), code, message: sentenceOf(error) });
    throw error;
  }
}

function report({ hostname }: Site, done: readonly string[]): Report {
  if (done.length === 0)
    return { title: `The server ${hostname} is well; there was nothing to do.`, facts: [], next: [] };
  return {
    title: `The server ${hostname} is back.`,
    facts: done.map((value) => ({ name: 'Done', value })),
    next: ['See how it is: capstan status'],
  };
}

function unfinished(flow: string) {
  return refusal(
    'unfinished-run',
    'The installation on this host did not come to its end, or its removal did not; there is no whole server to bring back.',
    `Go on with "capstan ${flow} --resume", or take everything back with "capstan ${flow} --undo".`,
  );
}
