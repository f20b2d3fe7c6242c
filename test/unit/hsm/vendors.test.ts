import { expect, test } from 'vitest';
import { needsOaep } from '../../../src/hsm/vendors.ts';

test.each([
  ['/opt/nfast/toolkits/pkcs11/libcknfast.so', true],
  ['/usr/lib/softhsm/libsofthsm2.so', false],
  ['/usr/safenet/lunaclient/lib/libCryptoki2_64.so', false],
])('the HSM behind %s wraps by RSA-OAEP only: %s', (path, wanted) => {
  expect(needsOaep(path)).toBe(wanted);
});
