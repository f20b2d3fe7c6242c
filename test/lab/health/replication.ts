/** Faults of replication, between ca1 and ca2, made on either. */
import { type MadeFault, script } from './fault.ts';

const SUFFIX = 'dc=example,dc=test';
/** Sets `$AG` to the agreement of the host with the other one. */
const AGREEMENT = `AG=$(ldapsearch -LLL -o ldif-wrap=no $L -b 'cn=mapping tree,cn=config' '(&(objectClass=nsDS5ReplicationAgreement)(nsDS5ReplicaRoot=${SUFFIX}))' 1.1 | sed -n 's/^dn: //p')`;
/** Changes that agreement. */
function agreement(lines: string): string {
  return `${AGREEMENT}
ldap <<END
dn: $AG
changetype: modify
${lines}
END
`;
}

const set = (name: string, value: string) => `replace: ${name}\n${name}: ${value}`;
/** Entries in conflict, as 389-ds shows them to those who ask for subentries. */
const CONFLICT = '(&(objectClass=ldapSubEntry)(nsds5ReplConflict=*))';

/** A change that is to be sent. */
function describe(words: string): string {
  return `ldap <<END\ndn: $S\nchangetype: modify\nreplace: description\ndescription: ${words}\nEND`;
}

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
${describe('there is something to send')}
sleep 4`,
    mend: REPAIR,
  },
  {
    codes: 'feed-missing',
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
    codes: 'ruv-leftover',
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
  {
    // The feed has no time to send at. What is changed counts as late after a minute. What the feed says of its last
    // session stays, and so that must have gone well: the server was away a moment ago.
    codes: 'feed-behind',
    alone: true,
    says: /\d+ s behind/,
    make: `${AGREEMENT}
for i in $(seq 90); do value "$AG" nsds5replicaLastUpdateStatus | grep -q '(0)' && break; sleep 1; done
${agreement(set('nsds5ReplicaUpdateSchedule', '0000-0001 0'))}
${describe('later')}
sleep 63`,
    mend: `${agreement('delete: nsds5ReplicaUpdateSchedule')}
${describe('sent')}`,
  },
  {
    // Its data come from a copy that knows nothing of replication.
    codes: 'feed-uninitialised',
    alone: true,
    on: 'ca2',
    make: `systemctl stop dirsrv@EXAMPLE-TEST
dsctl EXAMPLE-TEST db2ldif userroot /var/lib/dirsrv/slapd-EXAMPLE-TEST/ldif/copy.ldif >/dev/null
dsctl EXAMPLE-TEST ldif2db userroot /var/lib/dirsrv/slapd-EXAMPLE-TEST/ldif/copy.ldif >/dev/null
systemctl start dirsrv@EXAMPLE-TEST; sleep 2`,
    mendOn: 'ca1',
    mend: `${agreement(set('nsds5BeginReplicaRefresh', 'start'))}
for i in $(seq 60); do sleep 1; value "$AG" nsds5BeginReplicaRefresh | grep -q . || break; done
${REPAIR}`,
  },
  {
    // Both servers make the same entry while they do not hear of each other.
    codes: 'replication-conflict',
    alone: true,
    async make() {
      const [off, on] = ['off', 'on'].map((state) => agreement(set('nsds5ReplicaEnabled', state)));
      const hosts = ['ca1', 'ca2'];
      for (const host of hosts) await script(host, off ?? '');
      for (const host of hosts)
        await script(
          host,
          'printf "dn: cn=twin,$S\nobjectClass: nsContainer\ncn: twin\n" | ldapadd $L >/dev/null',
        );
      for (const host of hosts) await script(host, on ?? '');
      return `for i in $(seq 30); do entry $S "${CONFLICT}" 1.1 | grep -q ^dn: && break; sleep 1; done`;
    },
    mend: `entry $S "(|(cn=twin)${CONFLICT})" 1.1 | sed -n 's/^dn: //p' | ldapdelete $L; sleep 3`,
  },
];
