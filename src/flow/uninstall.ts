import { INSTANCE } from '../dogtag/certificates.ts';
import { instancePins } from '../dogtag/nssdb.ts';
import { failure, refusal } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { clearLeftovers } from '../host/leftovers.ts';
import { runChecks, undoSteps } from '../plan/run.ts';
import type { Check, Listener } from '../plan/step.ts';
import type { Secret } from '../secret/secret.ts';
import { serverSteps } from './server.ts';
import { installedServer, type Report, type Site } from './site.ts';
import { mayHoldObjects } from './token.ts';
import { tokenAnswers } from './token-look.ts';

/** How a server is taken back. */
export interface UninstallOptions {
  /** What to do with the token objects that the installation made; an unfinished one must be told. */
  token: 'purge' | 'keep' | undefined;
  /** The token's PIN as it was given, if it was; it takes part in a purge only. */
  pin: Secret | undefined;
  /** Asks a person for it, where it was not given and Dogtag keeps none any more. */
  askPin?: (() => Promise<Secret>) | undefined;
  listen: Listener;
}

/**
 * Takes back what the installation on this host made, finished or not, last step first, from its journal.
 * Objects on the token stay unless they are to be purged: another host may use the same keys.
 * @throws CapstanError `not-installed`, `token-choice-missing`, `token-pin-missing`, `uninstall-incomplete`
 * @throws PreflightError when the token does not let its objects be deleted, with nothing changed
 */
export async function uninstall(host: Host, options: UninstallOptions): Promise<Report> {
  const { journal, site } = await installedServer();
  const hasObjects = mayHoldObjects(journal.entry('certificate-authority'));
  if (hasObjects && !journal.journal.finished && !options.token) throw undecided(site);
  await clearLeftovers(host, journal.journal.runs);
  const pin = hasObjects && options.token === 'purge' ? await purgePin(host, site, options) : undefined;
  const steps = serverSteps(
    host,
    site,
    () => {
      throw new Error('an undo asks for no secrets');
    },
    pin ? { mode: 'purge', pin: async () => pin } : { mode: 'keep' },
  );
  const { listen } = options;
  const failures = await undoSteps(steps, { journal, listen, run: host.runId, signal: host.signal });
  if (failures.length > 0) {
    throw failure(
      'uninstall-incomplete',
      `Not everything could be removed: ${failures.map(({ message }) => message).join(' ')}`,
      'Remove the cause and run the same command again; it goes on where it stopped.',
    );
  }
  return removedReport(site, hasObjects, pin !== undefined);
}

function removedReport({ hostname, token }: Site, hadObjects: boolean, purged: boolean): Report {
  const kept = hadObjects && !purged;
  return {
    title: `The server ${hostname} was removed from this host.`,
    facts: [
      {
        name: 'Token',
        value: purged
          ? `what the installation made on ${token.label} was deleted`
          : kept
            ? `the objects on ${token.label} were left in place`
            : `nothing of this installation was on ${token.label}`,
      },
    ],
    next: kept
      ? ['A new installation needs a token without these objects: --purge-token would have deleted them.']
      : [],
  };
}

/** The PIN for a purge, tried before anything is removed: of the objects on the token only the journal knows. */
async function purgePin(host: Host, site: Site, options: UninstallOptions): Promise<Secret> {
  const { label } = site.token;
  const known = options.pin ?? (await keptPin(label)) ?? (await options.askPin?.());
  if (!known) throw pinMissing(label);
  const check: Check = {
    id: 'token',
    title: `The token ${label} lets its objects be deleted`,
    async run() {
      await tokenAnswers(host, site.token, known);
      return undefined;
    },
  };
  await runChecks([check], options.listen);
  return known;
}

/** The journal is the only record of what an unfinished installation made on the token, and it goes with the rest. */
function undecided({ token }: Site) {
  return refusal(
    'token-choice-missing',
    `The installation on this host did not come to its end, and may have made keys on the token ${token.label}.`,
    'Say what is to become of them: --purge-token deletes them, --keep-token leaves them there.',
  );
}

/** The PIN in Dogtag's own store, as long as that is there. */
async function keptPin(label: string): Promise<Secret | undefined> {
  return instancePins(INSTANCE).then(
    (pins) => pins.pin(label),
    () => undefined,
  );
}

function pinMissing(label: string) {
  return refusal(
    'token-pin-missing',
    `Dogtag does not keep the password of the token ${label} any more, which deleting its objects needs.`,
    'Give it with --token-password-file.',
  );
}
