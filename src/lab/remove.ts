import { readFile } from 'node:fs/promises';
import { failure } from '../errors.ts';
import type { Host } from '../host/host.ts';

/** The mount points at or below a folder, in the words of /proc/self/mountinfo (proc_pid_mountinfo(5)). */
export function mountPointsIn(mountinfo: string, folder: string): string[] {
  return mountinfo
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '')
    .map((path) => path.replace(/\\([0-7]{3})/g, (_, code) => String.fromCharCode(Number.parseInt(code, 8))))
    .filter((path) => path === folder || path.startsWith(`${folder}/`));
}

/**
 * Removes folders with all in them, but never through a mount: where something is mounted, nothing is removed.
 * @throws CapstanError `folder-mounted`, `command-failed`, `command-deadline`
 */
export async function removeFolders(host: Host, folders: readonly string[]): Promise<void> {
  const mountinfo = await readFile('/proc/self/mountinfo', 'utf8');
  const [mounted] = folders.flatMap((folder) => mountPointsIn(mountinfo, folder));
  if (mounted) {
    throw failure('folder-mounted', `${mounted} is still mounted.`, `Unmount it with: umount ${mounted}`);
  }
  if (folders.length > 0) await host.run('rm', ['-rf', '--one-file-system', ...folders], { deadline: 600 });
}
