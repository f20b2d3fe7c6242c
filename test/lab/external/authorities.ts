/** Two authorities that sign for the CA of a cluster: openssl(1), with one between it and the root, and `capstan root`. */
import { sh } from '../support.ts';

const EXTENSIONS = `
[root]
basicConstraints=critical,CA:TRUE
keyUsage=critical,keyCertSign,cRLSign
subjectKeyIdentifier=hash
[middle]
basicConstraints=critical,CA:TRUE,pathlen:1
keyUsage=critical,keyCertSign,cRLSign
subjectKeyIdentifier=hash
authorityKeyIdentifier=keyid
[ca]
basicConstraints=critical,CA:TRUE,pathlen:0
keyUsage=critical,digitalSignature,keyCertSign,cRLSign
subjectKeyIdentifier=hash
authorityKeyIdentifier=keyid
`;

/** Where the files of an authority are on the host. */
export const CORP = '/root/corp';
/** Where `capstan root` keeps its own. */
export const OFFLINE = '/root/offline';

/**
 * Makes a root and an authority below it in a folder, and certifies the request of the host: `ca.crt`, `chain.p7b` with
 * the two above it; and badly: `other.crt` for another key, `bad.crt` of no CA and with SHA-1.
 */
export async function certifyByOpenssl(
  host: string,
  request: string,
  { folder = CORP, days = 3000 }: { folder?: string; days?: number } = {},
): Promise<void> {
  await sh(
    host,
    `mkdir -p ${folder}; cd ${folder}; cat > ext.cnf <<'END'${EXTENSIONS}END
     by() { openssl x509 -req -CAcreateserial "$@" 2>/dev/null; }
     openssl req -newkey rsa:2048 -nodes -keyout root.key -out root.csr -subj '/O=Corp/CN=Corp Root' 2>/dev/null
     openssl x509 -req -in root.csr -signkey root.key -days 7300 -extfile ext.cnf -extensions root -out root.crt 2>/dev/null
     openssl req -newkey rsa:2048 -nodes -keyout middle.key -out middle.csr -subj '/O=Corp/CN=Corp Issuing' 2>/dev/null
     by -in middle.csr -CA root.crt -CAkey root.key -days 3650 -extfile ext.cnf -extensions middle -out middle.crt
     openssl req -newkey rsa:2048 -nodes -keyout other.key -out other.csr -subj '/O=EXAMPLE.TEST/CN=Certificate Authority' 2>/dev/null
     good='-CA middle.crt -CAkey middle.key -days ${days} -extfile ext.cnf -extensions ca'
     by -in ${request} $good -out ca.crt
     by -in other.csr $good -out other.crt
     by -in ${request} -CA middle.crt -CAkey middle.key -sha1 -out bad.crt
     openssl crl2pkcs7 -nocrl -certfile root.crt -certfile middle.crt -out chain.p7b`,
    { deadline: 120 },
  );
}

/** Makes an offline root on a token of its own and has it certify the request of the host: `ca.crt` in {@link OFFLINE}. */
export async function certifyByRoot(host: string, request: string, fingerprint: string): Promise<void> {
  await sh(
    host,
    `mkdir -p ${OFFLINE}/tokens; cd ${OFFLINE}; umask 077; echo 12345678 > pin
     printf 'directories.tokendir = %s\nobjectstore.backend = file\n' $PWD/tokens > softhsm2.conf
     SOFTHSM2_CONF=$PWD/softhsm2.conf softhsm2-util --init-token --free --label Root --pin 12345678 --so-pin 12345678
     cat > root.yaml <<'END'
version: 1
token:
  uri: pkcs11:token=Root;object=root-key?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=file:${OFFLINE}/pin
  environment:
    SOFTHSM2_CONF: ${OFFLINE}/softhsm2.conf
key:
  size: 3072
certificate:
  subject: CN=Offline Root,O=Example
  hash: SHA-384
  validity: 20 years
  path-length: 1
publication:
  crl-urls: [http://pki.example.test/root.crl]
crl:
  validity: 6 months
profiles:
  issuing-ca:
    validity: 10 years
    path-length: 0
    least-key-size: 3072
outputs:
  certificate: root.crt
  transcript: root.txt
  index: index.jsonl
END
     capstan root init --config root.yaml
     capstan root sign --config root.yaml --csr ${request} --profile issuing-ca --out ca.crt --unattended --csr-fingerprint ${fingerprint}`,
    { deadline: 240 },
  );
}
