/** What a lab is made of. Everything that one may want to change about it is in this file. */
import { resolve } from 'node:path';

/** A root file system as mmdebstrap makes it. */
export interface RootRecipe {
  /** What it is for, as part of the cache folder's name: `host`, `toolchain`. */
  name: string;
  /** The release's code name. */
  suite: string;
  /** Further suites of the same archive that packages may come from. */
  updates: readonly string[];
  packages: readonly string[];
}

/**
 * The release of the lab's hosts: the last Debian that packages Dogtag (10.10.2).
 * Its security archive is left out: its index lists versions whose files are gone.
 */
const SUITE = { suite: 'bullseye', updates: ['bullseye-updates'] };

/**
 * The hosts of a lab: Dogtag, 389 Directory Server, certmonger, SoftHSM, what one looks around with, and what a host has
 * that Ansible manages (python3-apt for its apt module, sudo).
 */
export const HOST_ROOT: RootRecipe = {
  ...SUITE,
  name: 'host',
  packages: [
    'pki-ca',
    'pki-kra',
    'pki-tools',
    '389-ds-base',
    'softhsm2',
    'certmonger',
    'libnss3-tools',
    'opensc',
    'openssl',
    'ldap-utils',
    'dbus',
    'python3',
    'curl',
    'iproute2',
    'procps',
    'systemd',
    'systemd-sysv',
    'iputils-ping',
    'ca-certificates',
    'less',
    'libp11-kit0',
    'p11-kit',
    'p11-kit-modules',
    'gnutls-bin',
    'openssh-server',
    'openssh-client',
    'xmlstarlet',
    'jq',
    'faketime',
    'python3-apt',
    'sudo',
  ],
};

/** A compiler on the oldest supported C library (glibc 2.31), with what other builds of addons ask for. */
export const TOOLCHAIN_ROOT: RootRecipe = {
  ...SUITE,
  name: 'toolchain',
  packages: ['gcc', 'g++', 'make', 'python3', 'libc6-dev'],
};

/** The key that signs the archive; Debian package debian-archive-keyring. */
export const ARCHIVE_KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';

/** A mirror in place of the one in the machine's apt sources. */
export const MIRROR_OVERRIDE: string | undefined =
  process.env.CAPSTAN_LAB_MIRROR?.replace(/\/+$/, '') || undefined;

/** Where images and unpacked bundles are kept between labs. */
export const CACHE_FOLDER: string = resolve(process.env.CAPSTAN_CACHE || '/var/cache/capstan');

/** Where the labs themselves are. */
export const STATE_FOLDER = '/var/lib/capstan-lab';

export const DEFAULT_LAB = 'default';
export const DOMAIN = 'example.test';

/** The first three octets of every lab's network. Labs cannot meet, so all have the same. */
export const SUBNET = '10.77.0';

/** The label of the blank token. */
export const TOKEN_NAME = 'capstan-hsm';

/** The values that are drawn for each lab, and what each is for. */
export const PASSWORDS = {
  'token-password': 'token password',
  'so-pin': 'SO PIN',
  'ds-password': 'Directory Manager password',
  'admin-password': 'administrator password',
} as const;

/** Characters in a drawn password. */
export const PASSWORD_LENGTH = 24;

/** Where a host finds the lab's values, one a file. */
export const VALUES_FOLDER = '/etc/capstan/lab';

/** SoftHSM as Debian 11 packages it. */
export const SOFTHSM = {
  library: '/usr/lib/softhsm/libsofthsm2.so',
  tokens: '/var/lib/softhsm/tokens',
  group: 'softhsm',
};

/** The user Dogtag runs as, in Debian's pki-server. */
export const PKI_USER = 'pkiuser';

/** The network HSM: the host it lives on, its socket, and the client library the CA hosts load. */
export const NETWORK_HSM = {
  host: 'hsm1',
  user: 'hsm',
  unit: 'capstan-hsm.service',
  folder: '/srv/capstan-hsm',
  socket: '/srv/capstan-hsm/pkcs11.sock',
  library: '/usr/lib/capstan-lab/libnethsm.so',
  configuration: '/etc/nethsm.conf',
};
