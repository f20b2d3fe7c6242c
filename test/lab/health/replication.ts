/** Faults of replication, between ca1 and ca2, made on either. */
import type { MadeFault } from './fault.ts';

const SUFFIX = 'dc=example,dc=test';
/** Changes the agreement of the host with the other one. */
function agreement(lines: string): string {
  return `AG=$(ldapsearch -LLL -o ldif-wrap=no $L -b 'cn=mapping tree,cn=config' '(&(objectClass=nsDS5ReplicationAgreement)(nsDS5ReplicaRoot=${SUFFIX}))' 1.1 | sed -n 's/^dn: //p')
ldap <<END
dn: $AG
changetype: modify
${lines}
END
`;
}

const set = (name: string, value: string) => `replace: ${name}\n${name}: ${value}`;
const REPAIR = 'capstan topology add ca1 ca2 --output json >/dev/null';

export const REPLICATION_FAULTS: readonly MadeFault[] = [
  {
    codes: 'feed-disabled',
    make: agreement(set('nsds5ReplicaEnabled', 'off')),
    mend: agreement(set('nsds5ReplicaEnabled', 'on')),
  },
  {
    codes: 'feed-failing',
    says: /from ca1.example.test to ca2.example.test/,
    make: `${agreement(`${set('nsDS5ReplicaCredentials', 'wrong')}\n-\n${set('nsds5ReplicaEnabled', 'off')}`)}
${agreement(set('nsds5ReplicaEnabled', 'on'))}
sleep 3`,
    mend: REPAIR,
  },
  {
    codes: 'feed-missing',
    on: 'ca2',
    make: `AG=$(ldapsearch -LLL -o ldif-wrap=no $L -b 'cn=mapping tree,cn=config' '(objectClass=nsDS5ReplicationAgreement)' 1.1 | sed -n 's/^dn: //p')
ldapdelete $L "$AG"`,
    mend: REPAIR,
  },
  {
    codes: 'replication-parted',
    make: 'capstan topology remove ca1 ca2 --force --output json >/dev/null',
    mend: REPAIR,
  },
  {
    codes: 'sender-leftover',
    make: `ldapadd $L >/dev/null <<'END'
dn: cn=ca9.example.test example.test,cn=replication managers,cn=config
objectClass: top
objectClass: person
cn: ca9.example.test example.test
sn: replication
END`,
    mend: `ldapdelete $L 'cn=ca9.example.test example.test,cn=replication managers,cn=config'`,
  },
  {
    codes: 'sender-refused',
    make: `R=$(ldapsearch -LLL -o ldif-wrap=no $L -b 'cn=mapping tree,cn=config' '(objectClass=nsDS5Replica)' 1.1 | sed -n 's/^dn: //p' | grep -i 'dc.*example')
echo "$R" > /run/dn; value "$R" nsDS5ReplicaBindDN > /run/old
ldap <<END
dn: $R
changetype: modify
delete: nsDS5ReplicaBindDN
nsDS5ReplicaBindDN: $(cat /run/old)
END`,
    mend: `ldap <<END
dn: $(cat /run/dn)
changetype: modify
add: nsDS5ReplicaBindDN
nsDS5ReplicaBindDN: $(cat /run/old)
END`,
  },
  {
    // What is left when somebody deletes the record of a server and nothing else.
    codes: ['ruv-leftover', 'sender-leftover'],
    says: /ca2\.example\.test, which is no server of the cluster/,
    make: 'R=cn=ca2.example.test,cn=masters,cn=ipa,cn=etc,$S; entry $R > /run/record; ldapdelete $L -r $R',
    mend: 'ldapadd $L < /run/record >/dev/null',
  },
  {
    codes: 'server-silent',
    on: 'ca2',
    make: 'systemctl stop dirsrv@EXAMPLE-TEST',
    mend: 'systemctl start dirsrv@EXAMPLE-TEST',
  },
];
