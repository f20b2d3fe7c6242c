import { INSTANCE } from '../dogtag/certificates.ts';
import { instancePins } from '../dogtag/nssdb.ts';
import { failure, refusal } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { undoSteps } from '../plan/run.ts';
import type { Listener } from '../plan/step.ts';
import type { Secret } from '../secret/secret.ts';
import { serverSteps } from './server.ts';
import { installedServer, type Report, type Site } from './site.ts';

/** How `uninstall` is run. */
export interface UninstallOptions {
  /** What to do with the token objects that the installation made; an unfinished one must be told. */
  token: 'purge' | 'keep' | undefined;
  /** The token's PIN; where it is not given, the one that Dogtag keeps is used. Only for a purge. */
  pin: Secret | undefined;
  listen: Listener;
}

/**
 * Takes back what the installation on this host made, last step first, from its journal.
 * Objects on the token stay unless they are to be purged: another host may use the same keys.
 * @throws CapstanError `not-installed`, `token-choice-missing`, `uninstall-incomplete`
 */
export async function uninstall(host: Host, options: UninstallOptions): Promise<Report> {
  const { journal, site } = await installedServer();
  if (!journal.journal.finished && !options.token) throw undecided(site);
  const pin = options.token === 'purge' ? (options.pin ?? (await keptPin(site.token.label))) : undefined;
  const steps = serverSteps(
    host,
    site,
    () => {
      throw new Error('an undo asks for no secrets');
    },
    pin ? { mode: 'purge', pin: async () => pin } : { mode: 'keep' },
  );
  const failures = await undoSteps(steps, journal, options.listen);
  if (failures.length > 0) {
    throw failure(
      'uninstall-incomplete',
      `Not everything could be removed: ${failures.map(({ message }) => message).join(' ')}`,
      'Remove the cause and run "capstan uninstall" again; it goes on where it stopped.',
    );
  }
  return {
    title: `The server ${site.hostname} was removed from this host.`,
    facts: [
      {
        name: 'Token',
        value: pin
          ? `what the installation made on ${site.token.label} was deleted`
          : `the objects on ${site.token.label} were left in place`,
      },
    ],
    next: pin
      ? []
      : ['A new installation needs a token without these objects: --purge-token would have deleted them.'],
  };
}

/** The journal is the only record of what an unfinished installation made on the token, and it goes with the rest. */
function undecided({ token }: Site) {
  return refusal(
    'token-choice-missing',
    `The installation on this host did not come to its end, and may have made keys on the token ${token.label}.`,
    'Say what is to become of them: --purge-token deletes them, --keep-token leaves them there.',
  );
}

async function keptPin(label: string): Promise<Secret> {
  try {
    return (await instancePins(INSTANCE)).pin(label);
  } catch (error) {
    throw refusal(
      'token-pin-missing',
      'Dogtag no longer keeps the password of the token, which deleting its objects needs.',
      'Give it with --token-password-file.',
      error,
    );
  }
}
