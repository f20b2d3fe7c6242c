#!/bin/bash
# A cluster with KRAs as the playbook site.yml builds it: the same commands in the same order, as many at once, typed on
# the control host. Capstan is brought to all hosts; the first server is built, then its replicas, then all are looked at.
# Arguments: the bundle, a domain, the user to log in as, the first server, its replicas (full names).
set -euo pipefail
bundle=$1 domain=$2 user=$3 first=$4
shift 4
values=/etc/capstan/lab
unattended='--unattended --secrets-stdin --output json'

on() {
  local host=$1
  shift
  # Connections are kept, as Ansible keeps its own.
  ssh -o ControlMaster=auto -o ControlPersist=60s -o ControlPath=/run/by-hand-%h "$user@$host" sudo "$@"
}

together() {
  local work=$1 pids=() pid
  shift
  for host in "$@"; do
    "$work" "$host" &
    pids+=($!)
  done
  for pid in "${pids[@]}"; do wait "$pid"; done
}

secrets() {
  jq -cn --arg join "${1:-}" --rawfile ds $values/ds-password --rawfile admin $values/admin-password \
    --rawfile token $values/token-password \
    '{"ds-password": $ds, "admin-password": $admin, "token-password": $token} | map_values(rtrimstr("\n"))
     + if $join == "" then {} else {"join-secret": $join} end'
}

bring() {
  on "$1" tar -C /opt -xzf - < "$bundle"
  on "$1" ln -sfn /opt/capstan/bin/capstan /usr/local/bin/capstan < /dev/null
}

replica() {
  local prepared
  prepared=$(on "$first" capstan replica-prepare "$1" --output json < /dev/null | tail -n 1)
  secrets "$(jq -r .joinSecret <<< "$prepared")" | on "$1" capstan replica-install --setup-kra $unattended \
    --server "$(jq -r .server <<< "$prepared")" --ca-fingerprint "$(jq -r .fingerprint <<< "$prepared")"
}

health() {
  # It ends with 1 where it finds something, as it does for the clock of a host of the lab.
  on "$1" capstan health --deadline health=60 --json < /dev/null || [ $? = 1 ]
}

together bring "$first" "$@"
secrets | on "$first" capstan server-install --setup-kra $unattended --hostname "$first" --domain "$domain" \
  --realm "${domain^^}" --token-name "$(cat $values/token-name)" --library-path "$(cat $values/library-path)"
together replica "$@"
together health "$first" "$@"
