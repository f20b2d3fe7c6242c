import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { Directory } from '../../../src/directory/client.ts';
import { endTurn, inTurn, TURN_DN } from '../../../src/directory/turn.ts';

const host = { signal: new AbortController().signal };

/** A directory that has nothing but the entry of the turn. */
function directoryWith(holder?: string): Directory & { holder(): string | undefined } {
  let current = holder;
  return {
    holder: () => current,
    entry: async () => current && { values: () => [current], dn: TURN_DN },
    add: async (_dn: string, { description }: { description: string[] }) => {
      if (current !== undefined) return false;
      [current] = description;
      return true;
    },
    remove: async () => {
      current = undefined;
    },
  } as unknown as Directory & { holder(): string | undefined };
}

test('of servers that come together one is at work at a time, and each has its turn', async () => {
  const directory = directoryWith();
  let working = 0;
  const ended: string[] = [];
  const join = (name: string) =>
    inTurn(host, directory, name, async () => {
      working += 1;
      await sleep(50);
      expect([name, working, directory.holder()]).toEqual([name, 1, name]);
      working -= 1;
      ended.push(name);
    });
  await Promise.all(['ca2', 'ca3', 'ca4'].map(join));
  expect(ended.toSorted()).toEqual(['ca2', 'ca3', 'ca4']);
  expect(directory.holder()).toBeUndefined();
});

test('a server that was killed in its turn has it still', async () => {
  const directory = directoryWith('ca2');
  await expect(inTurn(host, directory, 'ca2', async () => directory.holder())).resolves.toBe('ca2');
  expect(directory.holder()).toBeUndefined();
});

test('what fails in its turn ends it, and tells why', async () => {
  const directory = directoryWith();
  const failing = inTurn(host, directory, 'ca2', () => Promise.reject(new Error('refused')));
  await expect(failing).rejects.toThrow('refused');
  expect(directory.holder()).toBeUndefined();
});

test('nobody ends the turn of another, and who is interrupted waits no longer', async () => {
  const directory = directoryWith('ca2');
  await endTurn(directory, 'ca3');
  expect(directory.holder()).toBe('ca2');
  const interrupted = { signal: AbortSignal.timeout(100) };
  await expect(inTurn(interrupted, directory, 'ca3', async () => {})).rejects.toMatchObject({
    code: 'interrupted',
  });
  expect(directory.holder()).toBe('ca2');
});
