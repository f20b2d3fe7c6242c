import type { CapstanError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import { pause } from '../host/wait.ts';
import { withModule } from '../hsm/module.ts';
import type { TokenFacts } from '../hsm/protocol.ts';
import { pinRefusals } from '../hsm/requirements.ts';
import { selectToken } from '../hsm/token.ts';
import type { Secret } from '../secret/secret.ts';
import { PKI_USER, type TokenChoice } from './site.ts';

/**
 * Looks whether the token answers, as Dogtag's own user, and, where a PIN is at hand, whether it lets that user in. The
 * PIN is tried once, and not at all where the token says that one more wrong one would lock it.
 * @returns what the token says of itself
 * @throws CapstanError `token-not-found`, `token-ambiguous`, `pin-unset`, `pin-locked`, `pin-final-try`, `pin-expired`,
 *   `pin-incorrect`, `token-pin-pad`, and the codes of {@link withModule}
 */
export async function tokenAnswers(host: Host, token: TokenChoice, pin?: Secret): Promise<TokenFacts> {
  const request = { libraryPath: token.libraryPath, user: PKI_USER };
  const look = () =>
    withModule(host, request, async (module) => {
      const found = selectToken(await module.tokens(), token.label);
      if (!pin) return found;
      const [refused] = pinRefusals(found);
      if (refused) throw refused;
      await module.login(found.slot, pin);
      return found;
    });
  return seen(host, look);
}

/** How often a token is looked for before it counts as away. */
const LOOKS = 3;
/** Milliseconds between two of these looks. */
const BETWEEN_LOOKS = 300;

/**
 * Looks for a token anew, with its library loaded anew, where the library shows none of that label: a token of SoftHSM that
 * several hosts share cannot be read in the moment in which another of them logs in, and writes that (2.6.1, seen).
 * @param look ends with `token-not-found` before it has tried a PIN or changed anything
 * @throws CapstanError `interrupted`, and what `look` throws
 */
export async function seen<T>(host: Pick<Host, 'signal'>, look: () => Promise<T>): Promise<T> {
  for (let looks = 1; ; looks += 1) {
    try {
      return await look();
    } catch (error) {
      if (looks === LOOKS || (error as CapstanError).code !== 'token-not-found') throw error;
      await pause(host, BETWEEN_LOOKS, 'the token');
    }
  }
}
