import { type HealthCheck, judgement } from '../check.ts';

/** The CA: deployed, started, able to issue and to sign; its CRL. */
export const CA_CHECKS: readonly HealthCheck[] = [
  {
    code: 'ca-configuration-missing',
    area: 'ca',
    severity: 'CRITICAL',
    holds: 'The configuration of the CA, CS.cfg, can be read.',
    remedy: 'Restore it: Dogtag keeps older ones beside it, in the folder "archives".',
    gate: 'configuration',
  },
  {
    code: 'ca-disabled',
    area: 'ca',
    severity: 'CRITICAL',
    holds: 'Dogtag deploys the CA when it starts: no self test has had it disabled.',
    remedy: '"capstan restart" enables it again, when its token answers.',
    gate: 'deployed',
  },
  {
    code: 'ca-status',
    area: 'ca',
    severity: 'CRITICAL',
    holds: 'The CA answers and says that it runs.',
    remedy: '"capstan restart"; the logs are under /var/log/pki/pki-tomcat/ca.',
    gate: 'caStatus',
  },
  {
    code: 'ca-self-tests',
    area: 'ca',
    severity: 'ERROR',
    holds: 'The self tests of the CA passed when they ran last.',
    remedy:
      'Look at /var/log/pki/pki-tomcat/ca/selftests.log; after the cause is gone, "capstan restart" runs them again.',
    gate: 'selfTests',
  },
  {
    code: 'ca-profiles',
    area: 'ca',
    severity: 'CRITICAL',
    holds: 'The CA has read its certificate profiles: it can issue.',
    remedy: '"capstan restart" has the CA read its profiles again.',
    gate: 'caProfiles',
  },
  {
    code: 'ca-signature',
    area: 'ca',
    severity: 'CRITICAL',
    holds: 'The CA makes a signature now, with a key on the HSM, that its certificate verifies.',
    remedy: '"capstan restart" brings the CA back: Dogtag does not reconnect to an HSM that it has lost.',
    gate: 'caSignature',
  },
  judgement({
    code: 'crl-unverified',
    area: 'ca',
    severity: 'ERROR',
    holds: 'The last CRL is in the directory and verifies with the certificate of the CA.',
    remedy:
      'Have the CRL generator make one: "capstan role move crl SERVER" does that, also to the server that has the role.',
    needs: ['caData'],
    look: ({ caData: { crl } }) => {
      if (crl === undefined) return [{ message: 'There is no CRL in the directory.' }];
      return 'problem' in crl ? [{ message: crl.problem }] : [];
    },
  }),
  judgement({
    code: 'crl-overdue',
    area: 'ca',
    severity: 'ERROR',
    holds: 'The last CRL is not older than it says it may be.',
    remedy:
      'See whether the CRL generator runs ("capstan role list"); "capstan role move crl SERVER" has a server generate one at once.',
    needs: ['caData', 'clock'],
    look: ({ caData: { crl }, clock }) => {
      if (crl === undefined || 'problem' in crl || crl.nextUpdate >= clock.now) return [];
      return [
        {
          message: `The last CRL should have been followed by another one at ${crl.nextUpdate.toISOString()}.`,
        },
      ];
    },
  }),
];
