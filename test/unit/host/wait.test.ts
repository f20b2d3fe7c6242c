import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { deadlinesWith } from '../../../src/host/deadlines.ts';
import { pause, type Wait, type Waiter, waitTeller, within } from '../../../src/host/wait.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const never = () => new Promise<never>(() => {});

/** A machine whose waits are kept, and what interrupts it. */
function waiter() {
  const waits: Wait[] = [];
  const interrupt = new AbortController();
  const host: Waiter = {
    signal: interrupt.signal,
    deadlines: deadlinesWith({ ldap: 10 }),
    waiting: waitTeller((wait) => waits.push(wait)),
  };
  return { host, interrupt, waits };
}

it('what is answered is handed on, and leaves no timer behind', async () => {
  const { host, waits } = waiter();
  expect(await within(host, 'ldap', 'an answer', async () => 42)).toBe(42);
  expect(vi.getTimerCount()).toBe(0);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(waits).toEqual([]);
});

it('what fails fails as it is', async () => {
  const { host } = waiter();
  const broken = new Error('broken');
  await expect(within(host, 'ldap', 'an answer', () => Promise.reject(broken))).rejects.toBe(broken);
  expect(vi.getTimerCount()).toBe(0);
});

it('a wait is told after 2 s, once, and ends at its deadline, which the work learns of', async () => {
  const { host, waits } = waiter();
  let seen: AbortSignal | undefined;
  const wait = within(host, 'ldap', 'an answer', (signal) => {
    seen = signal;
    return never();
  });
  const outcome = expect(wait).rejects.toMatchObject({ code: 'deadline-passed', exit: 1 });
  await vi.advanceTimersByTimeAsync(1999);
  expect(waits).toEqual([]);
  await vi.advanceTimersByTimeAsync(8000);
  expect(waits).toEqual([{ what: 'an answer', deadline: 10 }]);
  expect(seen?.aborted).toBe(false);
  await vi.advanceTimersByTimeAsync(1);
  await outcome;
  expect(seen?.aborted).toBe(true);
  expect(waits).toHaveLength(1);
});

it.each([-1, 1])('a clock that jumps by a day (%d) neither ends nor prolongs a wait', async (direction) => {
  const { host } = waiter();
  const ended = vi.fn();
  within(host, 'ldap', 'an answer', never).catch(ended);
  await vi.advanceTimersByTimeAsync(5000);
  vi.setSystemTime(Date.now() + direction * 86_400_000);
  await vi.advanceTimersByTimeAsync(4999);
  expect(ended).not.toHaveBeenCalled();
  await vi.advanceTimersByTimeAsync(1);
  expect(ended).toHaveBeenCalledOnce();
});

it('an interruption ends a wait at once, and work that is late to fail is no rejection of nobody', async () => {
  const { host, interrupt } = waiter();
  const wait = within(
    host,
    'ldap',
    'an answer',
    (signal) =>
      new Promise((_, reject) => {
        signal.addEventListener('abort', () => setTimeout(() => reject(new Error('late')), 100));
      }),
  );
  const outcome = expect(wait).rejects.toMatchObject({ code: 'interrupted', exit: 130 });
  interrupt.abort();
  await outcome;
  await vi.advanceTimersByTimeAsync(200);
});

it('nothing is begun after an interruption', async () => {
  const { host, interrupt } = waiter();
  interrupt.abort();
  const work = vi.fn(never);
  await expect(within(host, 'ldap', 'an answer', work)).rejects.toMatchObject({ exit: 130 });
  expect(work).not.toHaveBeenCalled();
});

it('a pause passes, or ends with the run', async () => {
  const { host, interrupt } = waiter();
  const over = vi.fn();
  const first = pause(host, 200, 'something').then(over);
  await vi.advanceTimersByTimeAsync(200);
  await first;
  expect(over).toHaveBeenCalledOnce();
  const second = expect(pause(host, 60_000, 'something')).rejects.toMatchObject({ exit: 130 });
  interrupt.abort();
  await second;
});
