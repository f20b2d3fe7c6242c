/** Faults that restart nothing: of files, of entries, of what is mounted. */
import { type MadeFault, timedatectl } from './fault.ts';

/** A line of CS.cfg, changed. */
export function setting(expression: string): { make: string; mend: string } {
  return { make: `keep $C; sed -i "${expression}" $C`, mend: 'give $C' };
}

/** An attribute of an entry, set to another value and back. */
export function attribute(dn: string, name: string, value: string): { make: string; mend: string } {
  const set = (to: string) =>
    `ldap <<END\ndn: ${dn}\nchangetype: modify\nreplace: ${name}\n${name}: ${to}\nEND`;
  return { make: `value "${dn}" ${name} > $K/old\n${set(value)}`, mend: set('$(cat $K/old)') };
}

/** A value that an attribute loses, and gets again. */
export function lost(dn: string, name: string, value: string): { make: string; mend: string } {
  const change = (verb: string) =>
    `ldap <<END\ndn: ${dn}\nchangetype: modify\n${verb}: ${name}\n${name}: ${value}\nEND`;
  return { make: change('delete'), mend: change('add') };
}

/** A file that is not there for a moment. */
function away(path: string): { make: string; mend: string } {
  return { make: `mv ${path} ${path}.away`, mend: `mv ${path}.away ${path}` };
}

export const INSTALLATION_FAULTS: readonly MadeFault[] = [
  { codes: 'not-installed', alone: true, ...away('/var/lib/capstan/server.json') },
  {
    codes: 'installation-unfinished',
    alone: true,
    says: /A run of "capstan server-install" did not come to its end/,
    make: 'f=/var/lib/capstan/server.json; keep $f; jq "del(.finished)" $K$f > $f',
    mend: 'give /var/lib/capstan/server.json',
  },
  {
    codes: 'capstan-older',
    make: `f=/var/lib/capstan/server.json; keep $f; jq '.capstan = "99.0.0"' $K$f > $f`,
    mend: 'give /var/lib/capstan/server.json',
  },
  {
    codes: 'leftovers',
    says: /capstan-999999-killed.*\n.*CS\.cfg\.new/,
    make: 'mkdir /run/capstan-999999-killed; touch $C.new',
    mend: 'rmdir /run/capstan-999999-killed; rm $C.new',
  },
  {
    codes: 'look-failed',
    alone: true,
    says: /MemAvailable/,
    make: 'echo nothing | shadow /proc/meminfo',
    mend: 'unshadow /proc/meminfo',
  },
];

export const HOST_FAULTS: readonly MadeFault[] = [
  {
    codes: 'disk-full',
    place: 'logs',
    make: 'mount -t tmpfs -o size=4m none /var/log/dirsrv',
    mend: 'umount /var/log/dirsrv',
  },
  {
    codes: 'disk-full',
    alone: true,
    says: /no inode/,
    make: 'mount -t tmpfs -o size=600m,nr_inodes=2 none /var/log/dirsrv; touch /var/log/dirsrv/last',
    mend: 'umount /var/log/dirsrv',
  },
  {
    codes: 'disk-low',
    place: 'logs',
    make: 'mount -t tmpfs -o size=100m none /var/log/dirsrv',
    mend: 'umount /var/log/dirsrv',
  },
  {
    codes: 'memory-low',
    make: `sed 's/^MemAvailable: .*/MemAvailable:      10240 kB/' /proc/meminfo > $K/mem; shadow /proc/meminfo < $K/mem`,
    mend: 'unshadow /proc/meminfo',
  },
  {
    codes: 'clock-wrong',
    make: `f=/opt/capstan/dist/src/host/clock.js; keep $f; touch -d '+3 days' $f`,
    mend: 'give /opt/capstan/dist/src/host/clock.js',
  },
  {
    codes: 'clock-unsynchronised',
    place: 'timedatectl',
    make: timedatectl('no'),
    mend: 'umount /usr/bin/timedatectl',
  },
  {
    codes: 'hostname-wrong',
    make: 'cat /etc/hosts > $K/hosts; (cat $K/hosts; echo 10.77.0.99 ca1.example.test) | shadow /etc/hosts',
    mend: 'unshadow /etc/hosts',
  },
  {
    codes: 'release-unsupported',
    alone: true,
    make: 'echo "Implementation-Version: 9.0.0" | shadow /usr/share/pki/VERSION',
    mend: 'unshadow /usr/share/pki/VERSION',
  },
];

