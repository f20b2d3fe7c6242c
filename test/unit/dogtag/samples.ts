/** Parts of deployments, as the tests describe them. */
import { Secret } from '../../../src/secret/secret.ts';

/** What every subsystem is made with. */
export const SUBSYSTEM = {
  token: {
    label: 'softhsm_token',
    libraryPath: '/usr/lib/softhsm/libsofthsm2.so',
    moduleName: 'libsofthsm2',
    pin: new Secret('pin-of-the-token', 'token password'),
  },
  directory: {
    ldapsPort: 636,
    caFile: '/etc/capstan/ca.crt',
    password: new Secret('password-of-ds', 'directory password'),
  },
  clientDatabasePassword: new Secret('password-of-client', 'client database password'),
  clientFolder: '/run/capstan/client',
} as const;
