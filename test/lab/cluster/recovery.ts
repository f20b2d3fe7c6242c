/** What a KRA archives and recovers, by Dogtag's own client, and what a CA passes on to it. */
import { sh } from '../support.ts';
import { fqdn } from './hosts.ts';

/** The folder of Dogtag's client on a host, with the agent of that host. */
const CLIENT = '/root/kra-client';
const PKI = `pki -d ${CLIENT}/db -C ${CLIENT}/pin -n agent`;
const AGENT = '/var/lib/capstan/ra-agent';

/** Gives Dogtag's client of a host the host's agent. */
export async function makeClient(host: string): Promise<void> {
  await sh(
    host,
    `umask 077; rm -rf ${CLIENT}; mkdir -p ${CLIENT}/db; cd ${CLIENT}; openssl rand -hex 16 > pin
     certutil -N -d db -f pin
     openssl pkcs12 -export -in ${AGENT}.pem -inkey ${AGENT}.key -name agent -passout file:pin -out agent.p12
     pk12util -i agent.p12 -d db -k pin -w pin > /dev/null
     certutil -A -d db -f pin -n ca -t CT,C,C -a -i /etc/capstan/ca.crt`,
  );
}

/** For Dogtag's REST interface as the agent, with a session. */
const CURL = [
  '-sS --fail --max-time 60 --cacert /etc/capstan/ca.crt',
  `--cert ${AGENT}.pem --key ${AGENT}.key -b jar -c jar`,
  "-H 'Accept: application/json' -H 'Content-Type: application/json'",
].join(' ');

const at = (host: string) => `${PKI} -U https://${fqdn(host)}:8443`;

/**
 * Archives bytes with the KRA of a host.
 * @returns the key id that the KRA gave; a request that fails is told as complete, too, and has none
 */
export async function archive(host: string, name: string, base64: string): Promise<string> {
  const said = await sh(
    host,
    `cd ${CLIENT}; base64 -d > data <<< '${base64}'
     ${at(host)} kra-key-archive --clientKeyID ${name} --input-data ${CLIENT}/data < /dev/null 2>&1`,
    { deadline: 120 },
  );
  return keyIdIn(said);
}

function keyIdIn(said: string): string {
  const [, id] = /^\s*Key ID: (0x[0-9a-f]+)$/m.exec(said) ?? [];
  if (id === undefined) throw new Error(`the KRA gave no key id: ${said}`);
  return id;
}

/** What the KRA of a host recovers for a key id, in base64. */
export async function recover(host: string, id: string): Promise<string> {
  return sh(
    host,
    `cd ${CLIENT}; rm -f out; ${at(host)} kra-key-retrieve --keyID ${id} --output-data ${CLIENT}/out < /dev/null > said 2>&1 || { cat said >&2; false; }
     base64 -w0 out`,
    { deadline: 120 },
  );
}

/**
 * Generates a key pair and has the CA of a host issue a certificate for it by a request with the private key in it, which
 * the CA passes on to a KRA to be archived.
 * @returns the key id, and the SHA-256 of the public key as OpenSSL writes it
 */
export async function enrolArchived(host: string, uid: string): Promise<{ id: string; publicKey: string }> {
  const request = `{ProfileID: "caUserCert", Renewal: false, Input: [
    {id: "i1", ClassID: "keyGenInputImpl", Attribute: [{name: "cert_request_type", Value: "crmf"}, {name: "cert_request", Value: $crmf}]},
    {id: "i2", ClassID: "subjectNameInputImpl", Attribute: [{name: "sn_uid", Value: "${uid}"}]},
    {id: "i3", ClassID: "submitterInfoInputImpl", Attribute: []}]}`;
  const said = await sh(
    host,
    `cd ${CLIENT}; rm -f jar
     ask() { curl ${CURL} "\${@:2}" https://${fqdn(host)}:8443$1 || { echo "no answer to $1" >&2; false; }; }
     ask /kra/rest/config/cert/transport | jq -r .Encoded > transport.pem
     CRMFPopClient -d db -p "$(cat pin)" -n UID=${uid} -q POP_SUCCESS -w AES/CBC/PKCS5Padding -b transport.pem -l 2048 -o crmf > said 2>&1
     jq -n --rawfile crmf crmf '${request}' > request
     ask /ca/rest/account/login > /dev/null
     id=$(ask /ca/rest/certrequests -d @request | jq -r '.entries[0].requestURL' | sed 's#.*/##')
     ask /ca/rest/agent/certrequests/$id > review
     ask /ca/rest/agent/certrequests/$id/approve -d @review
     serial=$(ask /ca/rest/certrequests/$id | jq -er .certId)
     ask /ca/rest/certs/$serial | jq -r .Encoded | openssl x509 -noout -pubkey | sha256sum | cut -d' ' -f1
     ${at(host)} kra-key-find --size 1000 < /dev/null 2> /dev/null`,
    { deadline: 180 },
  );
  // Entries are apart by an empty line.
  const mine = said.split('\n\n').find((entry) => entry.includes(`Owner: UID=${uid}\n`)) ?? said;
  return { id: keyIdIn(mine), publicKey: said.split('\n')[0] ?? '' };
}

/** The SHA-256 of the public key of a private key that a KRA recovered; OpenSSL finds its parts in order. */
export async function publicKeyOf(host: string, base64: string): Promise<string> {
  const hash = await sh(
    host,
    `cd ${CLIENT}; base64 -d > recovered <<< '${base64}'
     openssl pkey -inform der -in recovered -check -noout > /dev/null
     openssl pkey -inform der -in recovered -pubout | sha256sum | cut -d' ' -f1`,
  );
  return hash.trim();
}
