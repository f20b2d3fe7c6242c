/** What this host is: releases, services, room, time, names; for a support bundle. */
import { type Evidence, fileEvidence, outputEvidence } from './evidence.ts';
import { platform } from './platform.ts';

/** Lines of the system's journal that are kept of each service. */
const JOURNAL_LINES = 5000;
/** Lines of the kernel's own warnings: a full memory, a failing disk. */
const KERNEL_LINES = 500;

/**
 * What systemd knows of services: their state, how they are set up, and what they wrote.
 * @param patterns names of units, or patterns of them as systemctl(1) takes them
 */
export function serviceEvidence(patterns: readonly string[]): Evidence[] {
  const journals = patterns.map((pattern) =>
    outputEvidence(
      `systemd/journal/${pattern.replaceAll('*', 'all')}.log`,
      `the last ${JOURNAL_LINES} lines that ${pattern} wrote to the journal`,
      [
        ...(['journalctl', '--no-pager', '--output=short-iso-precise'] as const),
        `--lines=${JOURNAL_LINES}`,
        `--unit=${pattern}`,
      ],
    ),
  );
  return [
    ...journals,
    outputEvidence('systemd/units.txt', 'the state of the services', [
      ...(['systemctl', '--no-pager', '--full', '--all', 'list-units'] as const),
      ...patterns,
    ]),
    outputEvidence('systemd/unit-files.txt', 'which services start at boot', [
      ...(['systemctl', '--no-pager', '--full', 'list-unit-files'] as const),
      ...patterns,
    ]),
    outputEvidence('systemd/status.txt', 'processes and last words of the services', [
      ...(['systemctl', '--no-pager', '--full', '--all', '--lines=20', 'status'] as const),
      ...patterns,
    ]),
    outputEvidence('systemd/failed.txt', 'every unit of this host that failed', [
      ...(['systemctl', '--no-pager', '--full', '--failed', 'list-units'] as const),
    ]),
    outputEvidence('systemd/kernel.log', `the last ${KERNEL_LINES} warnings of the kernel since the boot`, [
      ...(['journalctl', '--no-pager', '--dmesg', '--priority=warning'] as const),
      `--lines=${KERNEL_LINES}`,
    ]),
  ];
}

/** How units are set up, with their drop-ins (systemctl(1), `cat`). */
export function unitEvidence(units: readonly string[]): Evidence {
  return outputEvidence(
    'systemd/units.conf',
    'the unit files with their drop-ins',
    ['systemctl', '--no-pager', 'cat', ...units],
    'fields',
  );
}

/** The host itself. Of processes the names alone: arguments and environments are other people's business. */
export function systemEvidence(): Evidence[] {
  const packages: [string, ...string[]] =
    platform().family === 'debian' ? ['dpkg-query', '--list'] : ['rpm', '--all', '--query'];
  return [
    outputEvidence('host/packages.txt', 'every installed package and its release', packages),
    fileEvidence('host/os-release', 'the distribution', '/etc/os-release', { follow: true }),
    outputEvidence('host/uname.txt', 'the kernel', ['uname', '--all']),
    outputEvidence('host/java.txt', "the release of Java, Dogtag's runtime", ['java', '-version']),
    outputEvidence('host/openssl.txt', 'the release of OpenSSL', ['openssl', 'version', '-a']),
    ...addressEvidence(),
    outputEvidence('host/disk.txt', 'free room', ['df', '--print-type', '--human-readable']),
    outputEvidence('host/inodes.txt', 'free inodes', ['df', '--inodes']),
    fileEvidence('host/mounts', 'what is mounted', '/proc/mounts', { follow: true }),
    fileEvidence('host/meminfo', 'memory', '/proc/meminfo'),
    fileEvidence('host/loadavg', 'load', '/proc/loadavg'),
    fileEvidence('host/cpuinfo', 'processors', '/proc/cpuinfo'),
    outputEvidence('host/processes.txt', 'processes: names, users, memory, time', [
      ...(['ps', '-e', '-o', 'pid,ppid,user:20,stat,lstart,time,rss,wchan:20,comm'] as const),
    ]),
    outputEvidence('host/clock.txt', 'the clock and its synchronisation', ['timedatectl', 'status']),
    outputEvidence('host/date.txt', 'the time', ['date', '--iso-8601=ns']),
    fileEvidence('host/uptime', 'seconds since the boot', '/proc/uptime'),
    fileEvidence('host/fips', 'whether the kernel is in FIPS mode', '/proc/sys/crypto/fips_enabled'),
    outputEvidence('host/selinux.txt', 'whether SELinux enforces', ['getenforce']),
  ];
}

function addressEvidence(): Evidence[] {
  return [
    outputEvidence('host/hostname.txt', 'the full name of this host', ['hostname', '--fqdn']),
    fileEvidence('host/hosts', 'names in /etc/hosts', '/etc/hosts', { follow: true }),
    fileEvidence('host/resolv.conf', 'the resolver', '/etc/resolv.conf', { follow: true }),
    fileEvidence('host/nsswitch.conf', 'where names are looked up', '/etc/nsswitch.conf', { follow: true }),
    outputEvidence('host/addresses.txt', 'network addresses', ['ip', '-brief', 'address']),
    outputEvidence('host/listening.txt', 'who listens on which port', [
      ...(['ss', '--listening', '--tcp', '--numeric', '--processes'] as const),
    ]),
  ];
}
