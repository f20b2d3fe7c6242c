import { access } from 'node:fs/promises';
import { platform } from 'node:os';
import { type CapstanError, PreflightError, refusal } from '../errors.ts';
import type { Host } from '../host/host.ts';

/** The programs a lab is made with, and the Debian package of each. */
const PROGRAMS: Readonly<Record<string, string>> = {
  mmdebstrap: 'mmdebstrap',
  'systemd-nspawn': 'systemd-container',
  bindfs: 'bindfs',
  ip: 'iproute2',
  nsenter: 'util-linux',
  unshare: 'util-linux',
};

/**
 * Refuses where a lab cannot be: not Linux, or not root. What this process makes from then on can be read by the
 * hosts' other users, whatever the caller's umask: with 077 pkiuser could not enter a host's /etc.
 * @throws CapstanError `not-linux`, `not-root`
 */
export function becomeLabRoot(): void {
  if (platform() !== 'linux') {
    throw refusal(
      'not-linux',
      `A lab needs Linux; this machine runs ${platform()}.`,
      'Use a Debian machine.',
    );
  }
  if (process.geteuid?.() !== 0) {
    throw refusal(
      'not-root',
      'Labs and images are mounts and namespaces of this machine, which only root may make.',
      'Run the command with sudo.',
    );
  }
  process.umask(0o022);
}

/**
 * Refuses a machine that lacks something a lab is made with, all of it together.
 * @throws PreflightError with `program-missing` and `fuse-missing`
 */
export async function requireTools(host: Host): Promise<void> {
  becomeLabRoot();
  const failures: CapstanError[] = [];
  for (const [program, aptPackage] of Object.entries(PROGRAMS)) {
    const { exitCode } = await host.run('sh', ['-c', 'command -v "$1"', 'sh', program], {
      accept: [0, 1, 127],
    });
    if (exitCode !== 0) {
      failures.push(
        refusal(
          'program-missing',
          `${program} is not installed.`,
          `Install it with: apt install ${aptPackage}`,
        ),
      );
    }
  }
  await access('/dev/fuse').catch(() => {
    failures.push(
      refusal(
        'fuse-missing',
        'There is no /dev/fuse, which bindfs needs to show the token to the hosts.',
        'Load the kernel module with: modprobe fuse',
      ),
    );
  });
  if (failures.length > 0) throw new PreflightError(failures);
}
