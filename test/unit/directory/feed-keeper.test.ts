import { describe, expect, test } from 'vitest';
import type { Directory } from '../../../src/directory/client.ts';
import { renewSentFeeds, stopsAfterLargeChanges } from '../../../src/directory/feed-keeper.ts';

describe('a release that stops to send after a large change', () => {
  test.each([
    ['1.4.4.9', false],
    ['1.4.4.10', true],
    ['1.4.4.11', true],
    ['1.4.4.13', true],
    ['1.4.4.14', false],
    ['2.0.1', false],
    ['2.0.2', true],
    ['2.0.3', true],
    ['2.0.4', false],
    ['2.3.1', false],
    ['3.1.0', false],
  ])('%s: %s', (release, expected) => {
    expect(stopsAfterLargeChanges(`389 Project\n389-Directory/${release} B2021.139.1122\n`)).toBe(expected);
  });

  test('is not one that does not tell its release', () => {
    expect(stopsAfterLargeChanges('')).toBe(false);
  });
});

type Attributes = Record<string, string[]>;

/** A directory with one agreement, and the changes that are made to it. */
function withAgreement(attributes: Attributes) {
  const entry: Attributes = {
    nsDS5ReplicaRoot: ['o=ipaca'],
    nsDS5ReplicaHost: ['ca2.example.test'],
    nsds5replicaUpdateInProgress: ['FALSE'],
    nsds5replicaChangesSentSinceStartup: ['4:7/0 '],
    ...attributes,
  };
  const made: Attributes[] = [];
  const dn = 'cn=ca2.example.test,cn=replica,cn=o\\3Dipaca,cn=mapping tree,cn=config';
  const directory = {
    search: async () => [{ dn, values: (name: string) => entry[name] ?? [], bytes: () => [] }],
    replace: async (at: string, change: Attributes) => {
      expect(at).toBe(dn);
      made.push(change);
    },
  } as unknown as Directory;
  return { directory, entry, made };
}

const OFF_AND_ON = [
  { description: ['Capstan has this feed begin anew'], nsds5ReplicaEnabled: ['off'] },
  { nsds5ReplicaEnabled: ['on'], description: [] },
];

describe('a feed', () => {
  test('begins anew when it has sent something, once', async () => {
    const { directory, entry, made } = withAgreement({});
    const before = new Map();
    expect(await renewSentFeeds(directory, before)).toEqual([
      { suffix: 'o=ipaca', receiver: 'ca2.example.test' },
    ]);
    expect(made).toEqual(OFF_AND_ON);
    expect(await renewSentFeeds(directory, before)).toEqual([]);
    entry.nsds5replicaChangesSentSinceStartup = ['4:8/0 '];
    expect(await renewSentFeeds(directory, before)).toHaveLength(1);
  });

  test.each([
    ['has sent nothing yet', { nsds5replicaChangesSentSinceStartup: [] }],
    ['is sending', { nsds5replicaUpdateInProgress: ['TRUE'] }],
    ['copies the suffix', { nsds5BeginReplicaRefresh: ['start'] }],
    ['was turned off by an administrator', { nsds5ReplicaEnabled: ['off'] }],
  ])('is left alone that %s', async (_, attributes) => {
    const { directory, made } = withAgreement(attributes as Attributes);
    expect(await renewSentFeeds(directory, new Map())).toEqual([]);
    expect(made).toEqual([]);
  });

  test('that a killed keeper left off is turned on', async () => {
    const { directory, made } = withAgreement({
      nsds5ReplicaEnabled: ['off'],
      description: ['Capstan has this feed begin anew'],
    });
    expect(await renewSentFeeds(directory, new Map())).toHaveLength(1);
    expect(made.at(-1)).toEqual({ nsds5ReplicaEnabled: ['on'], description: [] });
  });
});
