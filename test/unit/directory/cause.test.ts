/** What 389-ds 1.4.4 writes to its errors log when it cannot do its work, from real logs. */
import { expect, test } from 'vitest';
import { complaintIn } from '../../../src/directory/cause.ts';

const START = `[22/Nov/2026:06:37:44.441849855 +0000] - ERR - slapd_system_isFIPS - Can not access /proc/sys/crypto/fips_enabled - assuming FIPS is OFF
[22/Nov/2026:06:37:46.118227830 +0000] - INFO - main - 389-Directory/1.4.4.11 B2021.139.1122 starting up
[22/Nov/2026:06:37:47.196374345 +0000] - ERR - attrcrypt_cipher_init - No symmetric key found for cipher AES in backend userroot, attempting to create one...
`;

const FULL = `[22/Nov/2026:06:58:58.606578046 +0000] - ERR - libdb - BDB0137 write: 0x7f97c3f55200, 8192: No space left on device
[22/Nov/2026:06:58:58.620884822 +0000] - ERR - libdb - BDB3015 ipaca/id2entry.db: write failed for page 123
[22/Nov/2026:06:58:58.621519115 +0000] - ERR - libdb - BDB3027 ipaca/id2entry.db: unable to flush page: 123
`;

test('the first complaint since the start is told: what follows, follows from it', () => {
  expect(complaintIn(START + FULL)).toBe(
    'libdb - BDB0137 write: 0x7f97c3f55200, 8192: No space left on device',
  );
});

test('what every start complains of is none, and what came before it is history', () => {
  expect(complaintIn(START)).toBeUndefined();
  expect(complaintIn(START + FULL + START)).toBeUndefined();
  expect(complaintIn('')).toBeUndefined();
});

test('a start that fails before it says so is told from the run before', () => {
  const stop = '[22/Nov/2026:07:21:58.898182623 +0000] - INFO - main - slapd stopped.\n';
  const busy =
    '[22/Nov/2026:07:22:00.792959222 +0000] - ERR - createprlistensockets - PR_Bind() on All Interfaces port 389 failed: Netscape Portable Runtime error -5982 (Local Network address is in use.)\n';
  expect(complaintIn(START + FULL + stop + busy)).toMatch(/^createprlistensockets - PR_Bind\(\)/);
});
