/** How the system certificates of a host are, by certmonger, Dogtag's configuration, the token's tool and AuditVerify. */
import { dirname } from 'node:path';
import { expect } from 'vitest';
import { tokenListing } from '../nss.ts';
import { sh } from '../support.ts';

/** What all servers of a cluster share, by nickname. */
export const SHARED = [
  ...['auditSigningCert', 'caSigningCert', 'ocspSigningCert', 'subsystemCert'].map(
    (one) => `${one} cert-pki-ca`,
  ),
  ...['auditSigningCert', 'storageCert', 'transportCert'].map((one) => `${one} cert-pki-kra`),
].toSorted();
/** What is each server's own. */
export const OWN = 'Server-Cert cert-pki-ca';
/** All that certmonger watches on a server with a KRA. */
export const ALL = [...SHARED, OWN].toSorted();

/** Where CS.cfg has a copy of each. */
const CONFIGURED: Readonly<Record<string, string>> = {
  'caSigningCert cert-pki-ca': 'ca.signing',
  'ocspSigningCert cert-pki-ca': 'ca.ocsp_signing',
  'auditSigningCert cert-pki-ca': 'ca.audit_signing',
  'subsystemCert cert-pki-ca': 'ca.subsystem',
  [OWN]: 'ca.sslserver',
  'transportCert cert-pki-kra': 'kra.transport',
  'storageCert cert-pki-kra': 'kra.storage',
  'auditSigningCert cert-pki-kra': 'kra.audit_signing',
};

/** Names to a word each: serial numbers, hashes. */
export type Words = Readonly<Record<string, string>>;

/** The lines of a request: its nickname, serial, status, error, and the seconds of its end. */
const REQUESTS = `
c=org.fedorahosted.certmonger
for request in $(busctl --json=short call $c /org/fedorahosted/certmonger $c get_requests | jq -r '.data[0][]'); do
  for property in cert-nickname serial status ca-error not-valid-after; do
    value=$(busctl --json=short get-property $c $request $c.request $property 2>/dev/null | jq -c .data)
    echo "\${value:-null}"
  done
done | paste - - - - -`;

/** A hexadecimal number without its leading zeros, as openssl and certmonger write it. */
export function serialOf(text: string): string {
  return BigInt(`0x${text.trim().replace('serial=', '')}`).toString(16);
}

/** What certmonger knows of each request, as it is now. */
export async function requests(
  host: string,
): Promise<{ nickname: string; serial: string; status: string; error: string }[]> {
  const listed = await sh(host, REQUESTS);
  return listed
    .trim()
    .split('\n')
    .map((line) => line.split('\t').map((word) => (JSON.parse(word) ?? '') as string))
    .map(([nickname = '', serial = '', status = '', error = '']) => ({ nickname, serial, status, error }));
}

/** The serial numbers that certmonger knows; every request must be watched, without an error. */
export async function tracked(host: string): Promise<Words> {
  const rows = await requests(host);
  expect([host, rows.map(({ status, error }) => [status, error])]).toEqual([
    host,
    rows.map(() => ['MONITORING', '']),
  ]);
  return Object.fromEntries(rows.map(({ nickname, serial }) => [nickname, serialOf(serial)]));
}

/** Whether all that certmonger watches is at rest, and renewed and put in place since some serial numbers. */
export async function isRenewed(host: string, before: Words): Promise<boolean> {
  const rows = await requests(host);
  const placed = JSON.parse(await sh(host, 'cat /var/lib/capstan/renewals.json')) as Record<
    string,
    { serial: string }
  >;
  const inPlace = Object.values(placed).map(({ serial }) => serial);
  const idle = await sh(host, 'systemctl is-active capstan-renewal.service || true');
  return (
    idle.trim() === 'inactive' &&
    rows.every(
      ({ nickname, serial, status }) =>
        status === 'MONITORING' && serialOf(serial) !== before[nickname] && inPlace.includes(serial),
    )
  );
}

const LATER = '/run/systemd/system/certmonger.service.d/later.conf';

/**
 * Has the end of all certificates come near, as certmonger sees it: the time from which on it renews is that which each of
 * them has left just now. Its clock alone is two days on, for it leaves alone what was issued just now (20 minutes ago, seen with 0.79.13).
 */
export async function approachEnd(host: string): Promise<void> {
  await sh(
    host,
    `later=$((2 * 86400)); mkdir -p ${dirname(LATER)}
     printf '[Service]\nEnvironment=LD_PRELOAD=/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1 FAKETIME=+%ss\n' $later > ${LATER}
     cp /etc/certmonger/certmonger.conf /root/certmonger.conf
     now=$(date +%s)
     times=$(${REQUESTS} | cut -f5 | while read end; do echo $((end - now - later + 2)); done | paste -sd,)
     printf '[defaults]\nenroll_ttls = %s\n' "$times" > /etc/certmonger/certmonger.conf
     systemctl daemon-reload; systemctl restart certmonger`,
    { deadline: 120 },
  );
}

