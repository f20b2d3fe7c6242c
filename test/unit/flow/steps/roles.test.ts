/** Taking back what a directory recorded, where the directory is gone. */
import { expect, test } from 'vitest';
import { caRole, kraRole, serverRecord } from '../../../../src/flow/steps/roles.ts';
import { openHost } from '../../../../src/host/host.ts';

const SITE = {
  realm: 'NOWHERE.TEST',
  domain: 'nowhere.test',
  hostname: 'ca1.nowhere.test',
  caSubject: 'CN=Certificate Authority,O=NOWHERE.TEST',
  subjectBase: 'O=NOWHERE.TEST',
  keySize: 3072,
  token: { label: 'none', library: '/nowhere.so' },
} as unknown as Parameters<typeof caRole>[1];

test.each([
  ['server', serverRecord],
  ['CA', caRole],
  ['KRA', kraRole],
])('the record of a %s goes with a directory that does not run any more', async (_, step) => {
  const lines: string[] = [];
  const report = { line: (text: string) => void lines.push(text), remember: async () => {}, facts: {} };
  const { undo, apply } = step(openHost(), SITE);
  await undo(report);
  expect(lines).toEqual([expect.stringContaining('NOWHERE-TEST')]);
  // To be recorded, it must run.
  await expect(apply(report)).rejects.toThrow();
});