export const SERVICE_FAULTS: readonly MadeFault[] = [
  {
    codes: 'service-stopped',
    alone: true,
    make: 'systemctl stop certmonger',
    mend: 'begin certmonger',
  },
  {
    codes: 'service-stopped',
    alone: true,
    make: 'systemctl stop capstan-feed-keeper',
    mend: 'systemctl start capstan-feed-keeper',
  },
  {
    codes: 'service-not-at-boot',
    make: 'systemctl -q disable certmonger',
    mend: 'systemctl -q enable certmonger',
  },
  {
    codes: 'service-order',
    make: 'f=/etc/systemd/system/pki-tomcatd@pki-tomcat.service.d/capstan.conf; keep $f; rm $f; systemctl daemon-reload',
    mend: 'give /etc/systemd/system/pki-tomcatd@pki-tomcat.service.d/capstan.conf; systemctl daemon-reload',
  },
  {
    codes: 'feed-keeper-missing',
    make: 'f=/etc/systemd/system/capstan-feed-keeper.service; keep $f; rm $f',
    mend: 'give /etc/systemd/system/capstan-feed-keeper.service',
  },
];

export const CA_FAULTS: readonly MadeFault[] = [
  { codes: 'ca-configuration-missing', alone: true, ...away('$C') },
  {
    codes: 'ca-status',
    alone: true,
    patience: 9,
    make: 'systemctl kill --signal=STOP pki-tomcatd@pki-tomcat',
    mend: 'systemctl kill --signal=CONT pki-tomcatd@pki-tomcat',
  },
  {
    codes: 'ca-self-tests',
    says: /SystemCertsVerification running at startup FAILED/,
    make: `f=/var/log/pki/pki-tomcat/ca/selftests.log; keep $f; cat >> $f <<'END'
0.main - [22/Nov/2026:10:00:00 UTC] [20] [1] SelfTestSubsystem: Initializing self test plugins:
0.main - [22/Nov/2026:10:00:01 UTC] [20] [1] SelfTestSubsystem: The CRITICAL self test plugin called selftests.container.instance.SystemCertsVerification running at startup FAILED!
END`,
    mend: 'give /var/log/pki/pki-tomcat/ca/selftests.log',
  },
  {
    codes: 'crl-unverified',
    make: `D=cn=MasterCRL,ou=crlIssuingPoints,ou=ca,o=ipaca; entry $D -s base certificateRevocationList | sed -n '/^certificateRevocationList/,$p' | grep . > $K/crl
ldap <<END
dn: $D
changetype: modify
replace: certificateRevocationList
certificateRevocationList: nonsense
END`,
    mend: `ldap <<END
dn: cn=MasterCRL,ou=crlIssuingPoints,ou=ca,o=ipaca
changetype: modify
replace: certificateRevocationList
$(cat $K/crl)
END`,
  },
];

export const DIRECTORY_FAULTS: readonly MadeFault[] = [
  {
    codes: 'directory-unreachable',
    alone: true,
    patience: 9,
    make: 'systemctl kill --signal=STOP dirsrv@EXAMPLE-TEST',
    mend: 'systemctl kill --signal=CONT dirsrv@EXAMPLE-TEST',
  },
  { codes: 'usn-plugin-off', ...attribute('cn=USN,cn=plugins,cn=config', 'nsslapd-pluginEnabled', 'off') },
  {
    codes: 'identity-unknown',
    ...attribute(
      'uid=ca1.example.test,cn=sysaccounts,cn=etc,$S',
      'seeAlso',
      'CN=ca9.example.test,O=EXAMPLE.TEST',
    ),
  },
  {
    codes: 'identity-unknown',
    ...lost(
      'cn=replication managers,cn=sysaccounts,cn=etc,$S',
      'member',
      'uid=ca1.example.test,cn=sysaccounts,cn=etc,$S',
    ),
  },
  { codes: 'hsm-record-missing', place: 'record', ...lost('$REC', 'ipaCaHSMConfiguration', '$T;$M') },
  {
    codes: 'hsm-record-malformed',
    place: 'record',
    ...attribute('$REC', 'ipaCaHSMConfiguration', 'nonsense'),
  },
  {
    codes: 'hsm-record-differs',
    place: 'record',
    ...attribute('$REC', 'ipaCaHSMConfiguration', '$T;/opt/other.so'),
  },
];

