import { describe, expect, it } from 'vitest';
import { keptIn, mayHoldSealingKey, SEAL_STEP, UNSEAL_STEP } from '../../../src/flow/sealed.ts';
import type { JournalEntry, StepState } from '../../../src/plan/journal.ts';

const FACTS = { run: 'run-1', host: 'ca1', keyId: '5ea1', keyLabel: 'Capstan passwords', tokenSerial: '1' };

/** A journal with these states of the two steps. */
function journal(states: Partial<Record<string, StepState>>) {
  const entry = (id: string): JournalEntry | undefined => {
    const state = states[id];
    return state && { id, state, at: '2026-01-02T03:04:05.000Z', facts: id === SEAL_STEP ? FACTS : {} };
  };
  return { entry };
}

describe('the passwords that an installation keeps', () => {
  it.each<[Partial<Record<string, StepState>>]>([
    [{}],
    [{ [SEAL_STEP]: 'applying' }],
    [{ [SEAL_STEP]: 'undone' }],
    [{ [SEAL_STEP]: 'undoing' }],
  ])('are to be given where they were not kept wholly: %j', (states) => {
    expect(keptIn(journal(states))).toBeUndefined();
  });

  it('are opened from when they are sealed until they begin to be forgotten', () => {
    const sealed = { state: 'sealed', facts: FACTS };
    expect(keptIn(journal({ [SEAL_STEP]: 'done' }))).toEqual(sealed);
    expect(keptIn(journal({ [SEAL_STEP]: 'done', [UNSEAL_STEP]: 'undone' }))).toEqual(sealed);
    expect(keptIn(journal({ [SEAL_STEP]: 'done', [UNSEAL_STEP]: 'applying' }))).toEqual({
      state: 'forgotten',
    });
  });

  it('have a key on the token from the moment in which the journal names it until it is deleted', () => {
    const entry = { id: SEAL_STEP, state: 'applying', at: '', facts: FACTS } as const;
    expect(mayHoldSealingKey(undefined)).toBe(false);
    expect(mayHoldSealingKey({ ...entry, facts: {} })).toBe(false);
    expect(mayHoldSealingKey(entry)).toBe(true);
    expect(mayHoldSealingKey({ ...entry, facts: { ...FACTS, purged: true } })).toBe(false);
    expect(mayHoldSealingKey({ ...entry, state: 'undone' })).toBe(false);
  });
});
