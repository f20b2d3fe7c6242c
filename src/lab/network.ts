import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { pathExists } from '../host/files.ts';
import type { Host } from '../host/host.ts';
import { withLock } from '../host/lock.ts';
import { addressOf, bridgeNamespace, machineName } from './names.ts';
import type { LabHost } from './state.ts';

/** Where ip-netns(8) keeps the named namespaces. */
const NAMESPACES = '/run/netns';
const BRIDGE = 'br0';

/** The path of a machine's network namespace. */
export function namespacePath(machine: string): string {
  return join(NAMESPACES, machine);
}

/** Makes the lab's own bridge, in a network namespace that has no other way in or out. */
export async function ensureBridge(host: Host, lab: string): Promise<void> {
  const namespace = bridgeNamespace(lab);
  await ensureNamespace(host, namespace);
  const shown = await host.run('ip', ['-n', namespace, '-o', 'link', 'show', BRIDGE], { accept: [0, 1] });
  if (shown.exitCode !== 0) await host.run('ip', ['-n', namespace, 'link', 'add', BRIDGE, 'type', 'bridge']);
  await host.run('ip', ['-n', namespace, 'link', 'set', BRIDGE, 'up']);
}

/** Gives a host its network namespace, with one interface on the lab's bridge; there is no route elsewhere. */
export async function ensureAttached(host: Host, lab: string, { name, octet }: LabHost): Promise<void> {
  const bridge = bridgeNamespace(lab);
  const machine = machineName(lab, name);
  await ensureNamespace(host, machine);
  const shown = await host.run('ip', ['-n', machine, '-o', 'addr', 'show', 'eth0'], { accept: [0, 1] });
  if (shown.stdout.includes(` ${addressOf(octet)}/`)) return;
  // An interface name has at most 15 characters, a host's name may have as many: the address tells it apart.
  const port = `port${octet}`;
  await host.run('ip', ['-n', bridge, 'link', 'delete', port], { accept: [0, 1] });
  const pair = ['type', 'veth', 'peer', 'name', 'eth0', 'netns', machine];
  await host.run('ip', ['link', 'add', port, 'netns', bridge, ...pair]);
  await host.run('ip', ['-n', bridge, 'link', 'set', port, 'master', BRIDGE, 'up']);
  await host.run('ip', ['-n', machine, 'addr', 'add', `${addressOf(octet)}/24`, 'dev', 'eth0']);
  await host.run('ip', ['-n', machine, 'link', 'set', 'eth0', 'up']);
}

async function ensureNamespace(host: Host, name: string): Promise<void> {
  // ip-netns prepares /run/netns at its first use and fails when two of it do so at once.
  await withLock(NAMESPACES, async () => {
    if (!(await pathExists(namespacePath(name)))) await host.run('ip', ['netns', 'add', name]);
  });
  await host.run('ip', ['-n', name, 'link', 'set', 'lo', 'up']);
}

/** Removes a namespace and the interfaces in it, if it is there. */
export async function removeNamespace(host: Host, name: string): Promise<void> {
  await withLock(NAMESPACES, async () => {
    if (await pathExists(namespacePath(name))) await host.run('ip', ['netns', 'delete', name]);
  });
}

/** The network namespaces of a lab that exist now: the bridge's and the hosts'. */
export async function labNamespaces(lab: string): Promise<string[]> {
  const bridge = bridgeNamespace(lab);
  const names = await readdir(NAMESPACES).catch(() => []);
  return names.filter((name) => name === bridge || name.startsWith(`${bridge}.`));
}

/** Takes back what ip-netns mounted at its first use, when no namespace needs it any more. */
export async function removeEmptyNamespaceFolder(host: Host): Promise<void> {
  await withLock(NAMESPACES, async () => {
    const names = await readdir(NAMESPACES).catch(() => undefined);
    if (names?.length === 0) await host.run('umount', [NAMESPACES], { accept: [0, 1, 32] });
  });
}
