import { describe, expect, test } from 'vitest';
import { rolesText } from '../../../installer/commands/role.ts';
import type { RoleEntry, ServerEntry } from '../../../src/directory/masters.ts';
import { holders, problemsOf } from '../../../src/flow/roles.ts';

function server(hostname: string, ca?: Partial<RoleEntry>): ServerEntry {
  const role = { enabled: true, renewalMaster: false, crlGenerator: false, tokenSerial: 'ab01' };
  return { hostname, roles: ca ? [{ ...role, name: 'CA', ...ca }] : [] };
}

const FIRST = server('ca1.example.test', { renewalMaster: true, crlGenerator: true });
const SECOND = server('ca2.example.test', {});
const CLUSTER = [FIRST, SECOND, server('ds3.example.test')];

describe('the roles of a cluster', () => {
  test('are well where each duty has one server, and the CA of this host does as recorded', () => {
    expect(problemsOf('ca1.example.test', CLUSTER, 'on')).toEqual([]);
    expect(problemsOf('ca2.example.test', CLUSTER, 'off')).toEqual([]);
    expect(problemsOf('ds3.example.test', CLUSTER, undefined)).toEqual([]);
    expect(holders(CLUSTER, 'crl')).toEqual(['ca1.example.test']);
  });

  test('are unwell where nobody, or more than one, has a duty', () => {
    const nobody = [server('ca1.example.test', { crlGenerator: true }), SECOND];
    expect(problemsOf('ca1.example.test', nobody, 'on')).toMatchObject([
      { message: 'No server renews the certificates that all share, as it is recorded.' },
    ]);
    const two = [FIRST, server('ca2.example.test', { crlGenerator: true })];
    expect(problemsOf('ca1.example.test', two, 'on')).toMatchObject([
      { message: expect.stringContaining('(ca1.example.test, ca2.example.test) generates the CRLs') },
    ]);
  });

  test('are unwell on a server that came back and still generates CRLs: two would', () => {
    const [problem, ...more] = problemsOf('ca2.example.test', CLUSTER, 'on');
    expect(problem).toEqual({
      message: 'The CA of ca2.example.test is set to generate CRLs, which is the task of ca1.example.test.',
      next: 'Run on ca2.example.test: capstan role move crl ca1.example.test',
    });
    expect(more).toEqual([]);
    expect(problemsOf('ca2.example.test', CLUSTER, 'mixed')).toHaveLength(1);
  });

  test('are unwell on the server that is to generate CRLs and does not yet', () => {
    for (const here of ['off', 'mixed'] as const) {
      expect(problemsOf('ca1.example.test', CLUSTER, here)).toMatchObject([
        { next: 'Run on ca1.example.test: capstan role move crl ca1.example.test' },
      ]);
    }
  });

  test('are unwell where the CRLs lack what others revoke, once there are others', () => {
    expect(problemsOf('ca1.example.test', CLUSTER, 'deaf')).toMatchObject([
      { message: expect.stringContaining('lack what other servers revoke') },
    ]);
    expect(problemsOf('ca1.example.test', [FIRST, server('ds3.example.test')], 'deaf')).toEqual([]);
  });

  test('say nothing of a cluster without a CA', () => {
    expect(problemsOf('ds3.example.test', [server('ds3.example.test')], undefined)).toEqual([]);
  });
});

test('the table has a row for each server, and what is to be done below it', () => {
  const problems = problemsOf('ca2.example.test', CLUSTER, 'on');
  const text = rolesText({ hostname: 'ca2.example.test', servers: CLUSTER, crlHere: 'on', problems });
  expect(text.split('\n')).toEqual([
    'SERVER            CA   KRA  RENEWAL-MASTER  CRL',
    'ca1.example.test  yes       yes             yes',
    'ca2.example.test  yes',
    'ds3.example.test',
    '',
    'The CA of ca2.example.test is set to generate CRLs, which is the task of ca1.example.test.',
    '  Run on ca2.example.test: capstan role move crl ca1.example.test',
  ]);
});
