import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type InspectionRequest, inspectToken } from '../../../src/hsm/inspect.ts';
import { withModule } from '../../../src/hsm/module.ts';
import { selectToken } from '../../../src/hsm/token.ts';
import { Secret } from '../../../src/secret/secret.ts';
import {
  codesOf,
  errorOf,
  failuresOf,
  hostWithLog,
  library,
  pin,
  removeWorkspace,
  SOFTHSM,
  type SoftTokens,
  softTokens,
  workspace,
} from './support.ts';

const NICKNAME = 'caSigningCert cert-pki-ca';
const OTHER = 'ocspSigningCert cert-pki-ca';
const FREE = 'auditSigningCert cert-pki-ca';

let directory: string;
let shim: string;
let logins: string;
let tokens: SoftTokens;

beforeAll(() => {
  directory = workspace();
  shim = library(directory, 'shim');
  logins = join(directory, 'logins');
  tokens = softTokens(directory, 'store');
  tokens.add('hsm');
  tokens.keyAndCertificate('hsm', NICKNAME, 'a1');
  tokens.keyAndCertificate('hsm', OTHER, 'b2');
  // Afterwards: pkcs11-tool takes the first token whose label merely begins with the one it was given.
  for (const label of ['hsm-backup', 'twin', 'twin']) tokens.add(label);
});
afterAll(() => removeWorkspace(directory));

/** An inspection through the shim, with what the shim is to change. @param deadline seconds for one call */
function inspect(
  changes: Partial<InspectionRequest> = {},
  shimmed: Record<string, string> = {},
  deadline = 20,
) {
  rmSync(logins, { force: true });
  const env = { ...tokens.env, SHIM_LIBRARY: SOFTHSM, SHIM_LOGINS: logins, ...shimmed };
  const request = {
    libraryPath: shim,
    env,
    label: 'hsm-backup',
    pin,
    keySizes: [3072],
    nicknames: [NICKNAME],
  };
  return inspectToken(hostWithLog(undefined, deadline).host, { ...request, ...changes });
}

/** How often C_Login was called. */
function loginCount(): number {
  return existsSync(logins) ? readFileSync(logins, 'utf8').length : 0;
}

