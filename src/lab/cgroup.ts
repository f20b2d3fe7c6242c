import { mkdir, readdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

/** The mount points of all cgroup hierarchies: every v1 controller and the unified tree, or that tree alone. */
export function cgroupMounts(mountinfo: string): string[] {
  return mountinfo.split('\n').flatMap((line) => {
    // proc_pid_mountinfo(5): the optional fields end with a hyphen; the file system's type follows.
    const [mount, source] = line.split(' - ');
    const path = mount?.split(' ')[4];
    const type = source?.split(' ')[0];
    return path && (type === 'cgroup' || type === 'cgroup2') ? [path] : [];
  });
}

/** The cgroups of a machine, one in each hierarchy. */
async function cgroupsOf(machine: string): Promise<string[]> {
  const mounts = cgroupMounts(await readFile('/proc/self/mountinfo', 'utf8'));
  return mounts.map((mount) => join(mount, machine));
}

/**
 * Makes a cgroup for a machine in every hierarchy, so that the systemd in it shares none with another.
 * @returns the files that a process joins them through
 */
export async function makeCgroups(machine: string): Promise<string[]> {
  const folders = await cgroupsOf(machine);
  for (const folder of folders) {
    await mkdir(folder, { recursive: true });
    // A new v1 cpuset is empty and takes no process before it has the parent's processors and memory nodes.
    for (const file of ['cpuset.cpus', 'cpuset.mems']) {
      const inherited = await readFile(join(folder, '..', file), 'utf8').catch(() => '');
      if (inherited.trim()) await writeFile(join(folder, file), inherited).catch(() => {});
    }
  }
  return folders.map((folder) => join(folder, 'cgroup.procs'));
}

/** The ids of all processes in a machine's cgroups, at any depth. */
export async function cgroupProcesses(machine: string): Promise<number[]> {
  const found = new Set<number>();
  for (const cgroup of await cgroupsOf(machine)) {
    for (const folder of await tree(cgroup)) {
      const text = await readFile(join(folder, 'cgroup.procs'), 'utf8').catch(() => '');
      for (const id of text.split('\n').filter(Boolean)) found.add(Number(id));
    }
  }
  return [...found];
}

/**
 * Removes a machine's cgroups; a process that is just ending keeps one for a moment.
 * @returns the cgroups that could not be removed
 */
export async function removeCgroups(machine: string): Promise<string[]> {
  let left: string[] = [];
  for (let attempt = 0; attempt < 25; attempt++) {
    left = [];
    for (const cgroup of await cgroupsOf(machine)) {
      for (const folder of (await tree(cgroup)).reverse()) {
        await rmdir(folder).catch((error: NodeJS.ErrnoException) => {
          if (error.code !== 'ENOENT') left.push(folder);
        });
      }
    }
    if (left.length === 0) break;
    await pause(200);
  }
  return left;
}

/** A cgroup and all below it, parents first. */
async function tree(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => undefined);
  if (!entries) return [];
  const children = entries.filter((entry) => entry.isDirectory()).map(({ name }) => join(folder, name));
  return [folder, ...(await Promise.all(children.map(tree))).flat()];
}
