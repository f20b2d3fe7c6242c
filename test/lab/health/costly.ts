/** Faults of the token's objects, of trust, of certmonger's requests, and those that need a restart to be made or mended. */
import type { MadeFault } from './fault.ts';

/** Finds the file of a private key on the token, and moves it away. */
const HIDE_KEY = `
id=$(tool -O --type cert 2>/dev/null | sed -n "/label: *$1/,/ID:/s/.*ID: *//p")
keys() { tool --login --pin "$PIN" -O --type privkey 2>/dev/null | grep -c "ID: *$id" || true; }
for f in $(grep -rl --binary-files=text -P "$(echo $id | sed 's/../\\\\x&/g')" /var/lib/softhsm/tokens); do
  mv $f /run/hidden-key; [ $(keys) = 0 ] && { echo $f > /run/hidden-name; break; }; mv /run/hidden-key $f
done
test -e /run/hidden-key`;
const SHOW_KEY = 'cp -p /run/hidden-key $(cat /run/hidden-name); rm /run/hidden-key';

/** Writes into certmonger's file of a request while it is down. */
function request(id: string, expression: string): Pick<MadeFault, 'make' | 'mend'> {
  return {
    make: `systemctl stop certmonger; f=$(grep -l '^id=${id}$' /var/lib/certmonger/requests/*); echo $f > /run/request; keep $f; sed -i -e '${expression}' $f; systemctl start certmonger`,
    mend: 'systemctl stop certmonger; give $(cat /run/request); systemctl start certmonger',
  };
}

export const TRUST_FAULTS: readonly MadeFault[] = [
  {
    codes: ['trust-internal-differs', 'trust-token-differs'],
    make: `keep $A/cert9.db; sed -n s/^internal=//p $P > /run/internal; certutil -M -n 'auditSigningCert cert-pki-ca' -t ,, -d $A -f /run/internal`,
    mend: 'give $A/cert9.db; rm /run/internal',
  },
];

export const KEY_FAULTS: readonly MadeFault[] = [
  {
    codes: ['hsm-key-missing', 'trust-token-differs'],
    says: /auditSigningCert cert-pki-ca" has no private key on the token/,
    make: `set -- auditSigningCert; ${HIDE_KEY}`,
    mend: SHOW_KEY,
  },
];

export const TRACKING_FAULTS: readonly MadeFault[] = [
  {
    codes: 'certmonger-unreachable',
    patience: 4,
    make: 'systemctl kill --signal=STOP certmonger',
    mend: 'systemctl kill --signal=CONT certmonger',
  },
  { codes: 'tracking-stuck', ...request('capstan-subsystem', 's/^state=.*/state=CA_REJECTED/') },
  {
    codes: 'tracking-error',
    says: /no such luck/,
    ...request('capstan-subsystem', '/^ca_error=/d; $ a ca_error=no such luck'),
  },
  {
    codes: 'tracking-missing',
    make: `f=$(grep -l '^id=capstan-subsystem$' /var/lib/certmonger/requests/*); echo $f > /run/request; systemctl stop certmonger; keep $f; rm $f; systemctl start certmonger`,
    mend: 'systemctl stop certmonger; give $(cat /run/request); systemctl start certmonger',
  },
  {
    codes: 'tracking-ca-missing',
    make: `f=$(grep -l '^id=capstan$' /var/lib/certmonger/cas/*); echo $f > /run/request; systemctl stop certmonger; keep $f; rm $f; systemctl start certmonger`,
    mend: 'systemctl stop certmonger; give $(cat /run/request); systemctl start certmonger',
  },
];
