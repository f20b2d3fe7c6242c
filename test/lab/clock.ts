/** The clock of a lab's hosts, moved ahead; see clock.c. */
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { copyFile, rename } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { labRootPath } from '../../src/lab/lab.ts';
import { toolchainRun } from '../../src/lab/toolchain.ts';
import { LAB, machine, sh } from './support.ts';

const LIBRARY = '/usr/local/lib/lab-clock.so';
const DAEMONS = [
  'capstan-renewal.timer',
  'capstan-feed-keeper',
  'certmonger',
  'pki-tomcatd@pki-tomcat',
  'dirsrv@EXAMPLE-TEST',
];

/** Has servers wake up days later: their daemons are stopped, the clock is moved, and they are started again. */
export async function sleepDays(hosts: readonly string[], days: number): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'capstan-clock-'));
  try {
    copyFileSync(fileURLToPath(new URL('clock.c', import.meta.url)), join(folder, 'clock.c'));
    await toolchainRun(machine, folder, [
      ...[
        'gcc',
        '-shared',
        '-fPIC',
        '-O2',
        '-Wall',
        '-Werror',
        '-o',
        'clock.so',
        'clock.c',
        '-ldl',
        '-lpthread',
      ],
    ]);
    for (const host of hosts) {
      const library = `${await labRootPath(LAB, host)}${LIBRARY}`;
      // Programs that run since an earlier sleep have the old file open.
      await copyFile(join(folder, 'clock.so'), `${library}.new`);
      await rename(`${library}.new`, library);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  await Promise.all(hosts.map((host) => sh(host, `systemctl stop ${DAEMONS.join(' ')}`, { deadline: 300 })));
  for (const host of hosts) {
    await sh(host, `echo ${days * 86_400} > /etc/lab-clock; echo ${LIBRARY} > /etc/ld.so.preload`);
  }
  const start = (host: string) =>
    sh(host, `systemctl start ${DAEMONS.toReversed().join(' ')}`, { deadline: 600 });
  await Promise.all(hosts.map(start));
}