/** Undoes {@link approachEnd}. */
export async function usualEnd(host: string): Promise<void> {
  await sh(
    host,
    `rm ${LATER}; mv /root/certmonger.conf /etc/certmonger/certmonger.conf
     systemctl daemon-reload; systemctl restart certmonger`,
    { deadline: 120 },
  );
}

/** Serial numbers and keys (SHA-256) of the copies of the certificates in CS.cfg, by nickname. */
export async function configured(
  host: string,
  nicknames: readonly string[] = ALL,
): Promise<{ serials: Words; keys: Words }> {
  const names = nicknames.map((nickname) => CONFIGURED[nickname]).join(' ');
  const listed = await sh(
    host,
    `for name in ${names}; do
       file=/etc/pki/pki-tomcat/\${name%%.*}/CS.cfg
       der() { sed -n "s/^$name.cert=//p" $file | base64 -d; }
       echo "$name $(der | openssl x509 -inform DER -noout -serial) $(der | openssl x509 -inform DER -noout -pubkey | sha256sum | cut -d' ' -f1)"
     done`,
  );
  const rows = new Map(
    listed
      .trim()
      .split('\n')
      .map((line) => line.split(' ') as [string, string, string])
      .map(([name, serial, key]) => [name, { serial: serialOf(serial), key }] as const),
  );
  const each = (pick: 'serial' | 'key') =>
    Object.fromEntries(
      nicknames.map((nickname) => [nickname, rows.get(CONFIGURED[nickname] ?? '')?.[pick] ?? '']),
    );
  return { serials: each('serial'), keys: each('key') };
}

/** What is on the token, as its tool lists it: keys by their ids, and certificates, without the handles. */
export async function tokenObjects(host: string): Promise<{ keys: string[]; certificates: string[] }> {
  const listed = await tokenListing(host);
  const objects = listed.split(/^(?=\S)/m).map((object) => object.replaceAll(/\s+/g, ' ').trim());
  return {
    keys: objects
      .filter((object) => object.startsWith('Private Key'))
      .map((object) => /ID: *(\w+)/.exec(object)?.[1] ?? '')
      .toSorted(),
    certificates: objects.filter((object) => object.startsWith('Certificate')).toSorted(),
  };
}

/** The serial number of the certificate by which a host's OCSP responder signs. */
export async function responder(host: string): Promise<string> {
  const ca = '/etc/capstan/ca.crt';
  return serialOf(
    await sh(
      host,
      `openssl ocsp -issuer ${ca} -cert /var/lib/capstan/ra-agent.pem -CAfile ${ca} -url http://${host}.example.test:8080/ca/ocsp -respout /run/answer > /dev/null
       openssl ocsp -respin /run/answer -CAfile ${ca} -resp_text -noverify 2>/dev/null | sed -n '/^-----BEGIN/,/^-----END/p' | openssl x509 -noout -serial`,
    ),
  );
}

const SIGNING = '/run/systemd/system/pki-tomcatd@pki-tomcat.service.d/signing.conf';

/**
 * Has Dogtag sign its audit logs from its next start on; it does not unless told (10.10.2). It is told while it is down:
 * one that runs writes CS.cfg anew from what it knows, with the next range of serial numbers for instance.
 */
export async function signAuditLogs(host: string): Promise<void> {
  const tell =
    "sed -i 's/^log.instance.SignedAudit.logSigning=.*/log.instance.SignedAudit.logSigning=true/' /etc/pki/pki-tomcat/ca/CS.cfg /etc/pki/pki-tomcat/kra/CS.cfg";
  await sh(
    host,
    `mkdir -p ${dirname(SIGNING)}
     printf '[Service]\nExecStartPre=%s\n' "${tell}" > ${SIGNING}
     systemctl daemon-reload`,
  );
}

/** How many signatures of an audit log AuditVerify finds valid with the certificate that CS.cfg has, and invalid. */
export async function auditSignatures(
  host: string,
  subsystem: 'ca' | 'kra',
): Promise<{ valid: number; invalid: number }> {
  const said = await sh(
    host,
    `d=$(mktemp -d); trap 'rm -r $d' EXIT; s=${subsystem}
     sed -n 's/^log.instance.SignedAudit.fileName=//p' /etc/pki/pki-tomcat/$s/CS.cfg > $d/list
     certutil -N --empty-password -d $d
     sed -n "s/^$s.audit_signing.cert=//p" /etc/pki/pki-tomcat/$s/CS.cfg | base64 -d > $d/der
     certutil -A -d $d -n audit -t ,,P -i $d/der
     AuditVerify -d $d -n audit -a $d/list || true`,
  );
  const count = (word: string) =>
    Number(new RegExp(`${word} signatures: (\\d+)`, 'i').exec(said)?.[1] ?? Number.NaN);
  return { valid: count('valid'), invalid: count('invalid') };
}
