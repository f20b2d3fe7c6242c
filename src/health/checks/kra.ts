import { serversWith } from '../../directory/masters.ts';
import { type HealthCheck, judgement } from '../check.ts';

const TRANSPORT = 'transportCert cert-pki-kra';

/** The KRA: deployed, started, able to recover; and the way of the CAs to the KRAs. */
export const KRA_CHECKS: readonly HealthCheck[] = [
  {
    code: 'kra-disabled',
    area: 'kra',
    severity: 'ERROR',
    holds:
      'Dogtag deploys the KRA when it starts: no self test has had it disabled, as one does without its HSM.',
    remedy: '"capstan restart" enables it again, when its token answers.',
    gate: 'kraDeployed',
  },
  {
    code: 'kra-status',
    area: 'kra',
    severity: 'ERROR',
    holds: 'The KRA answers and says that it runs.',
    remedy: '"capstan restart"; the logs are under /var/log/pki/pki-tomcat/kra.',
    gate: 'kraStatus',
  },
  {
    code: 'kra-self-tests',
    area: 'kra',
    severity: 'ERROR',
    holds: 'The self tests of the KRA passed when they ran last.',
    remedy:
      'Look at /var/log/pki/pki-tomcat/kra/selftests.log; after the cause is gone, "capstan restart" runs them again.',
    gate: 'kraSelfTests',
  },
  {
    code: 'kra-recovery',
    area: 'kra',
    severity: 'ERROR',
    holds: 'The KRA recovers now, with its keys on the HSM, what was archived for that when it was made.',
    remedy: '"capstan restart" brings the KRA back: Dogtag does not reconnect to an HSM that it has lost.',
    gate: 'kraRecovery',
  },
  judgement({
    code: 'kra-unconnected',
    area: 'kra',
    severity: 'ERROR',
    holds: 'The CA of this server knows each KRA that is recorded, to have private keys archived.',
    remedy: '"capstan restart" tells the CA of the KRAs that it does not know.',
    needs: ['directory', 'configuration'],
    look: ({ directory, configuration: { connector } }) =>
      serversWith(directory.servers, 'KRA')
        .filter((kra) => !connector.kras.includes(kra.toLowerCase()))
        .map((kra) => ({ key: kra, message: `The CA of this server does not know the KRA of ${kra}.` })),
  }),
  judgement({
    code: 'kra-connector-stale',
    area: 'kra',
    severity: 'WARNING',
    holds: 'The CA of this server knows no KRA of a server that is gone: it may wait for each.',
    remedy: '"capstan restart" has the CA forget the KRAs that are not recorded.',
    needs: ['server', 'directory', 'configuration'],
    look: ({ server, directory, configuration: { connector } }) => {
      const recorded = serversWith(directory.servers, 'KRA').map((kra) => kra.toLowerCase());
      // What is wrong with the record of the own one is another matter.
      const own = server.hasKra ? [server.hostname.toLowerCase()] : [];
      return connector.kras
        .filter((kra) => ![...recorded, ...own].includes(kra))
        .map((kra) => ({
          key: kra,
          message: `The CA of this server sends keys to a KRA of ${kra}, which is not recorded.`,
        }));
    },
  }),
  judgement({
    code: 'kra-transport-differs',
    area: 'kra',
    severity: 'ERROR',
    holds: 'The CA of this server hands out the transport certificate that the KRA beside it has.',
    remedy:
      'Put the value of kra.transport.cert in /etc/pki/pki-tomcat/kra/CS.cfg into ca.connector.KRA.transportCert of /etc/pki/pki-tomcat/ca/CS.cfg while Dogtag is stopped.',
    needs: ['configuration'],
    look: ({ configuration: { connector, certificates } }) => {
      const own = certificates.find(({ nickname }) => nickname === TRANSPORT)?.certificate;
      if (own === undefined || connector.transport === undefined || own === connector.transport) return [];
      return [{ message: 'The CA of this server hands out another transport certificate than its KRA has.' }];
    },
  }),
];
