/** All faults that are made, by area. */

import { GLASSES_FAULTS, KEY_FAULTS, RESTART_FAULTS, TRACKING_FAULTS, TRUST_FAULTS } from './costly.ts';
import type { MadeFault } from './fault.ts';
import { FORGED_FAULTS } from './forged.ts';
import { KRA_FAULTS } from './kra.ts';
import {
  CA_FAULTS,
  CERTIFICATE_FAULTS,
  DIRECTORY_FAULTS,
  FILE_FAULTS,
  HOST_FAULTS,
  HSM_FAULTS,
  INSTALLATION_FAULTS,
  ROLE_FAULTS,
  SERVICE_FAULTS,
} from './quick.ts';
import { REPLICATION_FAULTS } from './replication.ts';

/** Faults, with the area that their checks belong to. */
type Faults = readonly (readonly [name: string, faults: readonly MadeFault[]])[];

/** Those that one server can have by itself: a look at it is quicker than one at a cluster. */
export const SERVER_FAULTS: Faults = [
  ['server', INSTALLATION_FAULTS],
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
  ['restart', RESTART_FAULTS],
];

/** Those that need another server. */
export const CLUSTER_FAULTS: Faults = [['replication', REPLICATION_FAULTS]];

/** Every fault that is made for real; those of a KRA are made where there is one. */
export const FAULTS: Faults = [...SERVER_FAULTS, ...CLUSTER_FAULTS, ['kra', KRA_FAULTS]];
