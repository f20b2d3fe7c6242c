import { expect, test } from 'vitest';
import { hostsFile } from '../../../src/lab/host-files.ts';

test('every host of the lab is in /etc/hosts with its full name first, and nobody else', () => {
  const text = hostsFile([
    { name: 'ca1', octet: 11, ready: true },
    { name: 'ca2', octet: 12, ready: false },
  ]);
  expect(text.split('\n')).toEqual([
    '127.0.0.1 localhost',
    '::1 localhost ip6-localhost',
    '10.77.0.11 ca1.example.test ca1',
    '10.77.0.12 ca2.example.test ca2',
    '',
  ]);
});
