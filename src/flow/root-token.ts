/** The token of an offline root: found by its URI, logged in once, and its key at work. */
import type { KeyObject } from 'node:crypto';
import { failure, refusal } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { type Module, withModule } from '../hsm/module.ts';
import type { MechanismFacts, SignMechanism, TokenFacts, TokenObject } from '../hsm/protocol.ts';
import { pinRefusals } from '../hsm/requirements.ts';
import { tokenOfUri } from '../hsm/uri-token.ts';
import type { Hash, RootConfig } from '../root/config.ts';
import { isSignature, type Signer } from '../root/x509.ts';
import type { Secret } from '../secret/secret.ts';

/** Gives the PIN when the token needs one; it is called once in a run. */
export type PinGiver = () => Promise<Secret>;

/** The token at work. */
export interface RootToken {
  module: Module;
  facts: TokenFacts;
}

/** Numbers of PKCS#11 v2.40 (pkcs11t.h). */
const MECHANISMS: Readonly<Record<Hash, { type: number; name: SignMechanism }>> = {
  'SHA-256': { type: 0x40, name: 'SHA256_RSA_PKCS' },
  'SHA-384': { type: 0x41, name: 'SHA384_RSA_PKCS' },
  'SHA-512': { type: 0x42, name: 'SHA512_RSA_PKCS' },
};
const CKF_SIGN = 0x800;

/**
 * Works on the token that the ceremony file names, as the user that Capstan runs as.
 * @throws CapstanError the codes of {@link withModule} and {@link tokenOfUri}
 */
export async function withRootToken<T>(
  host: Host,
  { libraryPath, environment, uri }: RootConfig,
  work: (token: RootToken) => Promise<T>,
): Promise<T> {
  return withModule(host, { libraryPath, env: environment }, async (module) =>
    work({ module, facts: await tokenOfUri(module, uri) }),
  );
}

/**
 * Has the PIN at hand, where the token takes one from a program: a question to a person comes before the work.
 * @throws CapstanError `pin-unset`, `pin-locked`, `pin-final-try`, `pin-expired`, and what the giver throws
 */
export async function preparePin({ facts }: RootToken, pin: PinGiver): Promise<void> {
  if (!facts.loginRequired) return;
  const [refused] = pinRefusals(facts).filter(({ code }) => code !== 'token-pin-pad');
  if (refused) throw refused;
  if (!facts.pinPad) await pin();
}

/**
 * Logs in, where the token wants that: with the PIN, tried once and not at all when it is the last try, or at the
 * token's own keypad.
 * @returns how, for the transcript
 * @throws CapstanError those of {@link preparePin}, `pin-incorrect`
 */
export async function logIn(token: RootToken, pin: PinGiver): Promise<string> {
  const { module, facts } = token;
  if (!facts.loginRequired) return 'the token needs no login';
  await preparePin(token, pin);
  if (facts.pinPad) {
    await module.login(facts.slot);
    return 'logged in with the PIN that was typed at the token';
  }
  await module.login(facts.slot, await pin());
  return 'logged in with the PIN';
}

/**
 * The private key of the root, looked up by the id that the index tells.
 * @throws CapstanError `root-key-missing`, `root-key-differs`
 */
export async function rootKey(
  { module, facts }: RootToken,
  id: string,
  certified: KeyObject,
): Promise<TokenObject> {
  const objects = await module.objects(facts.slot);
  const [key, ...others] = objects.filter((one) => one.class === 'private-key' && one.id === id);
  if (!key || others.length > 0) {
    throw refusal(
      'root-key-missing',
      `The token "${facts.label}" (serial ${facts.serial}) has ${others.length > 0 ? 'several private keys' : 'no private key'} with the id ${id}, which the index of the root names.`,
      'Put in the token on which the root was made.',
    );
  }
  if (key.modulus !== undefined && key.modulus !== modulusOf(certified)) {
    throw refusal(
      'root-key-differs',
      `The key with the id ${id} on the token "${facts.label}" is not the key of the root’s certificate.`,
      'Put in the token on which the root was made.',
    );
  }
  return key;
}

/** The modulus of an RSA key as the token tells it. */
export function modulusOf(key: KeyObject): string {
  const { n = '' } = key.export({ format: 'jwk' });
  return Buffer.from(n, 'base64url').toString('hex').replace(/^0+/, '');
}

/**
 * Signs with a key on the token. Each signature is verified at once, with the public key and by OpenSSL.
 * @throws CapstanError `mechanism-missing`; the signer throws `root-signature-wrong`
 */
export async function signerOn(
  { module, facts }: RootToken,
  id: string,
  hash: Hash,
  key: KeyObject,
): Promise<Signer> {
  const mechanism = mechanismFor(await module.mechanisms(facts.slot), hash, facts.label);
  return {
    hash,
    async sign(bytes) {
      const signature = await module.sign(facts.slot, id, mechanism, bytes);
      if (isSignature(hash, key, bytes, signature)) return signature;
      throw failure(
        'root-signature-wrong',
        `The token "${facts.label}" made a signature that the public key of the root does not verify.`,
        'Nothing was written. Look at the token with the tool of its vendor.',
      );
    },
  };
}

/** The mechanism for a hash, where the token offers it. @throws CapstanError `mechanism-missing` */
export function mechanismFor(offered: readonly MechanismFacts[], hash: Hash, label: string): SignMechanism {
  const { type, name } = MECHANISMS[hash];
  if (offered.some((one) => one.type === type && (one.flags & CKF_SIGN) !== 0)) return name;
  throw refusal(
    'mechanism-missing',
    `The token "${label}" cannot sign with CKM_${name}.`,
    'Choose another hash in the ceremony file, or allow the mechanism in the settings of the HSM.',
  );
}
