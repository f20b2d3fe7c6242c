/** Faults of certificates and CRLs whose time is over: signed by the CA's own key, with other times in them. */
import { sh } from '../support.ts';
import type { MadeFault } from './fault.ts';
import { forged } from './forge.ts';

const DAY = 86_400_000;
const CONFIGURATION = '/etc/pki/pki-tomcat/ca/CS.cfg';
const AGENT = '/var/lib/capstan/ra-agent.pem';
const CRL = 'cn=MasterCRL,ou=crlIssuingPoints,ou=ca,o=ipaca';

function inDays(days: number): Date {
  return new Date(Date.now() + days * DAY);
}

/** The certificate in a setting of CS.cfg, base64. */
function configured(setting: string): Promise<string> {
  return sh('ca1', `sed -n 's/^${setting}=//p' ${CONFIGURATION} | tr -d '\\n'`);
}

/** CS.cfg with the same certificate, that ends at another time. */
function withOther(setting: string): { make: () => Promise<string>; mend: string } {
  return {
    async make() {
      const other = await forged('ca1', await configured(setting), inDays(300));
      return `keep $C; sed -i 's#^${setting}=.*#${setting}=${other}#' $C`;
    },
    mend: 'give $C',
  };
}

/** The agent's certificate, that ends in some days; the CA's user has the same, so that nothing else is wrong. */
function agentEnding(days: number): { make: () => Promise<string>; mend: string } {
  const user = (certificate: string) => `ldap <<END
dn: uid=admin,ou=people,o=ipaca
changetype: modify
replace: userCertificate
userCertificate:: ${certificate}
END`;
  const own = `$(openssl x509 -in ${AGENT} -outform DER | base64 -w0)`;
  return {
    async make() {
      const der = await sh('ca1', `openssl x509 -in ${AGENT} -outform DER | base64 -w0`);
      const other = await forged('ca1', der, inDays(days));
      return `keep ${AGENT}; echo ${other} | base64 -d | openssl x509 -inform DER > ${AGENT}; ${user(other)}`;
    },
    mend: `give ${AGENT}; ${user(own)}`,
  };
}

export const FORGED_FAULTS: readonly MadeFault[] = [
  { codes: 'certificate-expired', says: /agent certificate expired at/, ...agentEnding(-1) },
  {
    codes: 'certificate-expiring',
    alone: true,
    says: /agent certificate expires in [45] days/,
    ...agentEnding(5),
  },
  {
    codes: 'external-ca-expiring',
    alone: true,
    says: /Certificate Authority ends at .* and only O=Corp,CN=Corp Root can renew it/,
    // A certificate of the CA as an authority above it would have made it; the directory publishes it beside the real one.
    make: `F=/etc/capstan/ca.crt; D=cn=CAcert,cn=ipa,cn=etc,$S; keep $F; entry $D -s base 'cACertificate;binary' | grep ^cACert > $K/ca
openssl req -x509 -newkey rsa:2048 -nodes -keyout $K/root.key -subj '/O=Corp/CN=Corp Root' -days 100 -out $K/root.crt 2>/dev/null
openssl x509 -in $F -noout -pubkey > $K/pub
printf 'basicConstraints=critical,CA:TRUE\nsubjectKeyIdentifier=hash\n' > $K/ext
openssl req -new -key $K/root.key -subj '/O=EXAMPLE.TEST/CN=Certificate Authority' -out $K/csr
openssl x509 -req -in $K/csr -force_pubkey $K/pub -CA $K/root.crt -CAkey $K/root.key -days 40 -extfile $K/ext \\
  -set_serial 0x$(openssl x509 -in $F -noout -serial | cut -d= -f2) -out $K/other 2>/dev/null
ldap <<END
dn: $D
changetype: modify
add: cACertificate;binary
cACertificate;binary:: $(openssl x509 -in $K/other -outform DER | base64 -w0)
END
cat $K/other $K/root.crt > $F`,
    mend: `give /etc/capstan/ca.crt
ldap <<END
dn: cn=CAcert,cn=ipa,cn=etc,$S
changetype: modify
replace: cACertificate;binary
$(cat $K/ca)
END`,
  },
  { codes: 'certificate-differs-on-token', ...withOther('ca.ocsp_signing.cert') },
  { codes: 'certificate-differs-in-database', ...withOther('ca.sslserver.cert') },
  {
    codes: 'crl-overdue',
    async make() {
      const crl = await sh(
        'ca1',
        `ldapsearch -LLL -o ldif-wrap=no -Q -Y EXTERNAL -H ldapi://%2Frun%2Fslapd-EXAMPLE-TEST.socket -b ${CRL} -s base certificateRevocationList | sed -n 's/^certificateRevocationList.*:: //p' | tr -d '\\n'`,
      );
      const other = await forged('ca1', crl, inDays(-1));
      return `entry ${CRL} -s base certificateRevocationList | grep ^certificateRevocationList > $K/crl; ${crlOf(`certificateRevocationList:: ${other}`)}`;
    },
    mend: crlOf('$(cat $K/crl)'),
  },
];

function crlOf(line: string): string {
  return `ldap <<END\ndn: ${CRL}\nchangetype: modify\nreplace: certificateRevocationList\n${line}\nEND`;
}
