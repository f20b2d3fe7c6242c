import type { TokenFacts } from '../../hsm/protocol.ts';
import { freeSessions } from '../../hsm/requirements.ts';
import { type Fault, type HealthCheck, judgement } from '../check.ts';
import type { KeyLook } from '../facts.ts';

/** Sessions that a Dogtag that is restarted needs: one that it keeps, and one for each signature at a time. */
const FEW_SESSIONS = 2;

/** The HSM: there, open with the PIN that Dogtag keeps, and with the keys. */
export const HSM_CHECKS: readonly HealthCheck[] = [
  {
    code: 'hsm-unreachable',
    area: 'hsm',
    severity: 'CRITICAL',
    holds: "The PKCS#11 library shows the token to Dogtag's user.",
    remedy:
      'Bring the HSM back, or the way to it; then "capstan restart": Dogtag does not reconnect by itself.',
    gate: 'hsm',
  },
  judgement({
    code: 'hsm-pin-missing',
    area: 'hsm',
    severity: 'CRITICAL',
    holds: "Dogtag's password.conf has a password for the token.",
    remedy: 'Put the line "hardware-TOKEN=PIN" back into /etc/pki/pki-tomcat/password.conf.',
    needs: ['server', 'pins'],
    look: ({ server: { token }, pins }) =>
      pins.includes(`hardware-${token.label}`)
        ? []
        : [{ message: `/etc/pki/pki-tomcat/password.conf has no password for the token ${token.label}.` }],
  }),
  judgement({
    code: 'hsm-pin-tries',
    area: 'hsm',
    severity: 'ERROR',
    holds: 'The token counts no wrong tries of its PIN, is not locked, and asks for no other PIN.',
    remedy:
      'Find out who gave a wrong PIN. A good login resets the count; it was not made here. A locked PIN is reset by the security officer.',
    needs: ['hsm'],
    look: ({ hsm: { token } }) => triesOf(token),
  }),
  {
    code: 'hsm-pin-refused',
    area: 'hsm',
    severity: 'CRITICAL',
    holds: 'The token takes the PIN that Dogtag keeps.',
    remedy:
      'Correct /etc/pki/pki-tomcat/password.conf, or the PIN of the token. A PIN that was refused is not tried again until that file changes.',
    gate: 'hsmLogin',
  },
  keyCheck(
    'hsm-key-missing',
    ['no-key', 'no-certificate'],
    'Each system certificate has its private key on the token.',
    {
      remedy: "Restore the token from the HSM's backup. Without its key a certificate is of no use.",
    },
  ),
  keyCheck(
    'hsm-key-differs',
    ['other-key', 'foreign-certificate'],
    'The certificates verify a signature made now with their keys.',
    {
      remedy: 'The token holds another key of that name: see with the tool of the HSM who changed it.',
    },
  ),
  judgement({
    code: 'hsm-key-unprotected',
    area: 'hsm',
    severity: 'WARNING',
    holds: 'The keys were made on the token and cannot leave it.',
    remedy:
      'Look at the key with the tool of the HSM. On an appliance to which keys were moved they can count as imported.',
    needs: ['hsmLogin'],
    look: ({ hsmLogin }) =>
      hsmLogin.keys
        .filter(({ weaknesses }) => weaknesses.length > 0)
        .map(({ nickname, weaknesses }) => ({
          key: nickname,
          message: `The key of "${nickname}" ${weaknesses.join(', ')}.`,
        })),
  }),
  judgement({
    code: 'hsm-sessions-few',
    area: 'hsm',
    severity: 'WARNING',
    holds: `The token has ${FEW_SESSIONS} sessions or more left.`,
    remedy: 'End other programs that use the token, or raise its limit of sessions.',
    needs: ['hsm'],
    look: ({ hsm: { token } }) => {
      const free = freeSessions(token.sessions.max, token.sessions.open);
      if (typeof free !== 'number' || free >= FEW_SESSIONS) return [];
      return [{ message: `The token ${token.label} has ${free} sessions left.` }];
    },
  }),
  judgement({
    code: 'hsm-token-differs',
    area: 'hsm',
    severity: 'ERROR',
    holds: 'CS.cfg has each system certificate on the token that it belongs to.',
    remedy: 'Correct "tokenname" in /etc/pki/pki-tomcat/ca/CS.cfg while Dogtag is stopped.',
    needs: ['server', 'configuration'],
    look: ({ server, configuration }) =>
      server.certificates.flatMap(({ nickname, token }): Fault[] => {
        const wanted = token === 'hsm' ? server.token.label : 'internal';
        const found = configuration.certificates.find((one) => one.nickname === nickname);
        if (!found || found.token === wanted) return [];
        return [
          {
            key: nickname,
            message: `CS.cfg has "${nickname}" on the token ${found.token}; it belongs on ${wanted}.`,
          },
        ];
      }),
  }),
];

function triesOf(token: TokenFacts): Fault[] {
  const name = `The PIN of the token ${token.label}`;
  if (token.pinLocked) return [{ message: `${name} is locked.` }];
  if (token.pinFinalTry) return [{ message: `${name} has one try left before it locks.` }];
  if (!token.userPinInitialised) return [{ message: `${name} was never set.` }];
  if (token.pinToBeChanged) return [{ message: `${name} must be changed before it is used.` }];
  return token.pinCountLow ? [{ message: `${name} was given wrongly since the last good login.` }] : [];
}

const STATES = {
  'no-certificate': 'has no certificate on the token',
  'no-key': 'has no private key on the token',
  'foreign-certificate': 'is on the token with a certificate of another CA',
  'other-key': 'does not verify what the token signs with its key',
} as const;

function keyCheck(
  code: string,
  states: readonly KeyLook['state'][],
  holds: string,
  { remedy }: { remedy: string },
): HealthCheck {
  return judgement({
    ...{ code, area: 'hsm', severity: 'CRITICAL', holds, remedy },
    needs: ['hsmLogin'],
    look: ({ hsmLogin }) =>
      hsmLogin.keys.flatMap(({ nickname, state }): Fault[] =>
        state !== 'possessed' && states.includes(state)
          ? [{ key: nickname, message: `"${nickname}" ${STATES[state]}.` }]
          : [],
      ),
  });
}
