import { hasSystemDatabase, makeSystemDatabase } from '../../dogtag/nssdb.ts';
import { removeTree } from '../../host/files.ts';
import type { Host } from '../../host/host.ts';
import type { Step } from '../../plan/step.ts';

/** Makes NSS's system database where the distribution has none: certmonger needs one to read any certificate. */
export function systemNssDatabase(host: Host): Step {
  return {
    id: 'system-nss-database',
    title: 'Make the system NSS database /etc/pki/nssdb',
    done: hasSystemDatabase,
    apply: () => makeSystemDatabase(host),
    undo: () => removeTree('/etc/pki/nssdb'),
  };
}
