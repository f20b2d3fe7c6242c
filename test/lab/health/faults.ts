/** All faults that are made, by area. */

import { GLASSES_FAULTS, KEY_FAULTS, RESTART_FAULTS, TRACKING_FAULTS, TRUST_FAULTS } from './costly.ts';
import type { MadeFault } from './fault.ts';
import { FORGED_FAULTS } from './forged.ts';
import {
  CA_FAULTS,
  CERTIFICATE_FAULTS,
  DIRECTORY_FAULTS,
  FILE_FAULTS,
  HOST_FAULTS,
  HSM_FAULTS,
  ROLE_FAULTS,
  SERVER_FAULTS,
  SERVICE_FAULTS,
} from './quick.ts';
import { REPLICATION_FAULTS } from './replication.ts';

/** Every fault that is made for real, with the area that its checks belong to. */
export const FAULTS: readonly [name: string, faults: readonly MadeFault[]][] = [
  ['server', SERVER_FAULTS],
  ['host', HOST_FAULTS],
  ['service', SERVICE_FAULTS],
  ['ca', CA_FAULTS],
  ['directory', DIRECTORY_FAULTS],
  ['role', ROLE_FAULTS],
  ['certificate', [...CERTIFICATE_FAULTS, ...FORGED_FAULTS]],
  ['trust', TRUST_FAULTS],
  ['tracking', TRACKING_FAULTS],
  ['hsm', [...HSM_FAULTS, ...KEY_FAULTS, ...GLASSES_FAULTS]],
  ['file', FILE_FAULTS],
  ['replication', REPLICATION_FAULTS],
  ['restart', RESTART_FAULTS],
];
