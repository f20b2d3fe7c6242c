/** Faults of a KRA. */
import type { MadeFault } from './fault.ts';
import { lost, setting } from './quick.ts';

const AGAIN = 'capstan restart --output json >/dev/null';

/** The context file that has Tomcat deploy the KRA, and its first answer without it. */
const CONTEXT = '/etc/pki/pki-tomcat/Catalina/localhost/kra.xml';
const UNTIL_GONE =
  'for i in $(seq 120); do curl -sf -o /dev/null http://ca1.example.test:8080/kra/admin/kra/getStatus || break; sleep 0.5; done';

/** Every fault that only a server with a KRA can have. */
export const KRA_FAULTS: readonly MadeFault[] = [
  {
    codes: 'kra-self-tests',
    says: /of the KRA failed when they ran last: .*KRAPresence running at startup FAILED/,
    make: `f=/var/log/pki/pki-tomcat/kra/selftests.log; keep $f; cat >> $f <<'END'
0.main - [22/Nov/2026:10:00:00 UTC] [20] [1] SelfTestSubsystem: Initializing self test plugins:
0.main - [22/Nov/2026:10:00:01 UTC] [20] [1] SelfTestSubsystem: The CRITICAL self test plugin called selftests.container.instance.KRAPresence running at startup FAILED!
END`,
    mend: 'give /var/log/pki/pki-tomcat/kra/selftests.log',
  },
  {
    codes: 'kra-recovery',
    says: /recovers nothing: Nothing is archived under the name capstan-proof/,
    make: `entry ou=keyRepository,ou=kra,o=kra,o=ipaca '(clientId=capstan-proof)' 1.1 | sed -n 's/^dn: //p' > $K/dn
ldap <<END
dn: $(cat $K/dn)
changetype: modify
replace: clientId
clientId: another
END`,
    mend: `ldap <<END
dn: $(cat $K/dn)
changetype: modify
replace: clientId
clientId: capstan-proof
END`,
  },
  {
    codes: 'kra-unconnected',
    place: 'connector',
    ...setting('/^ca.connector.KRA/d'),
  },
  {
    codes: 'kra-connector-stale',
    place: 'connector',
    ...setting('s/^ca.connector.KRA.host=.*/& ca9.example.test:8443/'),
  },
  {
    codes: 'kra-transport-differs',
    place: 'connector',
    ...setting('s#^\\(ca.connector.KRA.transportCert=\\).*#\\1$(sed -n s/^ca.subsystem.cert=//p $C)#'),
  },
  {
    // Who is not recorded need not be known.
    codes: 'role-differs',
    place: 'connector',
    says: /has a KRA, and is not recorded/,
    ...lost('cn=KRA,cn=ca1.example.test,cn=masters,cn=ipa,cn=etc,$S', 'ipaConfigString', 'enabledService'),
  },
  {
    codes: 'domain-entry-missing',
    place: 'domain',
    says: /does not have the KRA of ca1/,
    make: `D="cn=ca1.example.test:8443,$KD"; entry "$D" > $K/domain; ldapdelete $L "$D"`,
    mend: 'ldapadd $L < $K/domain >/dev/null',
  },
  {
    codes: 'domain-entry-stale',
    place: 'domain',
    make: `entry "cn=ca1.example.test:8443,$KD" | sed s/ca1.example/ca9.example/ | ldapadd $L >/dev/null`,
    mend: 'ldapdelete $L "cn=ca9.example.test:8443,$KD"',
  },
  {
    codes: 'kra-status',
    alone: true,
    make: `keep ${CONTEXT}; sed -i 's#docBase="[^"]*"#docBase="/nonexistent"#' ${CONTEXT}; ${UNTIL_GONE}`,
    mend: `give ${CONTEXT}; ${AGAIN}`,
  },
  {
    codes: 'kra-disabled',
    alone: true,
    make: `pki-server subsystem-disable -i pki-tomcat kra >/dev/null; ${UNTIL_GONE}`,
    mend: AGAIN,
  },
];
