/** How facts about the KRA of a server are come by. */
import { INSTANCE } from '../../dogtag/certificates.ts';
import { checkSelfTests, checkStatus } from '../../dogtag/health.ts';
import { requireDeployed } from '../../dogtag/subsystem.ts';
import { checkRecovery } from '../key-recovery.ts';
import type { Readers } from './gather.ts';
import { knownDogtag, requireUp, type SiteOf, withKra } from './parts.ts';

type KraFact = 'kraDeployed' | 'kraStatus' | 'kraSelfTests' | 'kraRecovery';

/** The readers of the KRA, for {@link import('./readers.ts').healthReaders}. */
export function kraReaders(siteOf: SiteOf): Pick<Readers, KraFact> {
  return {
    kraDeployed: withKra({ needs: [], read: () => requireDeployed('KRA') }),
    kraSelfTests: withKra({ needs: [], read: () => checkSelfTests(INSTANCE, 'KRA') }),
    kraStatus: withKra({
      needs: ['units', 'kraDeployed'],
      async read(host, { server, units }) {
        requireUp(units, 'ca');
        return checkStatus(host, server.hostname, await knownDogtag(), 'KRA');
      },
    }),
    // It is asked as the agent; without its HSM it cannot recover anything.
    kraRecovery: withKra({
      needs: ['directory', 'kraStatus', 'agent', 'hsm'],
      read: async (host) => checkRecovery(host, await siteOf()),
    }),
  };
}
