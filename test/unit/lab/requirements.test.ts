import { afterEach, expect, test, vi } from 'vitest';
import { type Host, openHost } from '../../../src/host/host.ts';
import { labList } from '../../../src/lab/lab.ts';
import { becomeLabRoot, requireTools } from '../../../src/lab/requirements.ts';

afterEach(() => vi.restoreAllMocks());

/** A machine on which the shell finds no program. */
const bare: Host = {
  ...openHost(),
  run: async () => ({ exitCode: 127, stdout: '', stderr: '', seconds: 0 }),
};

test('others than root are told so, also by what only looks', async () => {
  vi.spyOn(process, 'geteuid').mockReturnValue(1000);
  expect(() => becomeLabRoot()).toThrow(expect.objectContaining({ code: 'not-root', exit: 2 }));
  await expect(labList()).rejects.toMatchObject({ code: 'not-root' });
});

test('all missing programs are reported together, each with its package', async () => {
  vi.spyOn(process, 'geteuid').mockReturnValue(0);
  vi.spyOn(process, 'umask').mockReturnValue(0o022);
  const error = await requireTools(bare).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ code: 'preflight-failed', exit: 2 });
  const { failures } = error as { failures: { code: string; message: string; next: string }[] };
  const missing = failures.filter(({ code }) => code === 'program-missing');
  expect(missing.map(({ message }) => message.split(' ')[0])).toEqual([
    'mmdebstrap',
    'systemd-nspawn',
    'bindfs',
    'ip',
    'nsenter',
    'unshare',
  ]);
  expect(missing[1]?.next).toBe('Install it with: apt install systemd-container');
});
