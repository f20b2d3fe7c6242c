import { expect, test } from 'vitest';
import { takesCopyIn } from '../../../src/directory/copy.ts';

const at = (text: string) => `[22/Nov/2026:18:41:01.234597713 +0000] - ${text}`;
const STARTED = at('INFO - main - 389-Directory/1.4.4.11 B2021.139.1122 starting up');
const BEGUN = at(
  'NOTICE - NSMMReplicationPlugin - multimaster_be_state_change - Replica dc=example,dc=test is going offline; disabling replication',
);
const PROGRESS = at(
  'INFO - import_monitor_threads - import userroot: Processed 17 entries -- average rate 0.8/sec',
);
const DONE = at(
  'INFO - bdb_import_main - import userroot: Import complete.  Processed 16 entries in 3 seconds.',
);
const ONLINE = at(
  'NOTICE - NSMMReplicationPlugin - multimaster_be_state_change - Replica dc=example,dc=test is coming online; enabling replication',
);

test.each([
  ['nothing', [], false],
  ['a start', [STARTED], false],
  ['a copy that began', [STARTED, BEGUN], true],
  ['a copy that goes on', [STARTED, BEGUN, PROGRESS], true],
  ['a copy that is over', [STARTED, BEGUN, PROGRESS, DONE, ONLINE], false],
  ['a second copy', [STARTED, BEGUN, DONE, ONLINE, BEGUN], true],
  ['a server that was killed in a copy', [STARTED, BEGUN, PROGRESS, STARTED], false],
])('an errors log with %s', (_, lines, taking) => {
  expect(takesCopyIn(`${lines.join('\n')}\n`)).toBe(taking);
});
