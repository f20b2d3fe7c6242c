import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Host } from '../host/host.ts';
import { becomeLabRoot } from './requirements.ts';
import { OWN_NAMESPACES, rootFilesystem } from './root.ts';
import { CACHE_FOLDER, TOOLCHAIN_ROOT } from './settings.ts';

/** Seconds that one call may take. */
const DEADLINE = 900;

/**
 * Runs in mount, process and network namespaces that end with it. Arguments: the cached root, an empty folder,
 * the folder to work in, the program. Nothing is written to the root: an overlay in memory takes it.
 */
const INSIDE = `
set -e
root=$1 scratch=$2 folder=$3
shift 3
mount -t tmpfs tmpfs "$scratch"
mkdir "$scratch/upper" "$scratch/work" "$scratch/root"
mount -t overlay overlay -o "lowerdir=$root,upperdir=$scratch/upper,workdir=$scratch/work" "$scratch/root"
mkdir -p "$scratch/root/build"
mount --bind "$folder" "$scratch/root/build"
mount -t proc proc "$scratch/root/proc"
mount --rbind /dev "$scratch/root/dev"
exec chroot "$scratch/root" /usr/bin/env -i PATH=/usr/local/bin:/usr/bin:/bin HOME=/tmp LANG=C.UTF-8 \\
  /bin/sh -c 'cd /build && exec "$@"' sh "$@"
`;

/**
 * Runs a program on Debian 11 with gcc, g++, make and python3, without a network: what it links asks for
 * glibc 2.31 or older, and so loads on every supported host.
 * @param folder bind-mounted at /build, which is the working directory
 * @param args the program and its arguments
 * @param onLine told what the image's build and the program write
 * @throws CapstanError `not-root`, `command-failed`, `command-deadline`, and those of {@link rootFilesystem}
 */
export async function toolchainRun(
  host: Host,
  folder: string,
  args: readonly string[],
  onLine: (line: string) => void = () => {},
): Promise<void> {
  becomeLabRoot();
  const root = await rootFilesystem(host, TOOLCHAIN_ROOT, onLine);
  const scratch = join(CACHE_FOLDER, 'scratch');
  await mkdir(scratch, { recursive: true });
  const call = [...OWN_NAMESPACES, '--net', 'sh', '-c', INSIDE, 'toolchain', root, scratch, folder, ...args];
  await host.run('setpriv', call, { deadline: DEADLINE, onLine });
}
