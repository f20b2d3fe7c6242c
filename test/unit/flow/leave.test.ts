import { describe, expect, test } from 'vitest';
import type { RoleEntry, ServerEntry } from '../../../src/directory/masters.ts';
import { objectionsTo } from '../../../src/flow/leave.ts';

function server(hostname: string, ca?: Partial<RoleEntry>): ServerEntry {
  const role = { enabled: true, renewalMaster: false, crlGenerator: false, tokenSerial: 'ab01' };
  return { hostname, roles: ca ? [{ ...role, name: 'CA', ...ca }] : [] };
}

const codes = (leaving: string, servers: ServerEntry[]) =>
  objectionsTo(leaving, servers).map(({ code }) => code);

describe('a server leaves', () => {
  test('without objection when it does nothing that others need', () => {
    expect(
      codes('ca2', [server('ca1', { renewalMaster: true, crlGenerator: true }), server('ca2', {})]),
    ).toEqual([]);
    expect(codes('d3', [server('ca1', { renewalMaster: true }), server('d3')])).toEqual([]);
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
