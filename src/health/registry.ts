/** Every check of a server's health, by area. */
import type { CheckFacts, HealthCheck } from './check.ts';
import { CA_CHECKS } from './checks/ca.ts';
import { CERTIFICATE_CHECKS } from './checks/certificates.ts';
import { DIRECTORY_CHECKS } from './checks/directory.ts';
import { FILE_CHECKS } from './checks/files.ts';
import { HOST_CHECKS } from './checks/host.ts';
import { HSM_CHECKS } from './checks/hsm.ts';
import { KRA_CHECKS } from './checks/kra.ts';
import { REPLICATION_CHECKS } from './checks/replication.ts';
import { ROLE_CHECKS } from './checks/roles.ts';
import { SERVER_CHECKS } from './checks/server.ts';
import { SERVICE_CHECKS } from './checks/services.ts';
import { TRACKING_CHECKS } from './checks/tracking.ts';
import { TRUST_CHECKS } from './checks/trust.ts';
import { LOOK_FAILED } from './run.ts';

/** All checks, in the order in which they are told. */
export const CHECKS: readonly HealthCheck[] = [
  ...SERVER_CHECKS,
  ...HOST_CHECKS,
  ...SERVICE_CHECKS,
  ...CA_CHECKS,
  ...KRA_CHECKS,
  ...DIRECTORY_CHECKS,
  ...REPLICATION_CHECKS,
  ...ROLE_CHECKS,
  ...CERTIFICATE_CHECKS,
  ...TRACKING_CHECKS,
  ...TRUST_CHECKS,
  ...HSM_CHECKS,
  ...FILE_CHECKS,
];

/** All that can be found, with what is found when something cannot be looked at. */
export const CATALOGUE: readonly CheckFacts[] = [...CHECKS, LOOK_FAILED];
