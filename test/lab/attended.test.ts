/** A person at a terminal: interrupts an installation, keeps it, is asked the next day, and takes it back. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { freshLab, installOptions, removeLab, sh, VALUES } from './support.ts';
import { inTerminal } from './terminal.ts';

const CTRL_C = '\u0003';

let before: string;

beforeAll(async () => {
  await freshLab({ hosts: ['ca1'] });
  before = await remains();
});
afterAll(removeLab);

/** What an installation makes first. */
function remains(): Promise<string> {
  return sh(
    'ca1',
    'ls -d /var/lib/capstan/* /etc/dirsrv/slapd-* /var/lib/pki/* /etc/pki/nssdb /run/capstan-* 2>/dev/null || true',
  );
}

test('Ctrl+C ends the step that runs, and a person may keep what was done', async () => {
  const command = ['capstan', 'server-install', ...(await installOptions())];
  const { output, exit, echo, canonical } = await inTerminal('ca1', command, [
    // pkispawn has come to the schema by then.
    ['Adding attributetypes', CTRL_C],
    ['Type undo or keep', 'perhaps\r'],
    ['Type undo or keep.', '\u0015keep\r'],
  ]);
  expect({ exit, echo, canonical }).toEqual({ exit: 130, echo: true, canonical: true });
  expect(output).toContain('Done so far: Make the system NSS database');
  expect(output).toContain('Would be taken back: Create the certificate authority');
  expect(output).toContain('--resume');
  const journal = JSON.parse(await sh('ca1', 'cat /var/lib/capstan/server.json'));
  expect(journal.failure).toMatchObject({ step: 'certificate-authority', code: 'command-interrupted' });
  expect(await sh('ca1', 'pgrep -lx "dscreate|pkispawn" || true')).toBe('');
});

test('the next run says what happened, asks, and takes it back when told so', async () => {
  const command = ['capstan', 'server-install', '--token-password-file', `${VALUES}/token-password`];
  const { output, exit, echo, canonical } = await inTerminal('ca1', command, [
    ['Type resume or undo', 'undo\r'],
  ]);
  expect({ exit, echo, canonical }).toEqual({ exit: 0, echo: true, canonical: true });
  expect(output.replaceAll(/\s+/g, ' ')).toContain('did not come to its end. It began at');
  expect(output).toContain('was removed from this host');
  expect(await remains()).toBe(before);
});
