import { inspect } from 'node:util';
import { expect, it } from 'vitest';
import { redact } from '../../../src/secret/redaction.ts';
import { Secret } from '../../../src/secret/secret.ts';

it('tells its value to nobody who does not ask for it', () => {
  const secret = new Secret('Sentinel.456', 'token password');
  const held = { secret, list: [secret] };
  const told = [
    `${secret}`,
    String(secret),
    JSON.stringify(held),
    inspect(held, { depth: 9, showHidden: true }),
  ];
  expect(told.join('\n')).not.toContain('Sentinel.456');
  expect(inspect(secret)).toBe('[secret: token password]');
  expect(secret.reveal()).toBe('Sentinel.456');
  expect(redact('Sentinel.456')).toBe('[secret]');
});

it('can hold any text, half a surrogate pair among them', () => {
  expect(new Secret('x\ud800', 'test').reveal()).toBe('x\ud800');
});
