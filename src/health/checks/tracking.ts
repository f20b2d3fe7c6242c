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
    remedy: 'Install the CA of the server anew, or add the CA helper again ("getcert add-ca").',
    needs: ['certmonger'],
    look: ({ certmonger }) =>
      certmonger.knowsCa ? [] : [{ message: 'certmonger knows no CA named capstan.' }],
  }),
  judgement({
    code: 'tracking-missing',
    area: 'tracking',
    severity: 'ERROR',
    holds: 'certmonger tracks each system certificate.',
    remedy: 'Have it tracked again: "getcert start-tracking", as another server tracks it ("getcert list").',
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
    remedy: 'Look at "getcert list" and "journalctl -u certmonger".',
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
    code: 'tracking-token-differs',
    area: 'tracking',
    severity: 'ERROR',
    holds: 'Each system certificate is tracked in the token that it is in.',
    remedy: 'Stop the tracking ("getcert stop-tracking -i ID") and start it with the right token (-t).',
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