export const ROLE_FAULTS: readonly MadeFault[] = [
  {
    codes: 'server-unrecorded',
    alone: true,
    make: `R=cn=ca1.example.test,cn=masters,cn=ipa,cn=etc,$S; entry $R > $K/record; ldapdelete $L -r $R`,
    mend: 'ldapadd $L < $K/record >/dev/null',
  },
  { codes: 'role-differs', ...lost('$ROLE', 'ipaConfigString', 'enabledService') },
  { codes: 'renewal-master', ...lost('$ROLE', 'ipaConfigString', 'caRenewalMaster') },
  { codes: 'crl-generator', place: 'crl', ...lost('$ROLE', 'ipaConfigString', 'crlGenerator') },
  {
    codes: 'crl-generation-differs',
    place: 'crl',
    ...setting('s/^ca.crl.MasterCRL.enableCRLUpdates=.*/ca.crl.MasterCRL.enableCRLUpdates=false/'),
  },
  {
    codes: 'token-serial-differs',
    make: `entry $ROLE ipaConfigString | sed -n 's/^ipaConfigString: \\(tokenSerial .*\\)/\\1/p' > $K/serial
ldap <<END
dn: $ROLE
changetype: modify
delete: ipaConfigString
ipaConfigString: $(cat $K/serial)
-
add: ipaConfigString
ipaConfigString: tokenSerial 0000
END`,
    mend: `ldap <<END
dn: $ROLE
changetype: modify
delete: ipaConfigString
ipaConfigString: tokenSerial 0000
-
add: ipaConfigString
ipaConfigString: $(cat $K/serial)
END`,
  },
  {
    codes: 'domain-entry-missing',
    place: 'domain',
    make: `D="cn=ca1.example.test:8443,$SD"; entry "$D" > $K/domain; ldapdelete $L "$D"`,
    mend: 'ldapadd $L < $K/domain >/dev/null',
  },
  {
    codes: 'domain-entry-stale',
    place: 'domain',
    make: `entry "cn=ca1.example.test:8443,$SD" | sed s/ca1.example/ca9.example/ | ldapadd $L >/dev/null`,
    mend: 'ldapdelete $L "cn=ca9.example.test:8443,$SD"',
  },
];

