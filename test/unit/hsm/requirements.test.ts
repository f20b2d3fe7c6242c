import { describe, expect, test } from 'vitest';
import type { MechanismFacts } from '../../../src/hsm/protocol.ts';
import {
  freeSessions,
  mechanismRefusals,
  pinRefusals,
  sessionRefusals,
  wrappingRefusals,
} from '../../../src/hsm/requirements.ts';
import { tokenWith } from './tokens.ts';

const GENERATE: MechanismFacts = { type: 0x00, minKeySize: 1024, maxKeySize: 4096, flags: 0x10000 };
const SIGN: MechanismFacts = { type: 0x01, minKeySize: 1024, maxKeySize: 4096, flags: 0x800 };
const SHA256: MechanismFacts = { type: 0x40, minKeySize: 1024, maxKeySize: 4096, flags: 0x800 };

function codes(mechanisms: MechanismFacts[], sizes = [3072]): string[] {
  return mechanismRefusals('hsm', mechanisms, sizes).map(({ code }) => code);
}

describe('mechanisms', () => {
  test('that generate and sign are enough', () => expect(codes([GENERATE, SIGN])).toEqual([]));

  test('are told apart from others by what they may do', () => {
    expect(codes([{ ...GENERATE, flags: 0 }, SIGN])).toEqual(['mechanism-missing']);
    expect(codes([GENERATE, { ...SIGN, flags: 0x2000 }])).toEqual(['mechanism-missing']);
  });

  test('that hash and sign in one do not stand in for the plain one', () => {
    expect(codes([GENERATE, SHA256])).toEqual(['mechanism-missing']);
  });

  test('must take the sizes, 2048 always', () => {
    expect(codes([{ ...GENERATE, maxKeySize: 2048 }, SIGN], [3072, 4096])).toEqual(['key-size-unsupported']);
    expect(codes([{ ...GENERATE, minKeySize: 3072 }, SIGN])).toEqual(['key-size-unsupported']);
    expect(codes([GENERATE, SIGN, { ...SHA256, maxKeySize: 2048 }])).toEqual(['key-size-unsupported']);
    expect(codes([GENERATE, SIGN, { ...SHA256, maxKeySize: 2048, flags: 0x2000 }])).toEqual([]);
  });

  test.each([0, 0xffff_ffff])('with a largest size of %d say nothing about it', (maxKeySize) => {
    expect(codes([{ ...GENERATE, maxKeySize }, SIGN], [4096])).toEqual([]);
  });
});

test.each([
  ['unlimited', 7, 'unlimited'],
  ['unknown', 7, 'unknown'],
  [8, 'unknown', 'unknown'],
  [8, 3, 5],
  [2, 3, 0],
] as const)('of %s sessions with %s open, %s are free', (max, open, free) => {
  expect(freeSessions(max, open)).toBe(free);
});

test('sessions of both kinds are asked for', () => {
  const token = tokenWith({ sessions: { max: 4, open: 1, maxReadWrite: 1, openReadWrite: 1 } });
  expect(sessionRefusals(token, 4).map(({ message }) => message)).toEqual([
    'The token "hsm" has 3 free sessions; at least 4 are needed.',
    'The token "hsm" has 0 free read-write sessions; at least 1 are needed.',
  ]);
  expect(sessionRefusals(tokenWith({}), 400)).toEqual([]);
});

test('a locked PIN is told once, though the token may set the last try too', () => {
  const token = tokenWith({ pinLocked: true, pinFinalTry: true, pinCountLow: true });
  expect(pinRefusals(token).map(({ code }) => code)).toEqual(['pin-locked']);
  expect(pinRefusals(tokenWith({ pinCountLow: true }))).toEqual([]);
});

describe('what a KRA asks for', () => {
  const WRAP: MechanismFacts = { type: 0x01, minKeySize: 1024, maxKeySize: 4096, flags: 0x6_0000 };
  const OAEP: MechanismFacts = { ...WRAP, type: 0x09 };
  const AES_KEYS: MechanismFacts = { type: 0x1080, minKeySize: 16, maxKeySize: 32, flags: 0x8000 };
  const AES_CBC: MechanismFacts = { type: 0x1085, minKeySize: 16, maxKeySize: 32, flags: 0x300 };
  const refused = (mechanisms: MechanismFacts[], oaep = false) =>
    wrappingRefusals('hsm', mechanisms, { oaep }).map(({ message }) => message);

  test('is to wrap keys, to make some, and to encrypt with them', () => {
    expect(refused([WRAP, AES_KEYS, AES_CBC])).toEqual([]);
    expect(refused([OAEP, AES_KEYS, AES_CBC], true)).toEqual([]);
  });

  test('is told by its names, all that is missing at once', () => {
    expect(refused([SIGN])).toEqual([
      expect.stringMatching(/CKM_RSA_PKCS to wrap and unwrap, CKM_AES_KEY_GEN to make keys, CKM_AES_CBC_PAD/),
    ]);
    expect(refused([WRAP, AES_KEYS, { ...AES_CBC, flags: 0x100 }])).toHaveLength(1);
  });

  test('is RSA-OAEP and nothing else where the HSM knows nothing else', () => {
    expect(refused([WRAP, AES_KEYS, AES_CBC], true)).toEqual([expect.stringContaining('CKM_RSA_PKCS_OAEP')]);
  });
});
