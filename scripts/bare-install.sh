#!/bin/bash
# The yardstick of scripts/bench.ts: what an administrator would type without Capstan, with the same configuration.
# It runs on a fresh lab host and reads the rehearsal's values from /etc/capstan/lab. Passwords of a lab only:
# a careful installation does not pass them around like this.
#
# KEY-SIZE is the CA's own; the other keys have 2048 bits, as Capstan's templates say.
#
# With the name of a server, the host becomes its replica: directory, replication of both suffixes over TLS, a clone of
# the CA. It needs the server's /etc/dirsrv/ssca, so that both directories trust one issuer, and its CA certificate in
# /root/ca.crt. Replication of o=ipaca is set up by pkispawn.
#
#   bare-install.sh REALM DOMAIN KEY-SIZE [SERVER]
set -euo pipefail
umask 077
realm=$1 domain=$2 key_size=$3 server=${4:-}
value() { cat "/etc/capstan/lab/$1"; }
host=$(hostname -f)
instance=${realm//./-}
suffix=dc=${domain//./,dc=}
token=$(value token-name) library=$(value library-path) module=$(basename "$(value library-path)")
module=${module%%.so*}
work=$(mktemp -d)
alias=/etc/pki/pki-tomcat/alias

cat > "$work/ds.inf" <<END
[general]
config_version = 2
full_machine_name = $host
strict_host_checking = False
selinux = False
systemd = True
start = True
[slapd]
instance_name = $instance
port = 389
secure_port = 636
root_dn = cn=Directory Manager
root_password = $(value ds-password | sed 's,%,%%,g')
self_sign_cert = True
[backend-userroot]
suffix = $suffix
create_suffix_entry = True
sample_entries = no
END
dscreate from-file "$work/ds.inf"
dsconf "$instance" plugin usn enable
dsctl "$instance" restart

# Replication of the domain's suffix; its manager gets the Directory Manager's password.
mapping="cn=replica,cn=$(sed 's/=/\\3D/g; s/,/\\2C/g' <<< "$suffix"),cn=mapping tree,cn=config"
manager='cn=replication manager,cn=config'

# directory HOST PROGRAM [ARGUMENT...]: a program of OpenLDAP at the directory of HOST, its certificate verified.
directory() {
  LDAPTLS_CACERT=/etc/dirsrv/ssca/ca.crt LDAPTLS_REQCERT=demand \
    "$2" -x -H "ldaps://$1" -D 'cn=Directory Manager' -y "$work/ds-password" "${@:3}"
}

# supplier HOST ID: makes the directory of HOST a supplier with this replica id.
supplier() {
  directory "$1" ldapadd <<END
dn: $manager
objectClass: person
sn: manager
userPassword:: $(base64 -w0 "$work/ds-password")

dn: $mapping
objectClass: nsDS5Replica
objectClass: extensibleObject
cn: replica
nsDS5ReplicaRoot: $suffix
nsDS5ReplicaType: 3
nsDS5Flags: 1
nsDS5ReplicaId: $2
nsDS5ReplicaBindDN: $manager
END
}

# agreement FROM TO [ATTRIBUTE]: from the directory of one host to that of another.
agreement() {
  directory "$1" ldapadd <<END
dn: cn=to-$2,$mapping
objectClass: nsDS5ReplicationAgreement
nsDS5ReplicaRoot: $suffix
nsDS5ReplicaHost: $2
nsDS5ReplicaPort: 636
nsDS5ReplicaTransportInfo: LDAPS
nsDS5ReplicaBindMethod: SIMPLE
nsDS5ReplicaBindDN: $manager
nsDS5ReplicaCredentials:: $(base64 -w0 "$work/ds-password")
${3:-description: $1 to $2}
END
}

if [ -n "$server" ]; then
  tr -d '\n' < /etc/capstan/lab/ds-password > "$work/ds-password"
  supplier "$server" 1
  supplier "$host" 2
  agreement "$host" "$server"
  agreement "$server" "$host" 'nsDS5BeginReplicaRefresh: start'
  until directory "$server" ldapsearch -LLL -b "cn=to-$host,$mapping" -s base nsDS5ReplicaLastInitStatus | grep -q 'Error (0)'; do
    sleep 0.2
  done
fi

# role STEP: what distinguishes a first CA from a clone, of the section [DEFAULT].
role() {
  [ -n "$server" ] || return 0
  cat <<END
pki_security_domain_hostname=$server
pki_security_domain_https_port=8443
pki_cert_chain_path=/root/ca.crt
pki_cert_chain_nickname=caSigningCert cert-pki-ca
END
  # Without a name, Dogtag 10.10 asks for a PKCS#12 file though the keys are on the token; it does not read this one.
  if [ "$1" = two ]; then echo pki_server_pkcs12_path=/nonexistent/hsm; fi
}

# clone: the same, of the section [CA].
clone() {
  [ -n "$server" ] || return 0
  cat <<END
pki_clone=True
pki_clone_uri=https://$server:8443
pki_clone_replicate_schema=True
pki_clone_setup_replication=True
pki_clone_replication_master_port=636
pki_clone_replication_clone_port=636
pki_clone_replication_security=SSL
END
}

# configuration STEP: one for installing the files and the token's module, two for configuring with the keys.
# Step two names the internal token as the default, so that Dogtag 10.10 leaves the TLS server key there.
configuration() {
  cat <<END
[DEFAULT]
pki_instance_name=pki-tomcat
pki_security_domain_name=EXAMPLE
pki_security_domain_user=admin
pki_security_domain_password=$(value admin-password)
pki_client_database_password=$(value admin-password)
pki_client_pkcs12_password=$(value admin-password)
pki_client_database_purge=False
pki_client_dir=/root/.dogtag/pki-tomcat
pki_client_database_dir=/root/.dogtag/pki-tomcat/ca/alias
pki_client_admin_cert_p12=/root/ca-agent.p12
pki_ds_hostname=$host
pki_ds_bind_dn=cn=Directory Manager
pki_ds_password=$(value ds-password)
pki_ds_remove_data=True
pki_ds_secure_connection=True
pki_ds_ldaps_port=636
pki_ds_secure_connection_ca_pem_file=/etc/dirsrv/slapd-$instance/ca.crt
pki_sslserver_token=internal
pki_sslserver_key_size=2048
pki_sslserver_subject_dn=cn=$host,O=$realm
pki_sslserver_nickname=Server-Cert cert-pki-ca
pki_subsystem_key_size=2048
pki_subsystem_subject_dn=cn=CA Subsystem,O=$realm
pki_subsystem_nickname=subsystemCert cert-pki-ca
pki_skip_sd_verify=True
pki_restart_configured_instance=False
END
  role "$1"
  if [ "$1" = one ]; then
    cat <<END
pki_hsm_enable=True
pki_hsm_libfile=$library
pki_hsm_modulename=$module
pki_token_name=$token
pki_token_password=$(value token-password)
END
  else
    printf 'pki_hsm_enable=False\npki_token_name=internal\n'
  fi
  cat <<END
[CA]
pki_admin_name=admin
pki_admin_uid=admin
pki_admin_email=root@localhost
pki_admin_nickname=ipa-ca-agent
pki_admin_password=$(value admin-password)
pki_admin_key_size=2048
pki_admin_subject_dn=cn=ipa-ca-agent,O=$realm
pki_ds_base_dn=o=ipaca
pki_ds_database=ipaca
pki_ds_create_new_db=True
pki_ca_signing_nickname=caSigningCert cert-pki-ca
pki_ca_signing_subject_dn=cn=Certificate Authority,O=$realm
pki_ca_signing_key_size=$key_size
pki_ca_signing_key_algorithm=SHA256withRSA
pki_ca_signing_signing_algorithm=SHA256withRSA
pki_ocsp_signing_nickname=ocspSigningCert cert-pki-ca
pki_ocsp_signing_subject_dn=cn=OCSP Subsystem,O=$realm
pki_ocsp_signing_key_size=2048
pki_audit_signing_nickname=auditSigningCert cert-pki-ca
pki_audit_signing_subject_dn=cn=CA Audit,O=$realm
pki_audit_signing_key_size=2048
pki_profiles_in_ldap=True
pki_default_ocsp_uri=http://$host:8080/ca/ocsp
pki_import_admin_cert=False
pki_ca_signing_token=$token
pki_ocsp_signing_token=$token
pki_audit_signing_token=$token
pki_subsystem_token=$token
END
  clone
}
configuration one > "$work/one.cfg"
configuration two > "$work/two.cfg"
pkispawn -s CA -f "$work/one.cfg" --skip-configuration
if [ -n "$server" ]; then
  sed -n 's/^internal=//p' /etc/pki/pki-tomcat/password.conf > "$work/internal"
  audit='auditSigningCert cert-pki-ca'
  certutil -A -d "$alias" -n 'caSigningCert cert-pki-ca' -t CT,C,C -f "$work/internal" -a -i /root/ca.crt
  certutil -L -d "$alias" -h "$token" -f /etc/capstan/lab/token-password -n "$token:$audit" -a > "$work/audit.crt"
  certutil -A -d "$alias" -n "$audit" -t ,,P -f "$work/internal" -a -i "$work/audit.crt"
fi
pkispawn -s CA -f "$work/two.cfg" --skip-installation

mkdir -p /etc/pki/nssdb
[ -e /etc/pki/nssdb/cert9.db ] || certutil -N --empty-password -d sql:/etc/pki/nssdb
chmod 755 /etc/pki/nssdb
chmod 644 /etc/pki/nssdb/*
pins=/etc/pki/bare-pins
mkdir -p "$pins"
value token-password > "$pins/token"
sed -n 's/^internal=//p' /etc/pki/pki-tomcat/password.conf > "$pins/internal"
systemctl start certmonger
getcert add-ca -c bare-ca -e "/usr/lib/certmonger/dogtag-ipa-renew-agent-submit -E http://$host:8080/ca/ee/ca"
for name in caSigningCert ocspSigningCert subsystemCert auditSigningCert; do
  getcert start-tracking -d "$alias" -n "$name cert-pki-ca" -t "$token" -p "$pins/token" -c bare-ca
done
getcert start-tracking -d "$alias" -n 'Server-Cert cert-pki-ca' -p "$pins/internal" -c bare-ca
systemctl enable pki-tomcatd.target
curl -fsS "http://$host:8080/ca/admin/ca/getStatus" | grep -q running
certutil -L -d "$alias" -n 'caSigningCert cert-pki-ca' -a > /root/ca.crt
rm -rf "$work"
