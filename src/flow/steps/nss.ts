import { withCertmonger } from '../../certmonger/bus.ts';
import { trackingRequests } from '../../certmonger/tracking.ts';
import {
  hasSystemDatabase,
  isSystemDatabaseEmpty,
  makeSystemDatabase,
  removeSystemDatabase,
} from '../../dogtag/nssdb.ts';
import type { Host } from '../../host/host.ts';
import type { Step } from '../../plan/step.ts';

/** Makes NSS's system database where the distribution has none: certmonger needs one to read any certificate. */
export function systemNssDatabase(host: Host): Step {
  return {
    id: 'system-nss-database',
    title: 'Make the system NSS database /etc/pki/nssdb',
    done: hasSystemDatabase,
    apply: () => makeSystemDatabase(host),
    async undo(report) {
      // Half made, it can serve nobody.
      if (!(await hasSystemDatabase())) return removeSystemDatabase();
      const requests = await withCertmonger(host, trackingRequests);
      if (requests.length === 0 && (await isSystemDatabaseEmpty(host))) await removeSystemDatabase();
      else report.line('Left in place: others use it by now');
    },
  };
}
