import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Directory, Entry } from '../../../src/directory/client.ts';
import { allocateReplicaId, nextId } from '../../../src/directory/replica-id.ts';

test('an id that is given is nobody’s, and none below the counter', () => {
  const ids = fc.uniqueArray(fc.integer({ min: 1, max: 65_534 }), { maxLength: 50 });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 60_000 }), ids, (counter, used) => {
      const id = nextId(counter, new Set(used));
      expect(id).toBeGreaterThanOrEqual(counter);
      expect(used).not.toContain(id);
      for (let skipped = counter; skipped < id; skipped++) expect(used).toContain(skipped);
    }),
  );
});

test('after the last id there is none', () => {
  expect(nextId(65_534, new Set())).toBe(65_534);
  for (const [counter, used] of [
    [65_535, []],
    [65_533, [65_533, 65_534]],
  ] as const) {
    expect(() => nextId(counter, new Set(used))).toThrow(
      expect.objectContaining({ code: 'replica-ids-used-up' }),
    );
  }
});

/** What a directory answers in which others draw ids as well. */
function drawnFrom(counters: string[], taken: string[][]): Directory {
  const entry = (attributes: Record<string, string[]>): Entry => ({
    dn: '',
    values: (name) => attributes[name] ?? [],
    bytes: () => [],
  });
  let current = counters.shift();
  return {
    entry: async () => (current === undefined ? undefined : entry({ nsDS5ReplicaId: [current] })),
    search: async () => taken.map((nsds50ruv) => entry({ nsDS5ReplicaId: [], nsds50ruv })),
    swap: async (_dn: string, _attribute: string, old: string) => {
      const won = counters.length === 0 && old === current;
      current = counters.shift() ?? current;
      return won;
    },
  } as unknown as Directory;
}

test('who loses the race for a number draws the next one', async () => {
  await expect(allocateReplicaId(drawnFrom(['3', '4', '5'], []), 'dc=x')).resolves.toBe(5);
});

test('a number that is in a vector of any suffix is passed over', async () => {
  const vectors = [['{replica 3 ldap://a:389} 0 0'], ['{replica 4 ldap://b:389}']];
  await expect(allocateReplicaId(drawnFrom(['3'], vectors), 'dc=x')).resolves.toBe(5);
});

test('without a counter, or when it never stands still, that is said', async () => {
  await expect(allocateReplicaId(drawnFrom([], []), 'dc=x')).rejects.toMatchObject({
    code: 'replica-ids-missing',
  });
  const restless = drawnFrom(['3', '4', '5', '6', '7', '8', '9'], []);
  await expect(allocateReplicaId(restless, 'dc=x')).rejects.toMatchObject({ code: 'replica-ids-busy' });
});
