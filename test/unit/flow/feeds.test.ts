import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Agreement } from '../../../src/directory/agreement.ts';
import {
  type FeedLook,
  feedsOf,
  isBetween,
  type Link,
  linksOf,
  partsOf,
  type ReplicationLook,
} from '../../../src/flow/feeds.ts';

const SUFFIX = 'dc=example,dc=test';
/** Now, in seconds since 1970. */
const NOW = 1_800_000_000;

function agreement(receiver: string, changes: Partial<Agreement> = {}): Agreement {
  return {
    ...{ suffix: SUFFIX, receiver, enabled: true, initialised: true, busy: false },
    lastUpdate: { ok: true, text: 'Incremental update succeeded', at: new Date(NOW * 1000) },
    ...changes,
  };
}

/** A server that feeds others, and has the changes of supplier 3 up to a time. */
function look(agreements: Agreement[], last = NOW - 10, generation = 'g'): ReplicationLook {
  const csn = { time: last, sequence: 0, replica: 3, subsequence: 0 };
  const elements = [{ id: 3, url: '', first: { ...csn, time: 0 }, last: csn }];
  return { agreements, replicas: [{ suffix: SUFFIX, id: 3, ruv: { generation, elements } }] };
}

function feedsAmong(looks: Record<string, ReplicationLook>, before = looks): FeedLook[] {
  return feedsOf(new Map(Object.entries(before)), new Map(Object.entries(looks)), NOW);
}

/** The states, by sender and receiver. */
function states(feeds: readonly FeedLook[]): Record<string, string> {
  return Object.fromEntries(feeds.map(({ sender, receiver, state }) => [`${sender} ${receiver}`, state]));
}

describe('a feed', () => {
  const both = (changes: Partial<Agreement> = {}, last?: number) => ({
    a: look([agreement('b', changes)]),
    b: look([agreement('a')], last),
  });

  test('is well when the receiver has what the sender had', () => {
    const feeds = feedsAmong(both());
    expect(states(feeds)).toEqual({ 'a b': 'well', 'b a': 'well' });
    expect(feeds.every(({ well, lag }) => well && lag?.length === 0)).toBe(true);
  });

  test('is well when all that is new arrived meanwhile', () => {
    const late = { a: look([agreement('b')], NOW - 1), b: look([agreement('a')], NOW - 10) };
    expect(states(feedsAmong(late))['a b']).toBe('sending');
    expect(states(feedsAmong(both(), late))['a b']).toBe('sending');
    const arrived = { a: look([agreement('b')], NOW), b: look([agreement('a')], NOW - 1) };
    expect(states(feedsAmong(arrived, late))).toEqual({ 'a b': 'well', 'b a': 'well' });
  });

  test.each([
    ['whose newest change is a minute old', NOW - 61, NOW - 62],
    ['whose receiver stopped five minutes ago', NOW - 1, NOW - 301],
  ])('%s is behind', (_, newest, last) => {
    const [first] = feedsAmong({ a: look([agreement('b')], newest), b: look([agreement('a')], last) });
    expect(first).toMatchObject({
      state: 'behind',
      well: false,
      detail: expect.stringContaining(`${newest - last} s behind`),
      lag: [{ supplier: 3, has: last, last: newest }],
    });
  });

  test.each<[string, Partial<Agreement>]>([
    ['failing', { lastUpdate: { ok: false, text: "Can't contact LDAP server", at: undefined } }],
    ['uninitialised', { initialised: false }],
    ['disabled', { enabled: false }],
  ])('that its sender calls %s is not well', (state, changes) => {
    const [first, second] = feedsAmong(both(changes));
    expect(first).toMatchObject({ state, well: false });
    expect(second).toMatchObject({ state: 'well', well: true });
  });

  test('tells the directory’s own words when it cannot send', () => {
    const lastUpdate = { ok: false, text: "Can't contact LDAP server", at: undefined };
    expect(feedsAmong(both({ lastUpdate }))[0]?.detail).toBe("Can't contact LDAP server");
  });

  test('between servers with other data is uninitialised, whatever the sender says', () => {
    const looks = { a: look([agreement('b')]), b: look([agreement('a')], NOW, 'other') };
    expect(states(feedsAmong(looks))).toEqual({ 'a b': 'uninitialised', 'b a': 'uninitialised' });
  });

  test('to or from a silent server is not called well', () => {
    const feeds = feedsAmong({ a: look([agreement('b')]) });
    expect(states(feeds)).toEqual({ 'a b': 'unproved', 'b a': 'unknown' });
    expect(feeds.some(({ well }) => well)).toBe(false);
  });

  test('to a server that does not replicate the suffix is failing', () => {
    const feeds = feedsAmong({ a: look([agreement('b')]), b: { agreements: [], replicas: [] } });
    expect(feeds[0]).toMatchObject({ state: 'failing', detail: `b does not replicate ${SUFFIX}` });
  });

  test('that nobody answers is missing', () => {
    const feeds = feedsAmong({ a: look([agreement('b')]), b: look([]) });
    expect(states(feeds)).toEqual({ 'a b': 'well', 'b a': 'missing' });
    expect(linksOf(feeds, SUFFIX)).toEqual([]);
  });
});

test('two servers are linked by feeds both ways, in that suffix, or by one whose other end is silent', () => {
  const feeds = feedsAmong({
    a: look([agreement('b'), agreement('c')]),
    b: look([agreement('a'), agreement('a', { suffix: 'o=ipaca' })]),
  });
  expect(linksOf(feeds, SUFFIX)).toEqual([
    ['a', 'b'],
    ['a', 'c'],
  ]);
  expect(linksOf(feeds, 'o=ipaca')).toEqual([]);
});

describe('the parts of a topology', () => {
  const names = ['a', 'b', 'c', 'd', 'e'];
  const link = fc.tuple(fc.constantFrom(...names), fc.constantFrom(...names)).filter(([a, b]) => a !== b);
  const links = fc.array(link as fc.Arbitrary<Link>, { maxLength: 8 });

  test('hold every server once', () => {
    fc.assert(
      fc.property(links, (some) => {
        expect(partsOf(names, some).flat().toSorted()).toEqual(names);
      }),
    );
  });

  test('hold both ends of every link, and are at most one more when a link goes', () => {
    fc.assert(
      fc.property(links, (some) => {
        const parts = partsOf(names, some);
        for (const gone of some) {
          expect(parts.find((part) => part.includes(gone[0]))).toContain(gone[1]);
          const without = some.filter((link) => !isBetween(link, gone));
          expect(partsOf(names, without).length - parts.length).toBeOneOf([0, 1]);
        }
      }),
    );
  });

  test.each<[string, Link[], string[][]]>([
    ['nothing', [], [['a'], ['b'], ['c'], ['d'], ['e']]],
    [
      'a chain',
      [
        ['a', 'b'],
        ['b', 'c'],
        ['c', 'd'],
        ['d', 'e'],
      ],
      [names],
    ],
    [
      'two pairs',
      [
        ['a', 'b'],
        ['d', 'c'],
      ],
      [['a', 'b'], ['c', 'd'], ['e']],
    ],
    [
      'other letters',
      [
        ['A', 'b'],
        ['B', 'c'],
      ],
      [['a', 'b', 'c'], ['d'], ['e']],
    ],
  ])('of %s', (_, some, parts) => {
    expect(partsOf(names, some)).toEqual(parts);
  });
});
