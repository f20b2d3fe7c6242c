import type { Host } from '../host/host.ts';
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
  return withModule(host, request, async (module) => {
    const found = selectToken(await module.tokens(), token.label);
    if (!pin) return found;
    const [refused] = pinRefusals(found);
    if (refused) throw refused;
    await module.login(found.slot, pin);
    return found;
  });
}
