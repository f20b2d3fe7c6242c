import { readdir, readFile, stat } from 'node:fs/promises';
import { CapstanError, failure } from '../errors.ts';
import { renderConfig } from '../host/configparser.ts';
import type { Host } from '../host/host.ts';
import { accountOf } from '../host/users.ts';
import { withPrivateFolder } from '../secret/private-file.ts';
import type { Deployment } from './deployment.ts';

/**
 * Runs pkispawn with a deployment configuration, which lies in memory and is gone afterwards, like everything that
 * pkispawn itself writes to its temporary folder: passwords of tokens among it, which a killed one leaves behind.
 * @throws CapstanError `pkispawn-failed` with the cause from the subsystem's own log, `command-deadline`, `command-interrupted`
 */
export async function spawn(
  host: Host,
  deployment: Deployment,
  onLine: (line: string) => void,
): Promise<void> {
  const begun = Date.now();
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
              const said = spokenLine(line);
              if (said) onLine(said);
            },
          })
          .catch(async (error: unknown) => {
            throw await spawnError(deployment, error, begun);
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

async function spawnError(deployment: Deployment, error: unknown, begun: number): Promise<unknown> {
  if (!(error instanceof CapstanError) || error.code !== 'command-failed') return error;
  const cause = await lastSevereLine('/var/log/pki/pki-tomcat/ca', begun);
  return failure(
    'pkispawn-failed',
    `pkispawn (${deployment.name}) failed${cause ? `: ${cause}` : `: ${withoutMarkup(error.message)}`}`,
    'The log of this run has its whole output; the logs of the subsystem are under /var/log/pki/pki-tomcat.',
    error,
  );
}

/**
 * The last thing that the subsystem itself called severe since `begun`: pkispawn's own words are often a raw HTML page,
 * and the logs of an earlier instance are still there.
 */
async function lastSevereLine(folder: string, begun: number): Promise<string | undefined> {
  const files = await readdir(folder).catch(() => []);
  const newest = files
    .filter((file) => file.startsWith('debug.'))
    .sort()
    .at(-1);
  if (!newest || (await stat(`${folder}/${newest}`)).mtimeMs < begun) return undefined;
  const lines = (await readFile(`${folder}/${newest}`, 'utf8')).split('\n');
  return lines.findLast((line) => line.includes(' SEVERE: '))?.replace(/^.* SEVERE: /, '');
}

function withoutMarkup(words: string): string {
  return words
    .replaceAll(/<[^>]*>/g, ' ')
    .replaceAll(/\s+/g, ' ')
    .slice(0, 400);
}
