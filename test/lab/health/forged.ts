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
