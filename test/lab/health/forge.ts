/** Certificates and CRLs with other times, signed with the CA's own key on the token: as real as expired ones are. */
import { sh, VALUES } from '../support.ts';

/** A DER element: where its content begins, and where it ends. */
function element(der: Buffer, at: number): { content: number; end: number } {
  const first = der[at + 1] ?? 0;
  const bytes = first < 0x80 ? 0 : first & 0x7f;
  const length = bytes === 0 ? first : der.readUIntBE(at + 2, bytes);
  const content = at + 2 + bytes;
  return { content, end: content + length };
}

/** The places of the times (UTCTime, RFC 5280) in a certificate or CRL. */
function times(der: Buffer): number[] {
  const text = der.toString('latin1');
  return [...text.matchAll(/\d{12}Z/g)]
    .filter(({ index }) => der[index - 2] === 0x17 && der[index - 1] === 0x0d)
    .map(({ index }) => index);
}

/** `YYMMDDHHMMSSZ` */
function utcTime(date: Date): string {
  return `${date
    .toISOString()
    .replaceAll(/[-:T]|\.\d+Z$/g, '')
    .slice(2)}Z`;
}

/**
 * The certificate or CRL with another end, signed anew.
 * @param der base64
 * @param ends notAfter of a certificate, nextUpdate of a CRL
 * @returns base64
 */
export async function forged(host: string, der: string, ends: Date): Promise<string> {
  const whole = Buffer.from(der, 'base64');
  const [, second] = times(whole);
  if (second === undefined) throw new Error('there are no two times in it');
  whole.write(utcTime(ends), second, 'latin1');
  const outer = element(whole, 0);
  const signed = element(whole, outer.content);
  const signature = await signedByCa(host, whole.subarray(outer.content, signed.end));
  signature.copy(whole, whole.length - signature.length);
  return whole.toString('base64');
}

async function signedByCa(host: string, data: Buffer): Promise<Buffer> {
  const signature = await sh(
    host,
    `umask 077; d=$(mktemp -d -p /run); base64 -d > $d/tbs
     tool() { pkcs11-tool --module "$(cat ${VALUES}/library-path)" --token-label "$(cat ${VALUES}/token-name)" "$@" 2>/dev/null; }
     id=$(tool -O --type cert | sed -n '/label: *caSigningCert/,/ID:/s/.*ID: *//p')
     tool --login --pin "$(cat ${VALUES}/token-password)" --sign -m SHA256-RSA-PKCS --id $id -i $d/tbs -o $d/signature >/dev/null
     base64 -w0 $d/signature; rm -r $d`,
    { input: data.toString('base64') },
  );
  return Buffer.from(signature, 'base64');
}
