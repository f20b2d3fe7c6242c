/**
 * What a host is made of, looked at from inside with the system's own tools: everything that an installation changes
 * and that its undo must put back.
 */

/** Runs a shell script in a host and gives what it prints. */
export type HostShell = (script: string) => Promise<string>;

/** What is on a host, by kind: sorted lines that can be compared. */
export type HostState = Readonly<Record<string, readonly string[]>>;

/**
 * Logs, what belongs to the kernel and to systemd, and what the tests put there themselves. systemd's timers and
 * logrotate's memory change by themselves, and so does the list of who is logged in. Left out by their names are
 * services' private folders, what any Java leaves in /tmp (hsperfdata_*), and libfaketime's shared memory.
 */
const NOT_LOOKED_AT = [
  ...['/proc', '/sys', '/dev', '/var/log', '/run/log', '/run/systemd', '/run/udev', '/run/faults'],
  ...['/var/lib/systemd', '/var/lib/apt', '/var/lib/logrotate', '/run/utmp'],
];

/** The packages' own files: compared by size and time, for they are many. */
const PACKAGES = ['/usr', '/opt'];

/** Folders whose content changes with every start of a service (process ids, caches), or is the tests' own. */
const CONTENT_CHANGES = ['/run', '/tmp', '/var/tmp', '/dev/shm', '/etc/capstan/lab', '/var/cache'];

function prune(paths: readonly string[]): string {
  const names = paths.map((path) => `-path ${path}`).join(' -o ');
  return `\\( ${names} -o -name 'systemd-private-*' -o -name 'hsperfdata_*' -o -name '*faketime_*' \\) -prune -o`;
}

/** A shell script for each kind of thing. `$pin`, `$module` and `$label` are the token's, `$mounts` further file systems. */
const LOOKS: Readonly<Record<string, string>> = {
  files: `find / $mounts -xdev ${prune(NOT_LOOKED_AT)} -printf '%p %y %m %u:%g %l\\n'`,
  packages: `find ${PACKAGES.join(' ')} -xdev -type f -printf '%p %s %T@\\n'`,
  contents: `find / $mounts -xdev ${prune([...NOT_LOOKED_AT, ...PACKAGES, ...CONTENT_CHANGES])} -type f -print0 | xargs -0 sha256sum`,
  users: 'getent passwd; getent group; getent shadow | cut -d: -f1,3-',
  units: 'systemctl list-unit-files --no-legend --no-pager | tr -s " "',
  'failed units': 'systemctl list-units --failed --no-legend --plain --no-pager | cut -d" " -f1',
  ports: `ss -Hltnu | awk '{print $1, $5}'`,
  certmonger: "getcert list | grep -v '^Number of'; getcert list-cas | grep '^CA '",
  token:
    'pkcs11-tool --module "$module" --token-label "$label" --login --pin "$pin" --list-objects 2>/dev/null',
  processes: `ps -eo user:20=,comm= | tr -s ' ' | grep -vE ' (ps|bash|tr|grep|timeout|systemd-timedat|systemd-hostnam)$'`,
  'processes of Capstan': `grep -laz '^CAPSTAN_RUN=' /proc/[0-9]*/environ 2>/dev/null | while read -r file; do tr '\\0' ' ' < "$(dirname $file)/cmdline"; echo; done`,
};

const SETTING = `
module=$(cat /etc/capstan/lab/library-path)
label=$(cat /etc/capstan/lab/token-name)
pin=$(cat /etc/capstan/lab/token-password)
mounts=$(findmnt --raw --noheadings --output TARGET | grep -E '^(/run|/tmp|/dev/shm|/(var|etc)/.*)$' | grep -vE 'softhsm|^/var/log/')
export LC_ALL=C
`;

/** Looks at everything. @param kinds only some of it: `files`, `token`... */
export async function hostState(
  shell: HostShell,
  kinds: readonly string[] = Object.keys(LOOKS),
): Promise<HostState> {
  const found: Record<string, string[]> = {};
  for (const kind of kinds) {
    const text = await shell(`${SETTING}{ ${LOOKS[kind]}; } || true`);
    // Indented lines belong to the one before them.
    found[kind] = text.replaceAll(/\n\s+/g, ' | ').split('\n').filter(Boolean).toSorted();
  }
  return found;
}

/** What two looks at a host differ in, a line each: `files: + /etc/x f 600 root:root`. Empty when they are equal. */
export function changes(before: HostState, after: HostState): string[] {
  return Object.keys(before).flatMap((kind) => {
    const [then = [], now = []] = [before[kind], after[kind]];
    return [
      ...surplus(then, now).map((line) => `${kind}: - ${line}`),
      ...surplus(now, then).map((line) => `${kind}: + ${line}`),
    ];
  });
}

/** The lines of `one` that `other` does not have as often. */
function surplus(one: readonly string[], other: readonly string[]): string[] {
  const counts = new Map<string, number>();
  for (const line of other) counts.set(line, (counts.get(line) ?? 0) + 1);
  return one.filter((line) => {
    const left = counts.get(line) ?? 0;
    counts.set(line, left - 1);
    return left <= 0;
  });
}

/** Parts of lines that differ between two installations of the same kind, and what stands for them. */
const VARYING: readonly (readonly [RegExp, string])[] = [
  [/20\d{12}(-\d+)?/g, 'TIME'],
  [/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC/g, 'TIME'],
  [/ID: +[0-9a-f]{40}/g, 'ID'],
  // dscreate's own certificate has a subject of its own on every host, and OpenSSL's link its hash.
  [/\/[0-9a-f]{8}\.0 l/g, '/HASH.0 l'],
  [/(\/log\.|__db\.)\d+/g, '$1N'],
];

/**
 * What two installations of the same kind have in common: the kinds that do not depend on keys and times, each line
 * once, with what varies left out.
 */
export function shapeOf(state: HostState): HostState {
  const kinds = Object.entries(state).filter(([kind]) => !['packages', 'contents'].includes(kind));
  const shape = (line: string) => VARYING.reduce((text, [from, to]) => text.replaceAll(from, to), line);
  // How often a file was rotated or saved is no difference; how many objects are on the token is.
  const once = (kind: string, lines: string[]) => (kind === 'files' ? [...new Set(lines)] : lines);
  return Object.fromEntries(kinds.map(([kind, lines]) => [kind, once(kind, lines.map(shape)).toSorted()]));
}
