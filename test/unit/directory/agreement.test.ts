import { describe, expect, test } from 'vitest';
import { hasReached, readAgreement, readSession } from '../../../src/directory/agreement.ts';
import type { Entry } from '../../../src/directory/client.ts';

function entry(attributes: Record<string, string>): Entry {
  const byName = new Map(Object.entries(attributes).map(([name, value]) => [name.toLowerCase(), value]));
  return { dn: '', values: (name) => [byName.get(name.toLowerCase()) ?? []].flat(), bytes: () => [] };
}

describe('a status', () => {
  test.each([
    ['Error (0) Replica acquired successfully: Incremental update succeeded', true],
    ['Error (0) Replication session successful', true],
    ['Error (0) No replication sessions started since server startup', true],
    ["Error (1) Can't acquire busy replica (Incremental transient error)", true],
    ["Error (18) Can't acquire replica (Incremental update transient error.  Backing off)", true],
    ['0 Replica acquired successfully: Incremental update succeeded', true],
    ['', true],
    [
      "Error (-1) Problem connecting to replica - LDAP error: Can't contact LDAP server (connection error)",
      false,
    ],
    ['Error (49) Problem connecting to replica - LDAP error: Invalid credentials (connection error)', false],
    ['Error (3) Replication error acquiring replica: Unable to acquire replica: permission denied.', false],
    ['-1 Unable to acquire replica', false],
  ])('%j is well: %j', (text, ok) => {
    expect(readSession(text, '').ok).toBe(ok);
  });

  test('is told without its number, in all its lines', () => {
    const text = 'Error (12) Incremental update aborted: Replication agreement for x\n can not be updated.';
    expect(readSession(text, '').text).toBe(text.slice('Error (12) '.length));
    expect(readSession('Error (49) - LDAP error: Invalid credentials', '').text).toBe(
      'LDAP error: Invalid credentials',
    );
  });

  test('has a time, unless there was no session', () => {
    expect(readSession('', '20260102030405Z').at).toEqual(new Date('2026-01-02T03:04:05Z'));
    expect(readSession('', '19700101000000Z').at).toBeUndefined();
    expect(readSession('', '0').at).toBeUndefined();
  });
});

describe('an agreement', () => {
  const plain = {
    nsDS5ReplicaRoot: 'o=ipaca',
    nsDS5ReplicaHost: 'ca2.example.test',
    nsds5replicaUpdateInProgress: 'FALSE',
    nsds5replicaLastUpdateStatus: 'Error (0) Replica acquired successfully: Incremental update succeeded',
    nsds5replicaLastUpdateEnd: '20260102030405Z',
  };

  test('is enabled unless it is off', () => {
    expect(readAgreement(entry(plain))).toMatchObject({ enabled: true, initialised: true, busy: false });
    expect(readAgreement(entry({ ...plain, nsds5ReplicaEnabled: 'off' })).enabled).toBe(false);
  });

  test('of two directories with different data is not initialised', () => {
    const status =
      'Error (19) Replication error acquiring replica: Replica has different database generation ID, ' +
      'remote replica may need to be initialized (RUV error)';
    const found = readAgreement(entry({ ...plain, nsds5replicaLastUpdateStatus: status }));
    expect(found).toMatchObject({ initialised: false, lastUpdate: { ok: false } });
  });

  test('that copies the whole suffix now is not initialised yet', () => {
    expect(readAgreement(entry({ ...plain, nsds5BeginReplicaRefresh: 'start' })).initialised).toBe(false);
  });

  test.each([
    ['Error (0) Replica acquired successfully: Incremental update started', true],
    ['Error (0) Replica acquired successfully: Incremental update succeeded', true],
    ['Error (0) Replication session successful', true],
    ['Error (0) No replication sessions started since server startup', false],
    ["Error (1) Can't acquire busy replica (Incremental transient error)", false],
    ['Error (49) Problem connecting to replica - LDAP error: Invalid credentials (connection error)', false],
  ])('that says %j has reached its receiver: %j', (status, reached) => {
    expect(hasReached(readAgreement(entry({ ...plain, nsds5replicaLastUpdateStatus: status })))).toBe(
      reached,
    );
  });
});
