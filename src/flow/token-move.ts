/** What the export and the import of a token have in common. */
import { CapstanError, interruption, sentenceOf } from '../errors.ts';
import type { Host } from '../host/host.ts';
import type { ModuleRequest } from '../hsm/module-process.ts';
import { readJournal } from '../plan/journal.ts';
import type { Listener } from '../plan/step.ts';
import type { Secret } from '../secret/secret.ts';
import { requireRoot, SERVER_JOURNAL, type Site, type TokenChoice } from './site.ts';

/** What both directions need. */
export interface TokenMove {
  /** The token file, an absolute path. */
  file: string;
  passphrase: Secret;
  listen: Listener;
  /** As whom SoftHSM runs, and its environment; as pkiuser, with nothing, unless told. */
  as?: Pick<ModuleRequest, 'user' | 'env'>;
}

/** The token of the server that is installed on this host, if there is one. @throws CapstanError `journal-unreadable` */
export async function installedToken(): Promise<TokenChoice | undefined> {
  const journal = await readJournal(SERVER_JOURNAL);
  return (journal?.journal.site as unknown as Site | undefined)?.token;
}

/** @throws CapstanError `not-root` */
export function refuseOthersThanRoot(): void {
  requireRoot('Only root can read the tokens of other users.');
}

/** @throws CapstanError `interrupted` */
export function stopIfInterrupted({ signal }: Host): void {
  if (signal.aborted) throw interrupted();
}

/** The error of a run that was ended before it changed anything. */
export function interrupted(): CapstanError {
  const message = 'The run was interrupted; nothing was changed.';
  return interruption(message);
}

/** Takes the steps of a run that needs no journal, because it takes itself back, and tells of each. */
export function stepper(
  host: Host,
  listen: Listener,
  steps: readonly (readonly [id: string, title: string])[],
) {
  listen({ type: 'plan', steps: steps.map(([id, title]) => ({ id, title })) });
  return async <Result>(
    id: string,
    work: () => Promise<Result>,
    hasChanged: (result: Result) => boolean = () => true,
  ): Promise<Result> => {
    stopIfInterrupted(host);
    const title = steps.find(([name]) => name === id)?.[1] ?? id;
    const begun = performance.now();
    const seconds = () => Math.round(performance.now() - begun) / 1000;
    listen({ type: 'step-started', id, title });
    try {
      const result = await work();
      listen({ type: 'step-finished', id, title, seconds: seconds(), changed: hasChanged(result) });
      return result;
    } catch (error) {
      const code = error instanceof CapstanError ? error.code : 'defect';
      listen({ type: 'step-failed', id, title, seconds: seconds(), code, message: sentenceOf(error) });
      throw error;
    }
  };
}
