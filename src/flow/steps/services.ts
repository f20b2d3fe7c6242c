import type { Host } from '../../host/host.ts';
import type { JournalFile } from '../../plan/journal.ts';
import type { Step } from '../../plan/step.ts';
import { bringUp } from '../recovery.ts';
import { CA_STEP, KRA_STEP, type Site } from '../site.ts';

/**
 * Has the services of an installation that goes on run, as far as it came: a power cut has stopped them, and they do
 * not all start by themselves before the last steps are taken.
 */
export function servicesUp(host: Host, site: Site, journal: JournalFile): Step {
  const isDone = (id: string) => journal.entry(id)?.state === 'done';
  // A KRA is added to a CA that is there; that has a journal of its own.
  const hadCa = journal.journal.flow === 'kra-add';
  return {
    id: 'services-up',
    title: 'Have run what is installed so far',
    transient: true,
    done: async () => !isDone('directory-instance') && !hadCa,
    async apply(report) {
      const parts = { directory: true, ca: hadCa || isDone(CA_STEP), kra: isDone(KRA_STEP) };
      for (const deed of await bringUp(host, site, report.line, parts)) report.line(deed);
    },
    undo: async () => {},
  };
}
