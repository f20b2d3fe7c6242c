/** Faults of the token's objects, of trust, of certmonger's requests, and those that need a restart to be made or mended. */
import { putModule } from '../support.ts';
import type { MadeFault } from './fault.ts';

/** Finds the file of a private key on the token, and moves it away. */
const HIDE_KEY = `
id=$(tool -O --type cert 2>/dev/null | sed -n "/label: *$1/,/ID:/s/.*ID: *//p")
keys() { tool --login --pin "$PIN" -O --type privkey 2>/dev/null | grep -c 'Private Key' || true; }
here() { tool --login --pin "$PIN" -O --type privkey 2>/dev/null | grep -q "ID: *$id"; }
all=$(keys)
for f in $(find /var/lib/softhsm/tokens -name '*.object' -size +2000c ! -name token.object); do
  mv $f $K/hidden-key; echo $f > $K/hidden-name
  if [ $(keys) = $((all - 1)) ] && ! here; then break; fi
  mv $K/hidden-key $f
done
test -e $K/hidden-key`;
const SHOW_KEY = 'cp -p $K/hidden-key $(cat $K/hidden-name); rm $K/hidden-key';

/** Writes into certmonger's file of a request while it is down. */
function request(id: string, expression: string): { make: string; mend: string } {
  return {
    make: `systemctl stop certmonger; f=$(grep -l '^id=${id}$' /var/lib/certmonger/requests/*); echo $f > $K/request; keep $f; sed -i -e '${expression}' $f; begin certmonger`,
    mend: 'systemctl stop certmonger; give $(cat $K/request); begin certmonger',
  };
}

export const TRUST_FAULTS: readonly MadeFault[] = [
  {
    // Of a certificate that is in the internal token alone: it decides for the HSM's otherwise.
    codes: 'trust-internal-differs',
    alone: true,
    make: `keep $A/cert9.db; sed -n s/^internal=//p $P > $K/internal
certutil -M -d $A -n 'Server-Cert cert-pki-ca' -t P,, -f $K/internal`,
    mend: 'give $A/cert9.db; rm $K/internal',
  },
  {
    // A copy in the internal token that nobody needs, and that decides all the same.
    codes: 'trust-token-differs',
    alone: true,
    make: `keep $A/cert9.db; sed -n s/^internal=//p $P > $K/internal; n='ocspSigningCert cert-pki-ca'
sed -n s/^ca.ocsp_signing.cert=//p $C | base64 -d > $K/cert; certutil -A -d $A -n "$n" -t P,, -i $K/cert -f $K/internal`,
    mend: 'give $A/cert9.db; rm $K/internal',
  },
];

export const KEY_FAULTS: readonly MadeFault[] = [
  {
    codes: 'hsm-key-missing',
    alone: true,
    says: /auditSigningCert cert-pki-ca" has no private key on the token/,
    make: `set -- auditSigningCert; ${HIDE_KEY}`,
    mend: SHOW_KEY,
  },
];

/** A library that tells other things of the token than it is, in the place of the real one. */
export function glassesFault(
  codes: MadeFault['codes'],
  settings: Record<string, string>,
  says?: RegExp,
): MadeFault {
  return {
    codes,
    alone: true,
    ...(says && { says }),
    async make() {
      const real = '/usr/local/lib/real-token.so';
      const path = await putModule('ca1', 'glasses.so', {
        source: 'shim',
        settings: { SHIM_LIBRARY: real, ...settings },
      });
      return `cp -L $M ${real}; mount --bind ${path} $M`;
    },
    mend: 'umount $M',
  };
}

/** Flags of CK_TOKEN_INFO (PKCS#11 v2.40, table 6). */
const FLAGS = { finalTry: '20000', locked: '40000', toBeChanged: '80000' };

export const GLASSES_FAULTS: readonly MadeFault[] = [
  glassesFault('hsm-pin-tries', { SHIM_FLAGS: FLAGS.finalTry }, /one try left/),
  glassesFault('hsm-pin-tries', { SHIM_FLAGS: FLAGS.locked }, /is locked/),
  glassesFault('hsm-pin-tries', { SHIM_FLAGS: FLAGS.toBeChanged }, /must be changed/),
  glassesFault('hsm-sessions-few', { SHIM_SESSIONS: '4 3 4 3' }, /1 sessions left/),
  glassesFault('hsm-key-unprotected', { SHIM_EXPORTS: '1' }, /can be extracted/),
  glassesFault('hsm-key-differs', { SHIM_FORGES: '1' }, /does not verify what the token signs/),
];

