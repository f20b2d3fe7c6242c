import { type HealthCheck, judgement } from '../check.ts';

/** The installation as a whole: whether there is one, and whether a run of Capstan left it half done. */
export const SERVER_CHECKS: readonly HealthCheck[] = [
  {
    code: 'not-installed',
    area: 'server',
    severity: 'CRITICAL',
    holds: 'There is a server of Capstan on this host, and its journal can be read.',
    remedy:
      'Install one with "capstan server-install", or one that joins others with "capstan replica-install".',
    gate: 'server',
  },
  {
    code: 'installation-unfinished',
    area: 'server',
    severity: 'ERROR',
    holds: 'The last run that changed the server came to its end.',
    remedy:
      'Go on with it (--resume), or take back what it made (--undo). Nothing else is looked at until then.',
    gate: 'whole',
  },
  judgement({
    code: 'capstan-older',
    area: 'server',
    severity: 'WARNING',
    holds: 'This Capstan is not older than the one that installed the server.',
    remedy: 'Install the newer release of Capstan again: an older one does not know all that it wrote.',
    needs: ['server'],
    look: ({ server: { capstan } }) =>
      isNewer(capstan.journal, capstan.now)
        ? [
            {
              message: `The server was installed by Capstan ${capstan.journal}; this is ${capstan.now}, which is older.`,
            },
          ]
        : [],
  }),
  judgement({
    code: 'leftovers',
    area: 'server',
    severity: 'WARNING',
    holds: 'No run that was killed has left files behind.',
    remedy: 'Remove what is named; a folder under /run or /dev/shm may hold a password.',
    needs: ['leftovers'],
    look: ({ leftovers }) =>
      leftovers.map((path) => ({ key: path, message: `A run that was killed has left ${path} behind.` })),
  }),
];

/** Whether one release (`1.10.0`) is newer than another; what is no release is not. */
export function isNewer(one: string, other: string): boolean {
  const [left, right] = [one, other].map((text) => text.split('.').map(Number)) as [number[], number[]];
  const index = left.findIndex((part, at) => part !== right[at]);
  return index >= 0 && (left[index] ?? 0) > (right[index] ?? 0);
}
