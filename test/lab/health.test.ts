/**
 * The health of real servers: each check has a test that makes its fault for real, sees exactly that check find it, and
 * takes it back. That a fault was taken back shows in the next test, which sees its own alone.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { carry, firstServer, joinWords, succeeds } from './cluster/hosts.ts';
import {
  GLASSES_FAULTS,
  KEY_FAULTS,
  RESTART_FAULTS,
  TRACKING_FAULTS,
  TRUST_FAULTS,
} from './health/costly.ts';
import { codesOf, faultTests, findings, type MadeFault } from './health/fault.ts';
import { FORGED_FAULTS } from './health/forged.ts';
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
} from './health/quick.ts';
import { REPLICATION_FAULTS } from './health/replication.ts';
import { freshLab, removeLab } from './support.ts';

/** What the lab's hosts have anyway. */
let anyway: readonly string[] = [];

beforeAll(async () => {
  await freshLab({ hosts: ['ca1', 'ca2'] });
  await firstServer();
  await carry('ca1', '/etc/capstan/ca.crt', 'ca2', '/root/cluster-ca.crt');
  await succeeds('ca2', joinWords({}, '--no-setup-ca'));
});

afterAll(removeLab);

test('two servers, one of them without a CA, have no fault', async () => {
  const found = await findings('ca1');
  anyway = codesOf(found).filter((code) => code === 'clock-unsynchronised');
  expect({ codes: codesOf(found), found }).toMatchObject({ codes: anyway });
  expect(codesOf(await findings('ca2'))).toEqual(anyway);
});

describe('a fault is found by its check alone', () => {
  const tables: [name: string, faults: readonly MadeFault[]][] = [
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
  for (const [name, faults] of tables) describe(name, () => faultTests(faults, () => anyway));
});
