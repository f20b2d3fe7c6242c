import type { TokenFacts } from '../../../src/hsm/protocol.ts';

/** A sound token with this label; what it says of itself can be changed. */
export function tokenWith(changes: Partial<TokenFacts>): TokenFacts {
  return {
    slot: 1,
    label: 'hsm',
    serial: '0001',
    manufacturer: 'Maker',
    model: 'Model',
    firmware: '1.0',
    initialised: true,
    loginRequired: true,
    pinPad: false,
    writeProtected: false,
    userPinInitialised: true,
    pinCountLow: false,
    pinFinalTry: false,
    pinLocked: false,
    pinToBeChanged: false,
    sessions: { max: 'unlimited', open: 0, maxReadWrite: 'unlimited', openReadWrite: 0 },
    ...changes,
  };
}
