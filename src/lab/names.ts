import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { refusal } from '../errors.ts';
import { DOMAIN, STATE_FOLDER, SUBNET } from './settings.ts';

/**
 * Refuses a lab name that cannot be part of namespace, cgroup and folder names.
 * @throws CapstanError `bad-lab-name`
 */
export function requireLabName(name: string): string {
  if (/^[a-z][a-z0-9-]{0,10}$/.test(name)) return name;
  throw refusal(
    'bad-lab-name',
    `The lab's name '${name}' cannot be used.`,
    'Use 1 to 11 lower-case letters, digits and hyphens, with a letter first.',
  );
}

/**
 * Refuses a host name that is no short host name.
 * @throws CapstanError `bad-host-name`
 */
export function requireHostName(name: string): string {
  if (/^[a-z][a-z0-9]{0,14}$/.test(name)) return name;
  throw refusal(
    'bad-host-name',
    `The host name '${name}' cannot be used.`,
    'Use 1 to 15 lower-case letters and digits with a letter first, without the domain: ca1',
  );
}

/**
 * Refuses a snapshot name that is no plain file name.
 * @throws CapstanError `bad-snapshot-name`
 */
export function requireSnapshotName(name: string): string {
  if (/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(name)) return name;
  throw refusal(
    'bad-snapshot-name',
    `The snapshot's name '${name}' cannot be used.`,
    'Use up to 64 letters, digits, dots, hyphens and underscores.',
  );
}

/**
 * Refuses a label that a PKCS#11 token cannot have (32 bytes, padded with blanks), or Capstan cannot record
 * (FreeIPA's HSM record is `token-name;library-path`).
 * @throws CapstanError `bad-token-name`
 */
export function requireTokenName(name: string): string {
  const bytes = Buffer.byteLength(name);
  if (bytes > 0 && bytes <= 32 && name.trim() === name && !/[:;=\p{Cc}]/u.test(name)) return name;
  throw refusal(
    'bad-token-name',
    `The token name '${name}' cannot be used.`,
    'Use 1 to 32 bytes without colon, semicolon and equals sign, and without a blank at either end.',
  );
}

/** The full name of a host. */
export function fqdn(host: string): string {
  return `${host}.${DOMAIN}`;
}

/** The address whose last octet is `octet`. */
export function addressOf(octet: number): string {
  return `${SUBNET}.${octet}`;
}

/**
 * The last octet of a host's address: `ca1` to `ca99` have 11 to 109, others one from 110 to 249 that follows
 * from their name, or the next that is free.
 * @param taken the octets of the lab's other hosts
 * @throws CapstanError `lab-full`
 */
export function octetFor(name: string, taken: ReadonlySet<number>): number {
  const number = /^ca([1-9][0-9]?)$/.exec(name)?.[1];
  if (number) return 10 + Number(number);
  const first = createHash('sha256').update(name).digest().readUInt32BE(0) % 140;
  for (let offset = 0; offset < 140; offset++) {
    const octet = 110 + ((first + offset) % 140);
    if (!taken.has(octet)) return octet;
  }
  throw refusal('lab-full', `There is no address left for the host ${name}.`, 'Use a second lab.');
}

/** The network namespace that holds a lab's bridge. */
export function bridgeNamespace(lab: string): string {
  return `capstan-${lab}`;
}

/** The name of a host's network namespace, of its cgroups and of its machine; a dot cannot be in a lab's name. */
export function machineName(lab: string, host: string): string {
  return `capstan-${lab}.${host}`;
}

/** The folders and files of a lab. */
export function labPlace(lab: string) {
  const folder = join(STATE_FOLDER, lab);
  return {
    folder,
    state: join(folder, 'state.json'),
    values: join(folder, 'values'),
    /** The SoftHSM token folder as it is on disk. */
    token: join(folder, 'token'),
    /** The same folder as the hosts see it, all files owned by pkiuser. */
    tokenView: join(folder, 'token-view'),
    /** The folder of the network HSM's socket. */
    socket: join(folder, 'socket'),
    snapshots: join(folder, 'snapshots'),
  };
}

/** The folders and files of a host. */
export function hostPlace(lab: string, host: string) {
  const folder = join(labPlace(lab).folder, 'hosts', host);
  return {
    folder,
    /** What the host has written: the overlay's upper layer. */
    upper: join(folder, 'upper'),
    work: join(folder, 'work'),
    /** Where the host's root is mounted, in the host's own mount namespace only. */
    root: join(folder, 'root'),
    console: join(folder, 'console.log'),
    pid: join(folder, 'pid'),
  };
}
