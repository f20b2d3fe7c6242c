import { chmod, mkdir, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { findMachine } from './machine.ts';
import { addressOf, fqdn, hostPlace } from './names.ts';
import type { LabHost, LabState } from './state.ts';
import { writeValues } from './values.ts';

/** The /etc/hosts of every host: the lab's only name service. */
export function hostsFile(hosts: readonly LabHost[]): string {
  const lines = hosts.map(({ name, octet }) => `${addressOf(octet)} ${fqdn(name)} ${name}`);
  return ['127.0.0.1 localhost', '::1 localhost ip6-localhost', ...lines, ''].join('\n');
}

/**
 * The folder below which a host's files can be written: its root while it runs, its upper layer while it is off
 * (an overlay's layers must not be written to while it is mounted).
 */
async function writableRoot(lab: string, name: string): Promise<string> {
  const machine = await findMachine(lab, name);
  return machine ? `/proc/${machine.leader}/root` : hostPlace(lab, name).upper;
}

/** Writes what a new host must have before it first boots: its name, no name server, and the lab's values. */
export async function prepareHost(state: LabState, name: string): Promise<void> {
  const { upper } = hostPlace(state.name, name);
  await mkdir(upper, { recursive: true });
  await chmod(upper, 0o755);
  await putFile(join(upper, 'etc/hostname'), `${fqdn(name)}\n`);
  await putFile(join(upper, 'etc/resolv.conf'), '');
  await putFile(join(upper, 'etc/hosts'), hostsFile(state.hosts));
  await writeValues(state, upper);
}

/** Makes every host of the lab know all others. */
export async function writeHostsFiles(state: LabState): Promise<void> {
  const text = hostsFile(state.hosts);
  for (const { name } of state.hosts)
    await putFile(join(await writableRoot(state.name, name), 'etc/hosts'), text);
}

/** Replaces a file as a whole, and makes the folders above it. */
export async function putFile(path: string, text: string, mode = 0o644): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o755 });
  await writeFile(`${path}.new`, text, { mode });
  await chmod(`${path}.new`, mode);
  await rename(`${path}.new`, path);
}