describe('an inspection', () => {
  test('of an empty token tells what it found, with one login', async () => {
    const inspection = await inspect({ keySizes: [2048, 3072, 4096] });
    expect(inspection).toMatchObject({
      module: { manufacturer: 'SoftHSM', cryptokiVersion: '2.40' },
      moduleName: 'shim',
      token: { label: 'hsm-backup', manufacturer: 'SoftHSM project', initialised: true, loginRequired: true },
      freeSessions: { all: 'unlimited', readWrite: 'unlimited' },
      objects: [],
      warnings: [],
    });
    expect(inspection.token.serial).toMatch(/^[0-9a-f]{16}$/);
    expect(loginCount()).toBe(1);
  });

  test.each(['nothing', 'hs', 'HSM', 'hsm-backu'])('does not take %s for a label', async (label) => {
    const [error, ...others] = await failuresOf(inspect({ label }));
    expect(others).toEqual([]);
    expect(error?.code).toBe('token-not-found');
    expect(error?.message).toContain('"hsm", "hsm-backup"');
    expect(loginCount()).toBe(0);
  });

  test('refuses two tokens of one label and names their serials', async () => {
    const [error] = await failuresOf(inspect({ label: 'twin' }));
    expect(error?.code).toBe('token-ambiguous');
    expect(new Set(error?.message.match(/serial [0-9a-f]{16}/g)).size).toBe(2);
  });

  test('tries a wrong PIN exactly once', async () => {
    const wrong = new Secret('Wrong-Horse-8', 'token password');
    const failures = await failuresOf(inspect({ pin: wrong, label: 'hsm', nicknames: [FREE] }));
    expect(failures.map(({ code }) => code)).toEqual(['pin-incorrect']);
    expect(failures[0]?.message).toContain('CKR_PIN_INCORRECT');
    expect(loginCount()).toBe(1);
  });

  test('warns of a counter that moved before, and still tries', async () => {
    const inspection = await inspect({}, { SHIM_FLAGS: '10000' });
    expect(inspection.warnings).toEqual([expect.stringContaining('few tries may be left')]);
    expect(loginCount()).toBe(1);
  });

  test.each([
    ['a locked PIN', '40000', 'pin-locked'],
    ['the last try', '20000', 'pin-final-try'],
    ['an expired PIN', '80000', 'pin-expired'],
    ['a PIN pad', '100', 'token-pin-pad'],
  ])('tells %s before trying', async (_, flags, code) => {
    expect(await codesOf(inspect({}, { SHIM_FLAGS: flags }))).toEqual([code]);
    expect(loginCount()).toBe(0);
  });

  test('tells a PIN that was never set before trying', async () => {
    expect(await codesOf(inspect({}, { SHIM_CLEAR: '8' }))).toEqual(['pin-unset']);
    expect(loginCount()).toBe(0);
  });

  test.each([
    ['a5', 'pkcs11-unknown', 'code 0x000000a5'],
    ['a4', 'pin-locked', 'CKR_PIN_LOCKED'],
    ['32', 'pkcs11-device-removed', 'CKR_DEVICE_REMOVED'],
    ['80000123', 'pkcs11-unknown', 'vendor code 0x80000123'],
  ])('maps what C_Login returns: %s', async (value, code, name) => {
    const [error] = await failuresOf(inspect({}, { SHIM_LOGIN_RV: value }));
    expect(error).toMatchObject({
      code,
      message: expect.stringContaining(`C_Login of the PKCS#11 library ${shim} returned ${name}`),
    });
    expect(loginCount()).toBe(1);
  });

  test.each([
    ['a write-protected token', { SHIM_FLAGS: '2' }, 'token-write-protected'],
    ['a token without login', { SHIM_CLEAR: '4' }, 'token-unprotected'],
    ['no RSA key generation', { SHIM_LACKS: '0' }, 'mechanism-missing'],
    ['no RSA signature', { SHIM_LACKS: '1' }, 'mechanism-missing'],
    ['keys too small', { SHIM_NARROW: '0 2048' }, 'key-size-unsupported'],
    ['signatures too small', { SHIM_NARROW: '40 2048' }, 'key-size-unsupported'],
    ['too few sessions', { SHIM_SESSIONS: '5 2 0 0' }, 'sessions-exhausted'],
    ['no session that writes', { SHIM_SESSIONS: '0 9 1 1' }, 'sessions-exhausted'],
  ])('refuses %s', async (_, shimmed, code) => {
    expect(await codesOf(inspect({}, shimmed))).toEqual([code]);
  });

  test.each([
    ['no combined mechanism, which NSS can do without', { SHIM_LACKS: '41' }],
    ['sessions that are unknown', { SHIM_SESSIONS: '18446744073709551615 18446744073709551615 0 0' }],
  ])('accepts %s', async (_, shimmed) => {
    await expect(inspect({}, shimmed)).resolves.toBeDefined();
  });

  test('refuses an occupied token and names each object', async () => {
    const [error, ...others] = await failuresOf(inspect({ label: 'hsm' }));
    expect(others).toEqual([]);
    expect(error?.code).toBe('token-occupied');
    for (const kind of ['certificate', 'private-key', 'public-key']) {
      expect(error?.message).toContain(`${kind} "${NICKNAME}" (id a1)`);
    }
    expect(error?.message).not.toContain(OTHER);
  });

  test('reports everything together', async () => {
    const shimmed = { SHIM_FLAGS: '40002', SHIM_LACKS: '0', SHIM_SESSIONS: '1 1 0 0' };
    expect(
      await codesOf(inspect({ label: 'hsm', pin: new Secret('blank ', 'token password') }, shimmed)),
    ).toEqual([
      'token-password-invalid',
      'token-write-protected',
      'sessions-exhausted',
      'mechanism-missing',
      'pin-locked',
      'token-occupied',
    ]);
  });

  test.each(['C_GetTokenInfo', 'C_GetMechanismList', 'C_FindObjects'])(
    'ends a library that hangs in %s',
    async (name) => {
      const [error, ...others] = await failuresOf(inspect({}, { SHIM_HANGS: name }, 2));
      expect(others).toEqual([]);
      expect(error).toMatchObject({ code: 'module-hangs', message: expect.stringContaining(`in ${name}`) });
    },
  );

  test('refuses a label and a path that the HSM record cannot carry', async () => {
    expect(await codesOf(inspect({ label: 'a:b' }))).toEqual(['token-label-invalid']);
    expect(await codesOf(inspect({ libraryPath: 'lib.so' }))).toEqual(['library-path-invalid']);
  });
});

test('a second login repeats the outcome of the first without asking the token', async () => {
  rmSync(logins, { force: true });
  const env = { ...tokens.env, SHIM_LIBRARY: SOFTHSM, SHIM_LOGINS: logins };
  await withModule(hostWithLog().host, { libraryPath: shim, env }, async (module) => {
    const { slot } = selectToken(await module.tokens(), 'hsm-backup');
    const wrong = new Secret('Wrong-Horse-8', 'token password');
    expect((await errorOf(module.login(slot, wrong))).code).toBe('pin-incorrect');
    expect((await errorOf(module.login(slot, pin))).code).toBe('pin-incorrect');
    expect(loginCount()).toBe(1);
  });
});

test('an interruption is no finding, whether the library or the look for its user is interrupted', async () => {
  const { host } = hostWithLog(AbortSignal.abort());
  const request = { libraryPath: SOFTHSM, env: tokens.env, label: 'hsm', pin, keySizes: [], nicknames: [] };
  expect(await errorOf(inspectToken(host, request))).toMatchObject({ code: 'module-interrupted', exit: 130 });
  const asUser = inspectToken(host, { ...request, user: 'nobody' });
  expect(await errorOf(asUser)).toMatchObject({ code: 'command-interrupted', exit: 130 });
});