export const TRACKING_FAULTS: readonly MadeFault[] = [
  {
    codes: 'certmonger-unreachable',
    alone: true,
    patience: 9,
    make: 'systemctl kill --signal=STOP certmonger',
    mend: 'systemctl kill --signal=CONT certmonger',
  },
  { codes: 'tracking-stuck', ...request('capstan-ca-ocsp-signing', 's/^state=.*/state=CA_REJECTED/') },
  {
    codes: 'tracking-error',
    says: /no such luck/,
    ...request('capstan-ca-audit-signing', '/^ca_error=/d; $ a ca_error=no such luck'),
  },
  {
    // certmonger itself goes on with the PIN that it read before, until it is started anew.
    codes: 'tracking-pin-differs',
    alone: true,
    says: /another PIN for "caSigningCert cert-pki-ca", on the token/,
    make: `sed -i 's/^key_pin=.*/&x/' $(grep -l '^id=capstan-ca-signing$' /var/lib/certmonger/requests/*)`,
    mend: 'capstan restart --output json >/dev/null',
  },
  {
    codes: 'renewal-unplaced',
    says: /has renewed "auditSigningCert cert-pki-ca".*; 0f is in place/,
    make: `f=/var/lib/capstan/renewals.json; keep $f; jq '."capstan-ca-audit-signing".serial = "0f"' $K$f > $f`,
    mend: 'give /var/lib/capstan/renewals.json',
  },
  {
    codes: 'tracking-missing',
    alone: true,
    make: 'getcert stop-tracking -i capstan-tls-server >/dev/null',
    mend: 'capstan renew --output json >/dev/null',
  },
  {
    // The same certificate in a database of its own: a request that is well, in the wrong token.
    codes: 'tracking-token-differs',
    make: `f=$(grep -l '^id=capstan-subsystem$' /var/lib/certmonger/requests/*); echo $f > $K/request; systemctl stop certmonger; keep $f; rm $f; begin certmonger
mkdir /root/other; certutil -N --empty-password -d /root/other; head -c 64 /dev/urandom > $K/noise
certutil -S -d /root/other -n 'subsystemCert cert-pki-ca' -s CN=other -x -t u,u,u -v 12 -z $K/noise >/dev/null 2>&1
getcert start-tracking -d /root/other -n 'subsystemCert cert-pki-ca' -I capstan-subsystem -c capstan -w >/dev/null`,
    mend: 'getcert stop-tracking -i capstan-subsystem >/dev/null; systemctl stop certmonger; rm -r /root/other; give $(cat $K/request); begin certmonger',
  },
  {
    codes: 'tracking-ca-missing',
    alone: true,
    make: 'getcert remove-ca -c capstan >/dev/null',
    mend: 'capstan renew --output json >/dev/null',
  },
];

const AGAIN = 'capstan restart --output json >/dev/null';

/** These need Dogtag or a directory to be started anew, which takes half a minute. */
export const RESTART_FAULTS: readonly MadeFault[] = [
  {
    // The CA notices by itself that a profile is gone, and that it is back.
    codes: 'ca-profiles',
    alone: true,
    make: `D=cn=caServerCert,ou=certificateProfiles,ou=ca,o=ipaca; entry $D -s base > $K/profile; ldapdelete $L $D; sleep 3`,
    mend: 'ldapadd $L < $K/profile >/dev/null; sleep 3',
  },
  {
    codes: 'service-stopped',
    alone: true,
    says: /dirsrv@EXAMPLE-TEST\.service is not active/,
    make: 'systemctl stop dirsrv@EXAMPLE-TEST',
    mend: 'systemctl start dirsrv@EXAMPLE-TEST',
  },
  {
    codes: 'directory-certificate',
    alone: true,
    make: `ldap <<END
dn: cn=RSA,cn=encryption,cn=config
changetype: modify
replace: nsSSLPersonalitySSL
nsSSLPersonalitySSL: Server-Cert
END
systemctl restart dirsrv@EXAMPLE-TEST`,
    mend: `ldap <<END
dn: cn=RSA,cn=encryption,cn=config
changetype: modify
replace: nsSSLPersonalitySSL
nsSSLPersonalitySSL: Server-Cert cert-389-ds
END
systemctl restart dirsrv@EXAMPLE-TEST`,
  },
  {
    codes: 'ca-disabled',
    alone: true,
    make: 'pki-server subsystem-disable -i pki-tomcat ca >/dev/null',
    mend: AGAIN,
  },
  {
    codes: 'service-stopped',
    alone: true,
    says: /pki-tomcatd@pki-tomcat\.service is not active/,
    make: 'systemctl stop pki-tomcatd@pki-tomcat',
    mend: AGAIN,
  },
  {
    // Dogtag has tried its key while it was away, and does not get over that.
    codes: 'ca-signature',
    alone: true,
    make: `set -- ocspSigningCert; ${HIDE_KEY}
curl -sf -o /dev/null http://ca1.example.test:8080/ca/ocsp || true; capstan status >/dev/null || true
${SHOW_KEY}`,
    mend: AGAIN,
  },
];
