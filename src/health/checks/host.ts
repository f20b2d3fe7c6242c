import { X509Certificate } from 'node:crypto';
import { type Fault, type HealthCheck, judgement } from '../check.ts';
import type { DiskFacts } from '../facts.ts';

const MIB = 1024 * 1024;
/** Bytes below which a file system counts as full: 389-ds stops to write long before the last one (nsslapd-disk-monitoring-threshold is 2 MiB). */
const FULL = 8 * MIB;
/** Bytes below which the databases and logs soon have no room. */
const LOW = 512 * MIB;
/** Bytes of memory below which the kernel soon ends a process, Tomcat first, which is the largest. */
const LITTLE_MEMORY = 64 * MIB;

/** The host: room, memory, clock, name, releases. */
export const HOST_CHECKS: readonly HealthCheck[] = [
  judgement({
    code: 'disk-full',
    area: 'host',
    severity: 'CRITICAL',
    holds: 'No file system that the server writes to is full.',
    remedy:
      'Make room there: "df -h" and "df -i" show how much. Then "capstan restart" brings back what stopped.',
    needs: ['room'],
    look: ({ room }) => room.filter(isFull).map((disk) => ({ key: disk.folder, message: fullness(disk) })),
  }),
  judgement({
    code: 'disk-low',
    area: 'host',
    severity: 'WARNING',
    holds: `Where data and logs grow, ${LOW / MIB} MiB or more are free.`,
    remedy: 'Make room, or enlarge the file system.',
    needs: ['room'],
    look: ({ room }) =>
      room
        .filter((disk) => disk.growing && disk.bytes < LOW && !isFull(disk))
        .map((disk) => ({ key: disk.folder, message: fullness(disk) })),
  }),
  judgement({
    code: 'memory-low',
    area: 'host',
    severity: 'WARNING',
    holds: `At least ${LITTLE_MEMORY / MIB} MiB of memory are free.`,
    remedy: 'Give the host more memory, or end what else runs on it.',
    needs: ['memory'],
    look: ({ memory }) =>
      memory >= LITTLE_MEMORY
        ? []
        : [{ message: `Only ${Math.floor(memory / MIB)} MiB of memory are left on this host.` }],
  }),
  judgement({
    code: 'clock-wrong',
    area: 'host',
    severity: 'CRITICAL',
    holds: 'The clock says no time before this program, or the CA, was made.',
    remedy: 'Set the clock, best from a time server, and restart the server.',
    needs: ['clock', 'caFile'],
    look: ({ clock, caFile }) => {
      const since = new X509Certificate(caFile).validFromDate;
      const time = clock.now.toISOString();
      if (clock.now < since)
        return [
          {
            message: `The clock says ${time}, before the CA's certificate is valid (${since.toISOString()}).`,
          },
        ];
      return clock.beforeProgram
        ? [{ message: `The clock says ${time}, which is before this version of Capstan was made.` }]
        : [];
    },
  }),
  judgement({
    code: 'clock-unsynchronised',
    area: 'host',
    severity: 'WARNING',
    holds: 'The clock follows a time server.',
    remedy:
      'Set up chrony or systemd-timesyncd: replication and certificates need the same time on all servers.',
    needs: ['clock'],
    look: ({ clock }) =>
      clock.synchronised
        ? []
        : [{ message: 'The clock of this host is not synchronised with a time server.' }],
  }),
  {
    code: 'hostname-wrong',
    area: 'host',
    severity: 'ERROR',
    holds: 'The name of the server resolves to an address of this host that others can reach.',
    remedy: 'Correct the DNS or /etc/hosts.',
    gate: 'names',
  },
  judgement({
    code: 'release-unsupported',
    area: 'host',
    severity: 'ERROR',
    holds: 'Dogtag, 389 Directory Server and certmonger are releases that Capstan works with.',
    remedy: 'Install a release that is supported.',
    needs: ['releases'],
    look: ({ releases }) =>
      releases.flatMap(({ program, problem }): Fault[] =>
        problem === undefined ? [] : [{ key: program, message: problem }],
      ),
  }),
];

function isFull({ bytes, files, growing }: DiskFacts): boolean {
  return bytes < (growing ? FULL : MIB) || files === 0;
}

function fullness({ folder, bytes, files }: DiskFacts): string {
  const left = files === 0 ? 'no inode' : `${Math.floor(bytes / MIB)} MiB`;
  return `The file system of ${folder} has ${left} left.`;
}
