import { type Evidence, lookEvidence, missingEvidence } from '../host/evidence.ts';
import type { Host } from '../host/host.ts';
import { withModule } from './module.ts';
import type { TokenObject } from './protocol.ts';

/** Which library is looked into, and as whom. */
export interface TokenLook {
  libraryPath: string;
  user: string;
}

/**
 * What a PKCS#11 library shows to one who does not log in: itself, its tokens, and their public objects. No PIN is
 * tried, so that no bundle can be what locks a token.
 */
export function tokenEvidence(look: TokenLook | undefined): Evidence {
  const member = 'hsm/tokens.json';
  const what = 'the tokens and their public objects, seen without a login';
  if (!look) {
    return missingEvidence(
      member,
      what,
      'PKCS#11',
      'No journal and no NSS database of Dogtag names a library.',
    );
  }
  return lookEvidence(
    member,
    what,
    `${look.libraryPath}, as ${look.user}`,
    (host) => tokensOf(host, look),
    // Its loading, the tokens, the objects of one of them, its end.
    ({ token }) => 4 * token,
  );
}

async function tokensOf(host: Host, { libraryPath, user }: TokenLook): Promise<string> {
  const seen = await withModule(host, { libraryPath, user }, async (module) => {
    const tokens = await module.tokens();
    const objects: Record<string, Omit<TokenObject, 'value' | 'modulus'>[]> = {};
    for (const { slot, initialised } of tokens) {
      if (!initialised) continue;
      const found = await module.objects(slot);
      objects[slot] = found.map(({ value, modulus, ...facts }) => facts);
    }
    return { module: module.facts, tokens, objects };
  });
  return `${JSON.stringify(seen, undefined, 2)}\n`;
}