export const CERTIFICATE_FAULTS: readonly MadeFault[] = [
  { codes: 'ca-file-missing', alone: true, ...away('/etc/capstan/ca.crt') },
  { codes: 'certificate-missing', ...setting('/^ca.sslserver.nickname=/d') },
  {
    codes: 'certificate-unverified',
    make: `keep $C; openssl req -x509 -newkey rsa:2048 -nodes -keyout /dev/null -subj /CN=other -days 30 -outform DER 2>/dev/null | base64 -w0 > $K/other
sed -i "s#^ca.audit_signing.cert=.*#ca.audit_signing.cert=$(cat $K/other)#" $C`,
    mend: 'give $C',
  },
  {
    codes: 'certificate-revoked',
    make: `D=cn=$((16#$(sed -n s/^ca.ocsp_signing.cert=//p $C | base64 -d | openssl x509 -inform DER -noout -serial | sed s/.*=//))),ou=certificateRepository,ou=ca,o=ipaca
echo $D > $K/dn
ldap <<END
dn: $D
changetype: modify
replace: certStatus
certStatus: REVOKED
END`,
    mend: `ldap <<END
dn: $(cat $K/dn)
changetype: modify
replace: certStatus
certStatus: VALID
END`,
  },
  {
    codes: 'ca-certificate-differs',
    make: `D=cn=CAcert,cn=ipa,cn=etc,$S; entry $D -s base 'cACertificate;binary' | grep ^cACert > $K/ca
ldap <<END
dn: $D
changetype: modify
replace: cACertificate;binary
cACertificate;binary:: $(sed -n s/^ca.subsystem.cert=//p $C)
END`,
    mend: `ldap <<END
dn: cn=CAcert,cn=ipa,cn=etc,$S
changetype: modify
replace: cACertificate;binary
$(cat $K/ca)
END`,
  },
  {
    codes: 'authority-differs',
    make: `D=$(ldapsearch -LLL -o ldif-wrap=no $L -b ou=authorities,ou=ca,o=ipaca -s one '(!(authorityParentID=*))' 1.1 | sed -n 's/^dn: //p'); echo "$D" > $K/dn; value "$D" authoritySerial > $K/old
ldap <<END
dn: $D
changetype: modify
replace: authoritySerial
authoritySerial: 4711
END`,
    mend: `ldap <<END
dn: $(cat $K/dn)
changetype: modify
replace: authoritySerial
$(sed 's/^./authoritySerial: &/' $K/old)
END`,
  },
  {
    codes: 'subsystem-user-differs',
    ...attribute(
      'uid=pkidbuser,ou=people,o=ipaca',
      'description',
      '2;99;CN=Certificate Authority,O=EXAMPLE.TEST;CN=other',
    ),
  },
  { codes: 'agent-missing', alone: true, ...away('/var/lib/capstan/ra-agent.key') },
  {
    codes: 'agent-unknown',
    ...lost('cn=Certificate Manager Agents,ou=groups,o=ipaca', 'uniqueMember', 'uid=admin,ou=people,o=ipaca'),
  },
];

export const HSM_FAULTS: readonly MadeFault[] = [
  {
    codes: 'module-missing',
    alone: true,
    make: 'keep $A/pkcs11.txt; sed -i "\\#^library=$M#d" $A/pkcs11.txt',
    mend: 'give $A/pkcs11.txt',
  },
  { codes: 'hsm-unreachable', alone: true, ...away('$M') },
  { codes: 'hsm-pin-missing', alone: true, make: 'keep $P; sed -i /^hardware-/d $P', mend: 'give $P' },
  {
    codes: 'hsm-pin-tries',
    alone: true,
    make: 'tool --login --pin 00000000 -O >/dev/null 2>&1 || true',
    mend: 'tool --login --pin "$PIN" -O >/dev/null 2>&1',
  },
  {
    codes: 'hsm-pin-refused',
    alone: true,
    says: /PIN/,
    make: 'keep $P; sed -i "s/^hardware-.*/&x/" $P',
    mend: 'tool --login --pin "$PIN" -O >/dev/null 2>&1',
  },
  // The token has forgotten the wrong try, and password.conf is as it was: the PIN must not be tried once more.
  { codes: 'hsm-pin-refused', alone: true, says: /not tried again/, make: 'true', mend: 'give $P' },
  {
    codes: 'hsm-token-differs',
    ...setting('s/^ca.audit_signing.tokenname=.*/ca.audit_signing.tokenname=other/'),
  },
];

export const FILE_FAULTS: readonly MadeFault[] = [
  { codes: 'file-exposed', make: 'keep $P; chmod o+r $P', mend: 'give $P' },
  {
    codes: 'file-owner',
    make: 'chown root /etc/dirsrv/slapd-EXAMPLE-TEST/pwdfile.txt',
    mend: 'chown dirsrv /etc/dirsrv/slapd-EXAMPLE-TEST/pwdfile.txt',
  },
  { codes: 'file-closed', make: 'chmod 600 /etc/capstan/ca.crt', mend: 'chmod 644 /etc/capstan/ca.crt' },
];
