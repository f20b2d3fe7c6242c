/** Certificates of a cluster's CA, asked for and looked at with curl and OpenSSL. */
import { sh } from '../support.ts';
import { fqdn } from './hosts.ts';

const CA = '/etc/capstan/ca.crt';

/** curl with a server's CA verified, as its own agent. */
const AGENT = `curl -sS --fail --max-time 60 --cacert ${CA} --cert /var/lib/capstan/ra-agent.pem --key /var/lib/capstan/ra-agent.key -H 'Accept: application/json' -H 'Content-Type: application/json' -b jar -c jar`;

const ENROLMENT = `{ProfileID: "caServerCert", Renewal: false, Input: [
  {id: "i1", ClassID: "certReqInputImpl", Attribute: [{name: "cert_request_type", Value: "pkcs10"}, {name: "cert_request", Value: $csr}]},
  {id: "i2", ClassID: "submitterInfoInputImpl", Attribute: [{name: "requestor_name", Value: "test"}, {name: "requestor_email", Value: ""}, {name: "requestor_phone", Value: ""}]}]}`;

/**
 * Has the CA of a host issue certificates for new keys, all of them requested at the same time.
 * @returns their serial numbers, as Dogtag writes them: `0x1f`
 */
export async function issue(host: string, count = 1): Promise<string[]> {
  const rest = `https://${fqdn(host)}:8443/ca/rest`;
  const listed = await sh(
    host,
    `umask 077
     folder=$(mktemp -d); trap 'rm -r $folder' EXIT; cd $folder
     openssl req -new -newkey rsa:2048 -nodes -keyout key -out csr -subj /O=EXAMPLE.TEST/CN=www.${fqdn(host)} 2>/dev/null
     jq -n --rawfile csr csr '${ENROLMENT}' > request
     one() {
       mkdir $1; cd $1
       ${AGENT} ${rest}/account/login > /dev/null
       id=$(${AGENT} -d @../request ${rest}/certrequests | jq -r '.entries[0].requestURL' | sed 's#.*/##')
       ${AGENT} ${rest}/agent/certrequests/$id > review
       ${AGENT} -d @review ${rest}/agent/certrequests/$id/approve
       ${AGENT} ${rest}/certrequests/$id | jq -er .certId > serial
     }
     tasks=(); for number in $(seq ${count}); do (set -e; one $number) & tasks+=($!); done
     for task in "\${tasks[@]}"; do wait $task; done
     cat */serial`,
    { deadline: 120 },
  );
  return listed.trim().split('\n');
}

/**
 * What a host's CA says of a certificate: `good` when it gives it, OpenSSL verifies it, and its OCSP responder calls it
 * good with a signature that verifies; otherwise what is missing.
 */
export function verdict(host: string, serial: string): Promise<string> {
  const at = fqdn(host);
  return sh(
    host,
    `set -o pipefail; found=$(mktemp); trap 'rm $found' EXIT
     curl -sS --fail --max-time 20 --cacert ${CA} -H 'Accept: application/json' https://${at}:8443/ca/rest/certs/${serial} 2>/dev/null | jq -r .Encoded > $found || { echo unknown; exit; }
     openssl verify -CAfile ${CA} $found > /dev/null || { echo unverified; exit; }
     answer=$(openssl ocsp -issuer ${CA} -cert $found -CAfile ${CA} -url http://${at}:8080/ca/ocsp 2>&1) || true
     grep -q 'Response verify OK' <<< "$answer" && grep -q ': good' <<< "$answer" && echo good || echo "OCSP: $answer"`,
    { deadline: 60 },
  ).then((text) => text.trim());
}
