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
    alone: true,
    make: agreement(set('nsds5ReplicaEnabled', 'off')),
    mend: agreement(set('nsds5ReplicaEnabled', 'on')),
  },
  {
    codes: 'feed-failing',
    alone: true,
    says: /from ca1.example.test to ca2.example.test/,
    make: `${agreement(`${set('nsds5ReplicaEnabled', 'off')}\n-\n${set('nsDS5ReplicaBindDN', 'cn=nobody,cn=config')}`)}
${agreement(set('nsds5ReplicaEnabled', 'on'))}
ldap <<END
dn: $S
changetype: modify
replace: description
description: there is something to send
END
sleep 4`,
    mend: REPAIR,
  },
  {
    // One way alone connects nobody.
    codes: ['feed-missing', 'replication-parted'],
    alone: true,
    on: 'ca2',
    make: `AG=$(ldapsearch -LLL -o ldif-wrap=no $L -b 'cn=mapping tree,cn=config' '(objectClass=nsDS5ReplicationAgreement)' 1.1 | sed -n 's/^dn: //p')
ldapdelete $L "$AG"`,
    mend: REPAIR,
  },
  {
    codes: 'replication-parted',
    alone: true,
    make: 'capstan topology remove ca1 ca2 --force --output json >/dev/null',
    mend: REPAIR,
  },
  {
    codes: 'sender-leftover',
    alone: true,
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
    alone: true,
    make: `R=$(ldapsearch -LLL -o ldif-wrap=no $L -b 'cn=mapping tree,cn=config' '(objectClass=nsDS5Replica)' 1.1 | sed -n 's/^dn: //p' | grep -i 'dc.*example')
echo "$R" > $K/dn; value "$R" nsDS5ReplicaBindDN > $K/old
ldap <<END
dn: $R
changetype: modify
delete: nsDS5ReplicaBindDN
nsDS5ReplicaBindDN: $(cat $K/old)
END`,
    mend: `ldap <<END
dn: $(cat $K/dn)
changetype: modify
add: nsDS5ReplicaBindDN
nsDS5ReplicaBindDN: $(cat $K/old)
END`,
  },
  {
    // What is left when somebody deletes the record of a server and nothing else.
    codes: ['ruv-leftover', 'sender-leftover'],
    alone: true,
    says: /ca2\.example\.test, which is no server of the cluster/,
    make: 'R=cn=ca2.example.test,cn=masters,cn=ipa,cn=etc,$S; entry $R > $K/record; ldapdelete $L -r $R',
    mend: 'ldapadd $L < $K/record >/dev/null',
  },
  {
    codes: 'server-silent',
    alone: true,
    on: 'ca2',
    make: 'systemctl stop dirsrv@EXAMPLE-TEST',
    mend: 'systemctl start dirsrv@EXAMPLE-TEST',
  },
];
