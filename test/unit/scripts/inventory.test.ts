import { expect, test } from 'vitest';
import { changes, shapeOf } from '../../lab/inventory.ts';

test('changes name what came, what went and what is there more often, by kind', () => {
  const before = { files: ['/a f 600', '/b f 644'], ports: ['tcp *:22'] };
  expect(changes(before, before)).toEqual([]);
  expect(changes(before, { files: ['/a f 644', '/b f 644'], ports: ['tcp *:22', 'tcp *:22'] })).toEqual([
    'files: - /a f 600',
    'files: + /a f 644',
    'ports: + tcp *:22',
  ]);
  expect(changes(before, {})).toEqual(['files: - /a f 600', 'files: - /b f 644', 'ports: - tcp *:22']);
});

test('the shape of a host leaves out times, ids and how often a file was saved, and nothing else', () => {
  const state = (time: string, id: string, ...more: string[]) => ({
    files: [`/etc/CS.cfg.bak.${time} f 660`, '/etc/x f 600', ...more],
    token: [`Private Key Object | label: x | ID:         ${id}`],
    contents: [`${id} /etc/x`],
  });
  const one = shapeOf(state('20260101000000', 'a'.repeat(40)));
  const saved = '/etc/CS.cfg.bak.20260303000000 f 660';
  expect(shapeOf(state('20260202000000', 'b'.repeat(40), saved))).toEqual(one);
  expect(changes(one, shapeOf(state('20260202000000', 'b'.repeat(40), '/etc/y f 600')))).toEqual([
    'files: + /etc/y f 600',
  ]);
  const twice = state('20260101000000', 'a'.repeat(40));
  expect(changes(one, shapeOf({ ...twice, token: [...twice.token, ...twice.token] }))).toHaveLength(1);
});
