#!/bin/bash
# The yardstick of scripts/bench.ts: what an administrator would type without Capstan, with the same configuration.
# It runs on a fresh lab host and reads the rehearsal's values from /etc/capstan/lab. Passwords of a lab only:
# a careful installation does not pass them around like this.
#
# KEY-SIZE is the CA's own; the other keys have 2048 bits, as Capstan's templates say.
#
#   bare-install.sh REALM DOMAIN KEY-SIZE
set -euo pipefail
umask 077
realm=$1 domain=$2 key_size=$3
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
}
configuration one > "$work/one.cfg"
configuration two > "$work/two.cfg"
pkispawn -s CA -f "$work/one.cfg" --skip-configuration
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
rm -rf "$work"
