import { type HealthCheck, judgement } from '../check.ts';
import type { FileFacts } from '../facts.ts';

/** Files: whose they are, and who may read them. */
export const FILE_CHECKS: readonly HealthCheck[] = [
  judgement({
    code: 'file-exposed',
    area: 'file',
    severity: 'ERROR',
    holds: 'Files with passwords and keys are closed to those who do not need them.',
    remedy: 'Take the permission away with chmod(1); then change what was exposed.',
    needs: ['files'],
    look: ({ files }) =>
      files
        .filter(({ mode, forbidden }) => (mode & forbidden) !== 0)
        .map((file) => ({
          key: file.path,
          message: `${file.path} has the mode ${octal(file)}: too many may read or change it.`,
          remedy: `"chmod ${octal({ mode: file.mode & ~file.forbidden })} ${file.path}"; then change what was exposed.`,
        })),
  }),
  judgement({
    code: 'file-owner',
    area: 'file',
    severity: 'ERROR',
    holds: 'Files belong to those who work with them.',
    remedy: 'Give it back with chown(1).',
    needs: ['files'],
    look: ({ files }) =>
      files
        .filter(({ owner, wantedOwner }) => owner !== wantedOwner)
        .map(({ path, owner, wantedOwner }) => ({
          key: path,
          message: `${path} belongs to ${owner}; it should be ${wantedOwner}'s.`,
          remedy: `"chown ${wantedOwner} ${path}".`,
        })),
  }),
  judgement({
    code: 'file-closed',
    area: 'file',
    severity: 'WARNING',
    holds: 'Files that others need can be read by them.',
    remedy: 'Give the permission with chmod(1).',
    needs: ['files'],
    look: ({ files }) =>
      files
        .filter(({ mode, needed }) => (mode & needed) !== needed)
        .map((file) => ({
          key: file.path,
          message: `${file.path} has the mode ${octal(file)}: not all who need it can read it.`,
        })),
  }),
];

function octal({ mode }: Pick<FileFacts, 'mode'>): string {
  return mode.toString(8).padStart(4, '0');
}
