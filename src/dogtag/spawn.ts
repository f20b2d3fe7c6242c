import { CapstanError, failure } from '../errors.ts';
import { renderConfig } from '../host/configparser.ts';
import type { Host } from '../host/host.ts';
import { accountOf } from '../host/users.ts';
import { withPrivateFolder } from '../secret/private-file.ts';
import { causeOf } from './cause.ts';
import { INSTANCE } from './certificates.ts';
import type { Deployment } from './deployment.ts';
import { type LogMark, logsSince, markLogs } from './log-mark.ts';

/**
 * Runs pkispawn with a deployment configuration, which lies in memory and is gone afterwards, like everything that
 * pkispawn itself writes to its temporary folder: passwords of tokens among it, which a killed one leaves behind.
 * @throws CapstanError `pkispawn-failed` with the cause from Dogtag's own logs, `command-deadline`, `command-interrupted`
 */
export async function spawn(
  host: Host,
  deployment: Deployment,
  onLine: (line: string) => void,
): Promise<void> {
  const mark = await markLogs(host, INSTANCE);
  const output: string[] = [];
  // Newer releases run some of their tools as pkiuser, who must get into the temporary folder (Dogtag 11.3).
  const owner = await accountOf(host, 'pkiuser');
  await withPrivateFolder(
    (temporary) =>
      withPrivateFolder(async (folder) => {
        const file = folder.write('deployment.cfg', renderConfig(deployment.sections));
        await host
          .run('pkispawn', ['-v', '-f', file, ...deployment.arguments], {
            deadline: 'pkispawn',
            env: { PKISPAWN_STARTUP_TIMEOUT_SECONDS: String(host.deadlines.startup), TMPDIR: temporary.path },
            onLine: (line) => {
              output.push(line);
              const said = spokenLine(line);
              if (said) onLine(said);
            },
          })
          .catch(async (error: unknown) => {
            throw await spawnError(host, deployment, error, mark, output);
          });
      }),
    owner,
  );
}

/** What a line of `pkispawn -v` says to a person: its own steps, without the level and the noise of Java. */
export function spokenLine(line: string): string | undefined {
  const said =
    /^(?:INFO|DEBUG|WARNING|ERROR):\s+(.*\S)/.exec(line)?.[1] ?? /^(Installing .*)/.exec(line)?.[1];
  return said?.slice(0, 120);
}

/** The error of a pkispawn that failed, with the cause from where the truth is: its own last words are a page of HTML. */
async function spawnError(
  host: Host,
  deployment: Deployment,
  error: unknown,
  mark: LogMark,
  output: readonly string[],
): Promise<unknown> {
  if (!(error instanceof CapstanError) || error.code !== 'command-failed') return error;
  const cause = causeOf({ ...(await logsSince(host, mark)), output: output.join('\n') });
  return failure(
    'pkispawn-failed',
    `pkispawn (${deployment.name}) failed: ${cause?.message ?? 'it does not say why'}.`,
    [
      cause?.next,
      `The log of this run has its whole output; Dogtag's own logs are under /var/log/pki/${INSTANCE}.`,
    ]
      .filter(Boolean)
      .join(' '),
  );
}
