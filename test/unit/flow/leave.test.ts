import { describe, expect, test } from 'vitest';
import type { RoleEntry, ServerEntry } from '../../../src/directory/masters.ts';
import { type Connections, cutsBy, objectionsTo } from '../../../src/flow/leave.ts';

function server(hostname: string, ca?: Partial<RoleEntry>): ServerEntry {
  const role = { enabled: true, renewalMaster: false, crlGenerator: false, tokenSerial: 'ab01' };
  return { hostname, roles: ca ? [{ ...role, name: 'CA', ...ca }] : [] };
}

const codes = (leaving: string, servers: ServerEntry[]) =>
  objectionsTo(leaving, servers).map(({ code }) => code);

/** The same server with a KRA. */
function withKra(entry: ServerEntry): ServerEntry {
  const role = { enabled: true, renewalMaster: false, crlGenerator: false, tokenSerial: 'ab01' };
  return { ...entry, roles: [...entry.roles, { ...role, name: 'KRA' }] };
}

describe('a server leaves', () => {
  test('without objection when it does nothing that others need', () => {
    expect(
      codes('ca2', [server('ca1', { renewalMaster: true, crlGenerator: true }), server('ca2', {})]),
    ).toEqual([]);
    expect(codes('d3', [server('ca1', { renewalMaster: true }), server('d3')])).toEqual([]);
  });

  test('not with the last KRA, without which nobody recovers what is archived', () => {
    const first = server('ca1', { renewalMaster: true });
    expect(codes('ca2', [first, withKra(server('ca2', {}))])).toEqual(['last-kra']);
    expect(codes('ca2', [withKra(first), withKra(server('ca2', {}))])).toEqual([]);
    expect(codes('ca2', [withKra(server('ca2', {}))])).toEqual([]);
  });

  test('when it is alone, whatever it does', () => {
    expect(codes('ca1', [server('ca1', { renewalMaster: true, crlGenerator: true })])).toEqual([]);
    expect(codes('ca1', [])).toEqual([]);
  });

  test('not before what it does for all was handed over, both duties told at once', () => {
    const servers = [server('ca1', { renewalMaster: true, crlGenerator: true }), server('ca2', {})];
    const objections = objectionsTo('ca1', servers);
    expect(objections).toMatchObject([
      {
        code: 'renewal-master',
        exit: 2,
        next: expect.stringContaining('capstan role move renewal-master ca2'),
      },
      { code: 'crl-generator', exit: 2, next: expect.stringContaining('capstan role move crl ca2') },
    ]);
    expect(codes('ca1', [server('ca1', { crlGenerator: true }), server('ca2', {})])).toEqual([
      'crl-generator',
    ]);
  });

  test('not with the last CA, and then nobody is named to take over', () => {
    const servers = [server('ca1', { renewalMaster: true, crlGenerator: true }), server('d2'), server('d3')];
    const [objection, ...more] = objectionsTo('ca1', servers);
    expect(objection).toMatchObject({ code: 'last-ca', exit: 2, message: expect.stringContaining('d2, d3') });
    expect(more).toEqual([]);
  });

  test('not to one whose CA is not in use', () => {
    expect(codes('ca1', [server('ca1', {}), server('ca2', { enabled: false })])).toEqual(['last-ca']);
  });

  test('by its name in any case', () => {
    expect(codes('CA1', [server('ca1', { renewalMaster: true }), server('ca2', {})])).toEqual([
      'renewal-master',
    ]);
  });
});

describe('a server between others', () => {
  const suffix = 'dc=example,dc=test';
  const connected = (servers: string[], ...links: [string, string][]): Connections => ({
    suffix,
    servers,
    links,
  });

  test('leaves when they are connected without it', () => {
    const ring = connected(['ca1', 'ca2', 'ca3'], ['ca1', 'ca2'], ['ca2', 'ca3'], ['ca1', 'ca3']);
    for (const leaving of ['ca1', 'ca2', 'ca3']) expect(cutsBy(leaving, [ring])).toEqual([]);
    const line = connected(['ca1', 'ca2', 'ca3'], ['ca1', 'ca2'], ['ca2', 'ca3']);
    for (const leaving of ['ca1', 'ca3']) expect(cutsBy(leaving, [line])).toEqual([]);
  });

  test('stays until they are, and is told how', () => {
    const line = connected(['ca1', 'ca2', 'ca3'], ['ca1', 'ca2'], ['ca2', 'ca3']);
    expect(cutsBy('CA2', [line])).toMatchObject([
      {
        code: 'topology-cut',
        exit: 2,
        message: `Without CA2, ${suffix} would be in 2 parts that hear nothing of each other: ca1 | ca3.`,
        next: 'Connect them first, with "capstan topology add ca1 ca3".',
      },
    ]);
  });

  test('leaves where they are in parts already', () => {
    expect(cutsBy('ca3', [connected(['ca1', 'ca2', 'ca3'], ['ca2', 'ca3'])])).toEqual([]);
    expect(cutsBy('ca3', [connected(['ca1', 'ca2', 'ca3'])])).toEqual([]);
  });
});
