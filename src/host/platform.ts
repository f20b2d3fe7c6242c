import { readFileSync } from 'node:fs';

/** Where a distribution family keeps what Capstan works with. */
export interface Platform {
  family: 'debian' | 'redhat';
  /** Dogtag's registry of instances (`pki.server` `REGISTRY_DIR`; Debian patches it). */
  dogtagRegistry: string;
  /** Where pkispawn writes the environment file of an instance. */
  instanceEnvironment: string;
}

const PLATFORMS: Readonly<Record<Platform['family'], Platform>> = {
  debian: {
    family: 'debian',
    dogtagRegistry: '/etc/dogtag',
    instanceEnvironment: '/etc/default',
  },
  redhat: {
    family: 'redhat',
    dogtagRegistry: '/etc/sysconfig/pki',
    instanceEnvironment: '/etc/sysconfig',
  },
};

/**
 * The platform of this host, from os-release(5). What is not of the Debian family is taken for Red Hat's:
 * those are the two that package Dogtag.
 */
export function platform(osRelease: string = readOsRelease()): Platform {
  const ids = /^ID(?:_LIKE)?=(.*)$/gm;
  const words = [...osRelease.matchAll(ids)].flatMap(([, value]) =>
    (value ?? '').replaceAll('"', '').split(' '),
  );
  return PLATFORMS[words.includes('debian') ? 'debian' : 'redhat'];
}

function readOsRelease(): string {
  try {
    return readFileSync('/etc/os-release', 'utf8');
  } catch {
    return '';
  }
}
