import { type HealthCheck, judgement } from '../check.ts';

/** The services: running, started at boot, in order. */
export const SERVICE_CHECKS: readonly HealthCheck[] = [
  judgement({
    code: 'service-stopped',
    area: 'service',
    severity: 'CRITICAL',
    holds:
      'The directory, Dogtag, certmonger, the timer of the renewals and, where it is needed, the feed keeper run.',
    remedy: '"capstan restart" brings back what is down; it looks at the HSM first.',
    needs: ['units'],
    look: ({ units }) =>
      units
        .filter(({ active }) => !active)
        .map(({ unit }) => ({
          key: unit,
          message: `${unit} is not active.`,
          remedy: /^capstan-/.test(unit)
            ? `"systemctl start ${unit}"; see "journalctl -u ${unit}".`
            : undefined,
        })),
  }),
  judgement({
    code: 'service-not-at-boot',
    area: 'service',
    severity: 'WARNING',
    holds: 'Each service starts at boot.',
    remedy: '"systemctl enable UNIT".',
    needs: ['units'],
    look: ({ units }) =>
      units
        .filter(({ enabled }) => !enabled)
        .map(({ bootUnit }) => ({
          key: bootUnit,
          message: `${bootUnit} does not start at boot.`,
          remedy: `"systemctl enable ${bootUnit}".`,
        })),
  }),
  judgement({
    code: 'service-order',
    area: 'service',
    severity: 'WARNING',
    holds: 'Dogtag is started after the directory, without which its CA comes up dead.',
    remedy:
      'Put a drop-in with "After=" and "Wants=" of the directory back into /etc/systemd/system/pki-tomcatd@pki-tomcat.service.d, then "systemctl daemon-reload".',
    needs: ['units'],
    look: ({ units }) =>
      units.flatMap(({ unit, after, mustFollow }) =>
        mustFollow
          .filter((other) => !after.includes(other))
          .map((other) => ({ key: unit, message: `${unit} is not ordered after ${other}.` })),
      ),
  }),
  judgement({
    code: 'feed-keeper-missing',
    area: 'service',
    severity: 'ERROR',
    holds: 'Where 389-ds needs the feed keeper, it is installed.',
    remedy:
      'Until a release of 389-ds is installed that does not need it: see "capstan feed-keeper --help"; installing the server anew brings the service back.',
    needs: ['units', 'feedKeeper'],
    look: ({ units, feedKeeper }) =>
      feedKeeper && !units.some(({ part }) => part === 'feed-keeper')
        ? [
            {
              message:
                'This release of 389-ds stops to send after large changes, and no feed keeper is installed.',
            },
          ]
        : [],
  }),
];
