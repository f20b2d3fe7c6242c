/** Finds the token and the keys that a PKCS#11 URI (RFC 7512) names. Pure, but for the facts of slots. */

import { refusal } from '../errors.ts';
import { formatPkcs11Uri, type Pkcs11Uri, type UriName, uriValue } from '../names/pkcs11-uri.ts';
import type { Module } from './module.ts';
import type { ModuleFacts, SlotFacts, TokenFacts, TokenObject } from './protocol.ts';

/**
 * The one token that a URI names.
 * @throws CapstanError `uri-library-differs`, `uri-token-not-found`, `uri-token-ambiguous`
 */
export async function tokenOfUri(module: Module, uri: Pkcs11Uri): Promise<TokenFacts> {
  requireLibrary(module.facts, uri);
  const tokens = (await module.tokens()).filter((token) => token.initialised);
  const fitting: TokenFacts[] = [];
  for (const token of tokens) {
    if (fits(tokenValues(token), uri) && (await slotFits(module, token, uri))) fitting.push(token);
  }
  const [first, ...others] = fitting;
  if (first && others.length === 0) return first;
  if (first) {
    throw refusal(
      'uri-token-ambiguous',
      `${fitting.length} tokens fit the URI: ${fitting.map(shown).join(', ')}.`,
      'Add serial= to the URI.',
    );
  }
  throw refusal(
    'uri-token-not-found',
    `No token fits the URI ${withoutQuery(uri)}. ${tokens.length > 0 ? `The library shows ${tokens.map(shown).join(', ')}.` : 'The library shows no token.'}`,
    'Check the URI, and that the HSM’s client is set up for this host and user.',
  );
}

function shown({ label, serial, slot }: TokenFacts): string {
  return `"${label}" (serial ${serial || 'unknown'}, slot ${slot})`;
}

/** The URI for a sentence; the query names files of this host only. */
function withoutQuery({ path }: Pkcs11Uri): string {
  return formatPkcs11Uri({ path, query: [] });
}

type Values = Partial<Record<UriName, string>>;

function tokenValues(token: TokenFacts): Values {
  const { label, manufacturer, serial, model, slot } = token;
  return { token: label, manufacturer, serial, model, 'slot-id': String(slot) };
}

/** Whether each of these values is what the URI says, where it says something. */
function fits(values: Values, uri: Pkcs11Uri): boolean {
  return (Object.entries(values) as [UriName, string][]).every(([name, value]) => {
    const wanted = uriValue(uri, name);
    return wanted === undefined || (name === 'slot-id' ? Number(wanted) === Number(value) : wanted === value);
  });
}

async function slotFits(module: Module, token: TokenFacts, uri: Pkcs11Uri): Promise<boolean> {
  const names = ['slot-description', 'slot-manufacturer'] as const;
  if (!names.some((name) => uriValue(uri, name) !== undefined)) return true;
  const { description, manufacturer }: SlotFacts = await module.slot(token.slot);
  return fits({ 'slot-description': description, 'slot-manufacturer': manufacturer }, uri);
}

function requireLibrary(facts: ModuleFacts, uri: Pkcs11Uri): void {
  const wanted = uriValue(uri, 'library-version');
  // RFC 7512, 2.3: without a minor number it is 0.
  const version = wanted === undefined || wanted.includes('.') ? wanted : `${wanted}.0`;
  const values = { 'library-manufacturer': facts.manufacturer, 'library-description': facts.description };
  if (fits(values, uri) && (version === undefined || version === facts.libraryVersion)) return;
  throw refusal(
    'uri-library-differs',
    `The library says it is "${facts.description}" ${facts.libraryVersion} of "${facts.manufacturer}", which is not what the URI names.`,
    'Correct library-manufacturer, library-description and library-version in the URI, or leave them out.',
  );
}

/** The objects that bear the label or the id that a URI names; with both, those that bear either. */
export function objectsOfUri(objects: readonly TokenObject[], uri: Pkcs11Uri): TokenObject[] {
  const label = uriValue(uri, 'object');
  const id = uriValue(uri, 'id');
  return objects.filter(
    (one) => (label !== undefined && one.label === label) || (id !== undefined && one.id === id),
  );
}
