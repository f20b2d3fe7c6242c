import { describe, expect, test } from 'vitest';
import type { RoleEntry, ServerEntry } from '../../../src/directory/masters.ts';
import { kraToClone } from '../../../src/flow/kra-site.ts';

function server(hostname: string, ...roles: (readonly [RoleEntry['name'], boolean])[]): ServerEntry {
  const facts = { renewalMaster: false, crlGenerator: false, tokenSerial: 'ab01' };
  return { hostname, roles: roles.map(([name, enabled]) => ({ name, enabled, ...facts })) };
}

describe('the KRA that a new one is a clone of', () => {
  test('is none where no server has one in use', () => {
    expect(kraToClone([server('ca1', ['CA', true]), server('ca2', ['KRA', false])])).toBeUndefined();
  });

  test('is that of the server that is at hand, or else any', () => {
    const servers = [server('ca1', ['KRA', true]), server('ca2', ['CA', true]), server('ca3', ['KRA', true])];
    expect(kraToClone(servers, 'ca3')).toBe('ca3');
    expect(kraToClone(servers, 'ca2')).toBe('ca1');
    expect(kraToClone(servers)).toBe('ca1');
  });
});
