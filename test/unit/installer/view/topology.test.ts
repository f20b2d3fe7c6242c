import { describe, expect, test } from 'vitest';
import { drawing, rolesText, topologyLines } from '../../../../installer/view/topology.ts';
import type { RoleEntry } from '../../../../src/directory/masters.ts';
import type { FeedLook, FeedState } from '../../../../src/flow/feeds.ts';
import type { ServerLook } from '../../../../src/flow/topology.ts';

const DOMAIN = 'dc=example,dc=test';

function server(hostname: string, changes: Partial<ServerLook> = {}): ServerLook {
  return { hostname, roles: [], replicaId: 1, problem: undefined, ...changes };
}

function ca(changes: Partial<RoleEntry> = {}): RoleEntry {
  const marks = { enabled: true, renewalMaster: false, crlGenerator: false };
  return { name: 'CA', ...marks, tokenSerial: undefined, ...changes };
}

function feed(sender: string, receiver: string, suffix = DOMAIN, state: FeedState = 'well'): FeedLook {
  const well = state === 'well';
  const detail = well ? 'up to date' : `it is ${state}`;
  return { sender, receiver, suffix, state, well, detail, lag: [], lastUpdate: undefined };
}

function both(one: string, other: string): FeedLook[] {
  return [DOMAIN, 'o=ipaca'].flatMap((suffix) => [feed(one, other, suffix), feed(other, one, suffix)]);
}

describe('the drawing', () => {
  test('of a chain is as deep as the chain', () => {
    const servers = ['a', 'b', 'c'].map((name) => server(name));
    expect(drawing(servers, [...both('a', 'b'), ...both('b', 'c')])).toEqual([
      'a          directory only',
      '└── b      directory only  dc=example,dc=test, o=ipaca',
      '    └── c  directory only  dc=example,dc=test, o=ipaca',
    ]);
  });

  test('of a ring has every server and every connection once', () => {
    const servers = ['a', 'b', 'c'].map((name) => server(name));
    const lines = drawing(servers, [...both('a', 'b'), ...both('b', 'c'), ...both('c', 'a')]);
    expect(lines.map((line) => line.replace(/ +directory.*| +dc=.*/, ''))).toEqual([
      'a',
      '├── b',
      '│   └── (c)',
      '└── c',
    ]);
  });

  test('begins with the renewal master, and has servers without a connection, too', () => {
    const servers = [server('a'), server('b', { roles: [ca({ renewalMaster: true })] })];
    expect(drawing(servers, [])).toEqual(['b  CA, renewal master', 'a  directory only']);
  });

  test.each<[FeedState, string]>([
    ['failing', '─X'],
    ['missing', '─X'],
    ['behind', '─X'],
    ['unknown', '─?'],
    ['unproved', '─?'],
  ])('of a connection that is %s has %s', (state, mark) => {
    const lines = drawing([server('a'), server('b')], [feed('a', 'b', DOMAIN, state), feed('b', 'a')]);
    expect(lines[1]).toBe(`└${mark} b  directory only  dc=example,dc=test (${state})`);
  });

  test('shows a server that has agreements and is not recorded', () => {
    expect(drawing([server('a')], both('a', 'old')).at(1)).toContain('not recorded as a server');
  });
});

test('roles are told as FreeIPA and Capstan call them', () => {
  const roles = [ca({ renewalMaster: true, crlGenerator: true }), ca({ name: 'KRA', enabled: false })];
  expect(rolesText(server('a', { roles }))).toBe('CA, renewal master, CRL generator, KRA (not in use)');
  expect(rolesText(server('a', { problem: 'silent' }))).toBe('directory only, does not answer');
});

test('what a directory says cannot change the terminal, and parts are told', () => {
  const bad = { ...feed('a', 'b', DOMAIN, 'failing'), detail: 'lost\u001b[2J\nconnection' };
  const topology = {
    servers: [server('a'), server('b')],
    feeds: [bad, feed('b', 'a')],
    parts: [{ suffix: DOMAIN, parts: [['a'], ['b']] }],
  };
  const text = topologyLines(topology).join('\n');
  expect(text).toContain('BAD  a     b   dc=example,dc=test  lost connection');
  expect(text).toContain('BAD  dc=example,dc=test is in 2 parts: a | b');
  expect(text).not.toContain('\u001b');
});
