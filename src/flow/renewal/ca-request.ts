/** Signatures of an installed CA for another certificate of its own: the same key on the token, the same name. */
import { createHash, type X509Certificate } from 'node:crypto';
import { CA_SIGNING_NICKNAME, INSTANCE } from '../../dogtag/certificates.ts';
import { instancePins } from '../../dogtag/nssdb.ts';
import { failure } from '../../errors.ts';
import { judged } from '../../external/facts.ts';
import { certificateRequest } from '../../external/request.ts';
import { keyIdentifierIn, selfSignedAnew, subjectIn } from '../../external/successor.ts';
import type { Host } from '../../host/host.ts';
import type { TokenObject } from '../../hsm/protocol.ts';
import { hashOf, pemOf, type Signer } from '../../root/x509.ts';
import type { Site, TokenChoice } from '../site.ts';
import { onToken } from '../token.ts';
import { tokenSigner } from '../token-signer.ts';

/** A request that was made. */
export interface MadeRequest {
  pem: string;
  /** SHA-256 of its DER encoding, in hex. */
  fingerprint: string;
}

/**
 * Makes a request with the key, the subject, byte by byte, and the key identifier of the certificate that the CA has, and has
 * the token sign it; Dogtag's PIN opens the token.
 * @param profile Microsoft's template, for other authorities none
 * @throws CapstanError `ca-key-missing`, `ca-key-unfit`, `token-pin-missing`, and what Module throws
 */
export async function requestAnew(
  host: Host,
  { token }: Pick<Site, 'token'>,
  current: X509Certificate,
  profile?: string,
): Promise<MadeRequest> {
  const wish = {
    ...{ subject: subjectIn(current), key: current.publicKey },
    ...{ keyIdentifier: keyIdentifierIn(current), profile },
  };
  const der = await withCaKey(host, token, current, (signer) => certificateRequest(wish, signer));
  const fingerprint = createHash('sha256').update(der).digest('hex');
  return { pem: pemOf('CERTIFICATE REQUEST', der), fingerprint };
}

/**
 * Has the token sign the certificate of a CA that signs itself once more, without the CA; see {@link selfSignedAnew}.
 * @throws CapstanError `ca-key-missing`, `ca-key-unfit`, `token-pin-missing`, and what Module throws
 */
export function signedByToken(
  host: Host,
  { token }: Pick<Site, 'token'>,
  current: X509Certificate,
): Promise<X509Certificate> {
  return withCaKey(host, token, current, (signer) => selfSignedAnew(current, signer));
}

/** Signs with the key of the CA; Dogtag's PIN opens the token. */
async function withCaKey<T>(
  host: Host,
  token: TokenChoice,
  current: X509Certificate,
  use: (signer: Signer) => Promise<T>,
): Promise<T> {
  const pin = (await instancePins(INSTANCE)).pin(token.label);
  // What an authority signed tells nothing of the hash that was chosen for this CA.
  const hash = hashOf(judged(current).algorithm) ?? 'SHA-256';
  return onToken(host, token, pin, async (module, slot) => {
    const id = keyIdOf(await module.objects(slot), current, token.label);
    return use(tokenSigner(module, slot, { id, key: current.publicKey, hash }));
  });
}

/**
 * The CKA_ID of the key of the CA: that of its certificate on the token, or where another one is there meanwhile, of what is
 * called like it. Whether it is the right one the signature tells.
 */
export function keyIdOf(objects: readonly TokenObject[], current: X509Certificate, label: string): string {
  const value = current.raw.toString('base64');
  const keys = objects.filter((object) => object.class === 'private-key');
  const certificate = objects.find((object) => object.class === 'certificate' && object.value === value);
  const key =
    keys.find(({ id }) => id === certificate?.id) ??
    keys.find((object) => object.label === CA_SIGNING_NICKNAME);
  if (key) return key.id;
  throw failure(
    'ca-key-missing',
    `The key of the CA is not on the token ${label}.`,
    'Look at the token with the tool of the HSM.',
  );
}
