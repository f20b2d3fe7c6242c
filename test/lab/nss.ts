/** What certutil, and pkcs11-tool, say of the tokens of a host's Dogtag instance. */
import { sh, VALUES, value } from './support.ts';

const ALIAS = '/etc/pki/pki-tomcat/alias';

/** A token of the NSS database: the internal one, or the HSM's by its label. */
export type NssToken = 'internal' | { label: string };

/** The token of the rehearsal. */
export async function hsmToken(): Promise<NssToken> {
  return { label: await value('token-name') };
}

/** Runs certutil with the token's password, which the shell finds in `$pin`. */
function certutil(host: string, token: NssToken, words: string): Promise<string> {
  const name = token === 'internal' ? token : token.label;
  const pin =
    token === 'internal'
      ? '<(sed -n s/^internal=//p /etc/pki/pki-tomcat/password.conf)'
      : `${VALUES}/token-password`;
  return sh(host, `certutil ${words} -d ${ALIAS} -h '${name}' -f ${pin}`);
}

/** Nicknames and trust flags, without the token's name before the colon. */
export async function trustFlags(host: string, token: NssToken): Promise<Record<string, string>> {
  const listed = await certutil(host, token, '-L');
  const lines = [...listed.matchAll(/^(\S.*\S)\s+([A-Za-z]*,[A-Za-z]*,[A-Za-z]*)\s*$/gm)];
  return Object.fromEntries(lines.map(([, name = '', flags = '']) => [name.replace(/^[^:]*:/, ''), flags]));
}

/** Nicknames of the private keys, sorted. */
export async function keys(host: string, token: NssToken): Promise<string[]> {
  const listed = await certutil(host, token, '-K');
  return [...listed.matchAll(/^<\s*\d+>\s+rsa\s+[0-9a-f]+\s+(?:[^:\n]*:)?(.*)$/gm)]
    .map(([, name = '']) => name)
    .toSorted();
}

/** What pkcs11-tool sees on the token of the rehearsal, logged in. */
export function tokenListing(host: string, words = ''): Promise<string> {
  return sh(
    host,
    `cd ${VALUES}; pkcs11-tool --module "$(cat library-path)" --token-label "$(cat token-name)" --login --pin "$(cat token-password)" -O ${words} 2>/dev/null`,
  );
}

/** The ids of the private keys on the token of the rehearsal, one a line. */
export async function keyIds(host: string): Promise<string> {
  const listed = await tokenListing(host, '--type privkey');
  return [...listed.matchAll(/^ +ID: .*$/gm)]
    .map(([line]) => line)
    .toSorted()
    .join('\n');
}
