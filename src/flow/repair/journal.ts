/** The journal of a repair. While there is one, Dogtag of this host may have temporary settings. */
import { refusal } from '../../errors.ts';
import { pathExists } from '../../host/files.ts';

/** Where it is. */
export const REPAIR_JOURNAL = '/var/lib/capstan/repair.json';

/** Whether a repair of this host stopped half way, or is at work. */
export function isBeingRepaired(): Promise<boolean> {
  return pathExists(REPAIR_JOURNAL);
}

/** Refuses what takes for granted that Dogtag has its settings. @throws CapstanError `unfinished-repair` */
export async function refuseDuringRepair(): Promise<void> {
  if (!(await isBeingRepaired())) return;
  throw refusal(
    'unfinished-repair',
    'A repair of this server stopped half way, and Dogtag may have settings for its time only.',
    'Go on with "capstan repair", or take the settings back with "capstan repair --undo".',
  );
}
