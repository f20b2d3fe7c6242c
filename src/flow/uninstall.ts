import { INSTANCE } from '../dogtag/certificates.ts';
import { instancePins } from '../dogtag/nssdb.ts';
import { CapstanError, failure } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { undoSteps } from '../plan/run.ts';
import type { Listener } from '../plan/step.ts';
import type { Secret } from '../secret/secret.ts';
import { serverSteps } from './server.ts';
import { installedServer, type Report } from './site.ts';

/** How `uninstall` is run. */
export interface UninstallOptions {
  /** Delete the token objects that the installation made, too. */
  purgeToken: boolean;
  /** The token's PIN; where it is not given, the one that Dogtag keeps is used. Only for a purge. */
  pin: Secret | undefined;
  listen: Listener;
}

/**
 * Takes back what the installation on this host made, last step first, from its journal.
 * Objects on the token stay unless they are to be purged: another host may use the same keys.
 * @throws CapstanError `not-installed`, `uninstall-incomplete`
 */
export async function uninstall(host: Host, options: UninstallOptions): Promise<Report> {
  const { journal, site } = await installedServer();
  const pin = options.purgeToken ? (options.pin ?? (await keptPin(site.token.label))) : undefined;
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

async function keptPin(label: string): Promise<Secret> {
  try {
    return (await instancePins(INSTANCE)).pin(label);
  } catch (error) {
    throw new CapstanError({
      code: 'token-pin-missing',
      message: 'Dogtag no longer keeps the password of the token, which deleting its objects needs.',
      next: 'Give it with --token-password-file.',
      exit: 2,
      cause: error,
    });
  }
}
