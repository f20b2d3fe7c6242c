import { isOnToken, MONITORING } from '../../certmonger/tracking.ts';
import { type Fault, type HealthCheck, judgement } from '../check.ts';
import type { Facts } from '../facts.ts';

/** certmonger: answers, watches each system certificate in its token, and had no trouble with the CA. */
export const TRACKING_CHECKS: readonly HealthCheck[] = [
  {
    code: 'certmonger-unreachable',
    area: 'tracking',
    severity: 'ERROR',
    holds: 'certmonger answers on the system bus.',
    remedy: 'Look at "systemctl status certmonger" and "systemctl status dbus".',
    gate: 'certmonger',
  },
  judgement({
    code: 'tracking-ca-missing',
    area: 'tracking',
    severity: 'ERROR',
    holds: 'certmonger knows the CA that it is to renew from.',
    remedy: '"capstan renew" adds it again.',
    needs: ['certmonger'],
    look: ({ certmonger }) =>
      certmonger.knowsCa ? [] : [{ message: 'certmonger knows no CA named capstan.' }],
  }),
  judgement({
    code: 'tracking-missing',
    area: 'tracking',
    severity: 'ERROR',
    holds: 'certmonger tracks each system certificate.',
    remedy: '"capstan renew" has it tracked again.',
    needs: ['server', 'certmonger'],
    look: (facts) =>
      facts.server.certificates
        .filter(({ id }) => !facts.certmonger.requests.some((request) => request.id === id))
        .map(({ nickname }) => ({ key: nickname, message: `"${nickname}" is not tracked by certmonger.` })),
  }),
  judgement({
    code: 'tracking-stuck',
    area: 'tracking',
    severity: 'ERROR',
    holds: 'certmonger watches each system certificate (MONITORING).',
    remedy:
      'See "getcert list" and "journalctl -u certmonger" for the cause; when it is gone, "capstan renew".',
    needs: ['server', 'certmonger'],
    look: (facts) =>
      tracked(facts).flatMap(({ nickname, request }): Fault[] =>
        request.status === MONITORING && !request.stuck
          ? []
          : [
              {
                key: nickname,
                message: `The tracking of "${nickname}" is ${request.status}${request.stuck ? ', and stuck' : ''}.`,
              },
            ],
      ),
  }),
  judgement({
    code: 'tracking-error',
    area: 'tracking',
    severity: 'ERROR',
    holds: 'No renewal has failed. A request can be MONITORING and have an error of the CA all the same.',
    remedy: 'Remove the cause, then "capstan renew".',
    needs: ['server', 'certmonger'],
    look: (facts) =>
      tracked(facts).flatMap(({ nickname, request }): Fault[] =>
        request.caError === undefined
          ? []
          : [{ key: nickname, message: `The last renewal of "${nickname}" failed: ${request.caError}` }],
      ),
  }),
  judgement({
    code: 'tracking-pin-differs',
    area: 'tracking',
    severity: 'ERROR',
    holds: 'certmonger has the PIN of each token that Dogtag has.',
    remedy:
      'When the PIN in password.conf is right, "capstan restart" has certmonger take it. Do not restart certmonger or the host before: at each start it tries the old PIN.',
    // Where the token refuses Dogtag's own PIN, that is what is wrong.
    needs: ['server', 'certmonger', 'hsmLogin'],
    look: (facts) =>
      tracked(facts)
        .filter(({ request }) => facts.certmonger.otherPins.includes(request.id))
        .map(({ nickname, token }) => ({
          key: nickname,
          message: `certmonger has another PIN for "${nickname}", on ${token === undefined ? 'the internal token' : `the token ${token}`}, than Dogtag's password.conf.`,
        })),
  }),
  judgement({
    code: 'renewal-unplaced',
    area: 'tracking',
    severity: 'ERROR',
    holds: 'What certmonger renewed is in place.',
    remedy:
      '"capstan renew" puts it in place; "journalctl -u capstan-renewal" tells why that was not done by itself.',
    needs: ['server', 'certmonger'],
    look: (facts) =>
      tracked(facts).flatMap(({ nickname, request }): Fault[] => {
        const placed = facts.certmonger.placed[request.id];
        if (placed === undefined || placed === request.serial || request.status !== MONITORING) return [];
        return [
          {
            key: nickname,
            message: `certmonger has renewed "${nickname}" (serial number ${request.serial}); ${placed} is in place.`,
          },
        ];
      }),
  }),
  judgement({
    code: 'tracking-token-differs',
    area: 'tracking',
    severity: 'ERROR',
    holds: 'Each system certificate is tracked in the token that it is in.',
    remedy: 'Stop the tracking ("getcert stop-tracking -i ID"); "capstan renew" has it tracked where it is.',
    needs: ['server', 'certmonger'],
    look: (facts) =>
      tracked(facts).flatMap(({ nickname, token, request }): Fault[] =>
        isOnToken(request.keyToken, token) && isOnToken(request.certToken, token)
          ? []
          : [
              {
                key: nickname,
                message: `"${nickname}" is tracked on the token ${request.keyToken ?? 'internal'}; it is on ${token ?? 'the internal one'}.`,
              },
            ],
      ),
  }),
];

/** The system certificates that are tracked, with their tokens (undefined for the internal one). */
function tracked({ server, certmonger }: Pick<Facts, 'server' | 'certmonger'>) {
  return server.certificates.flatMap(({ id, nickname, token }) => {
    const request = certmonger.requests.find((one) => one.id === id);
    return request ? [{ nickname, token: token === 'hsm' ? server.token.label : undefined, request }] : [];
  });
}
