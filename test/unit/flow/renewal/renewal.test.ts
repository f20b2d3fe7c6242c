import { describe, expect, test } from 'vitest';
import type { TrackingRequest } from '../../../../src/certmonger/tracking.ts';
import { isAtRest } from '../../../../src/certmonger/tracking.ts';
import type { RoleEntry, ServerEntry } from '../../../../src/directory/masters.ts';
import { keyIdOf } from '../../../../src/flow/renewal/ca-request.ts';
import { dutyOf, isNewer } from '../../../../src/flow/renewal/cluster.ts';
import { requireRenewal } from '../../../../src/flow/renewal/issue.ts';
import { hasChanged, sameSerial } from '../../../../src/flow/renewal/keeper.ts';
import { isInPlace, placedAs } from '../../../../src/flow/renewal/record.ts';
import { isDue } from '../../../../src/flow/renewal/renew.ts';
import { staleOf } from '../../../../src/flow/renewal/token.ts';
import type { TokenObject } from '../../../../src/hsm/protocol.ts';
import { newKey, selfSigned } from '../../certificates.ts';

function server(hostname: string, ca: Partial<RoleEntry> = {}): ServerEntry {
  const role = { enabled: true, renewalMaster: false, crlGenerator: false, tokenSerial: 'ab01' };
  return { hostname, roles: [{ ...role, name: 'CA', ...ca }] };
}

const CLUSTER = [
  server('ca1.example.test', { renewalMaster: true }),
  server('ca2.example.test'),
  server('ca3.example.test', { tokenSerial: 'cd02' }),
];
const OCSP = { id: 'capstan-ca-ocsp-signing', token: 'hsm' } as const;
const TLS = { id: 'capstan-tls-server', token: 'internal' } as const;
const TRANSPORT = { id: 'capstan-kra-transport', token: 'hsm' } as const;

describe('who renews', () => {
  test('what all share is one server, and each its own', () => {
    const duty = (hostname: string, certificate: typeof OCSP | typeof TLS) =>
      dutyOf(hostname, certificate, CLUSTER);
    expect(duty('ca1.example.test', OCSP).renewsHere).toBe(true);
    expect(duty('CA1.EXAMPLE.TEST', OCSP).renewsHere).toBe(true);
    expect(duty('ca2.example.test', OCSP)).toEqual({
      ...{ renewsHere: false, master: 'ca1.example.test', sharesToken: true },
    });
    expect(duty('ca2.example.test', TLS).renewsHere).toBe(true);
  });

  test('a copy of the token is told by its serial number', () => {
    expect(dutyOf('ca3.example.test', OCSP, CLUSTER).sharesToken).toBe(false);
  });

  test('is nobody where nobody is recorded', () => {
    expect(dutyOf('ca2.example.test', OCSP, [server('ca2.example.test')])).toEqual({
      ...{ renewsHere: false, master: undefined, sharesToken: false },
    });
    expect(dutyOf('ca9.example.test', OCSP, CLUSTER).renewsHere).toBe(false);
  });
});

describe('who renews what KRAs share', () => {
  const withKra = (entry: ServerEntry): ServerEntry => ({
    ...entry,
    roles: [
      ...entry.roles,
      { name: 'KRA', enabled: true, renewalMaster: false, crlGenerator: false, tokenSerial: 'ab01' },
    ],
  });
  const [first, second, third] = CLUSTER as [ServerEntry, ServerEntry, ServerEntry];

  test('is the renewal master where it has a KRA', () => {
    const servers = [withKra(first), withKra(second), third];
    expect(dutyOf('ca1.example.test', TRANSPORT, servers).renewsHere).toBe(true);
    expect(dutyOf('ca2.example.test', TRANSPORT, servers).renewsHere).toBe(false);
  });

  test('is the first server that has one where it has none', () => {
    const servers = [first, withKra(second), withKra(third)];
    expect(dutyOf('ca2.example.test', TRANSPORT, servers)).toMatchObject({ renewsHere: true });
    expect(dutyOf('ca3.example.test', TRANSPORT, servers)).toMatchObject({ master: 'ca2.example.test' });
    expect(dutyOf('ca2.example.test', OCSP, servers).renewsHere).toBe(false);
  });
});

const key = newKey();
const subject = '/O=EXAMPLE.TEST/CN=CA Audit';
const old = selfSigned({ key, subject, serial: '02', years: [2024, 2026] });
const renewed = selfSigned({ key, subject, serial: '0123', years: [2026, 2028] });

describe('a published certificate', () => {
  test('is taken over where it is a later one for the same key', () => {
    expect(isNewer(renewed, old)).toBe(true);
    expect(isNewer(old, renewed)).toBe(false);
    expect(isNewer(old, old)).toBe(false);
    const foreign = selfSigned({ key: newKey(), subject, serial: '09', years: [2026, 2028] });
    expect(isNewer(foreign, old)).toBe(false);
  });
});

describe('what the CA issued', () => {
  test('passes for the same name and key, signed by the CA', () => {
    expect(() => requireRenewal(renewed, old, old)).not.toThrow();
  });

  test.each([
    ['another key', selfSigned({ key: newKey(), subject, serial: '09', years: [2026, 2028] })],
    ['subject', selfSigned({ key, subject: '/O=EVIL/CN=CA Audit', serial: '09', years: [2026, 2028] })],
    ["a CA's", selfSigned({ key, subject, serial: '09', years: [2026, 2028], ca: true })],
    ['ends before', selfSigned({ key, subject, serial: '09', years: [2020, 2022] })],
  ])('is not saved with %s', (flaw, issued) => {
    expect(() => requireRenewal(issued, old, old)).toThrow(
      expect.objectContaining({ code: 'renewal-unverified', message: expect.stringContaining(flaw) }),
    );
  });

  test('is not saved for a CA that gains no time', () => {
    const authority = (serial: string, years: [number, number]) =>
      selfSigned({ key, subject, serial, years, ca: true });
    const ending = authority('01', [2024, 2034]);
    expect(() => requireRenewal(authority('09', [2026, 2036]), ending, ending)).not.toThrow();
    expect(() => requireRenewal(authority('09', [2026, 2034]), ending, ending)).toThrow(
      expect.objectContaining({ code: 'renewal-unverified', message: expect.stringContaining('ends when') }),
    );
  });

  test('is not saved when another one signed it', () => {
    const stranger = selfSigned({ key: newKey(), subject, serial: '01', years: [2024, 2034] });
    expect(() => requireRenewal(renewed, old, stranger)).toThrow(
      expect.objectContaining({ code: 'renewal-unverified' }),
    );
  });
});

describe('the token after a renewal', () => {
  const nickname = 'auditSigningCert cert-pki-ca';
  const object = (certificate: typeof old, more: Partial<TokenObject> = {}): TokenObject => ({
    ...{ class: 'certificate', id: 'aa', label: nickname, value: certificate.raw.toString('base64') },
    ...more,
  });
  const privateKey: TokenObject = { class: 'private-key', id: 'aa', label: '' };
  const one = {
    certificate: { id: 'x', nickname, token: 'hsm', profile: 'p' },
    renewed,
  } as const;
  const stale = (objects: TokenObject[]) => staleOf(objects, one, { label: 'hsm' });

  test('loses the certificates before, and no others', () => {
    const before = object(old);
    const others = [object(old, { id: 'bb' }), object(old, { label: 'mine' }), privateKey];
    expect(stale([before, object(renewed), ...others])).toEqual([before]);
    expect(stale([object(renewed), privateKey])).toEqual([]);
  });

  test('must have the new one and its key', () => {
    const missing = expect.objectContaining({ code: 'renewal-not-on-token' });
    expect(() => stale([object(old), privateKey])).toThrow(missing);
    expect(() => stale([object(renewed)])).toThrow(missing);
  });
});

describe('a tracking request', () => {
  const state = (status: string, stuck = false) => ({ status, stuck }) as TrackingRequest;

  test.each([
    'MONITORING',
    'CA_WORKING',
    'CA_UNREACHABLE',
    'CA_REJECTED',
    'NEED_TO_NOTIFY_ISSUED_SAVE_FAILED',
  ])('is at rest when it is %s', (status) => {
    expect(isAtRest(state(status))).toBe(true);
  });

  test.each([
    'SUBMITTING',
    'GENERATING_CSR',
    'NEED_TO_SAVE_CERT',
    'SAVING_CERT',
    'POST_SAVED_CERT',
    'NEED_CSR',
  ])('is not at rest when it is %s', (status) => {
    expect(isAtRest(state(status))).toBe(false);
  });

  test('is due 28 days before its end, or when something is wrong with it', () => {
    const now = Date.UTC(2026, 0, 1);
    const ends = (days: number) => ({
      ...{ expires: new Date(now + days * 86_400_000), caError: undefined, status: 'MONITORING' },
    });
    expect(isDue(ends(29), now)).toBe(false);
    expect(isDue(ends(27), now)).toBe(true);
    expect(isDue({ ...ends(400), caError: 'Missing nonce' }, now)).toBe(true);
    expect(isDue({ ...ends(400), status: 'CA_UNREACHABLE' }, now)).toBe(true);
  });

  test('serial numbers are compared as numbers', () => {
    expect(sameSerial('0F', 'f')).toBe(true);
    expect(sameSerial('0F', '10')).toBe(false);
    expect(sameSerial('', '')).toBe(false);
  });
});

describe('what is in place', () => {
  const other = selfSigned({ key, subject, serial: '02', years: [2025, 2027] });
  const held = { serial: '02', certificate: String(old) };

  test('is told from another certificate of the same number', () => {
    expect(isInPlace(placedAs(held), held)).toBe(true);
    expect(isInPlace(placedAs(held), { ...held, certificate: String(other) })).toBe(false);
    expect(isInPlace(placedAs(held), { ...held, serial: '03' })).toBe(false);
  });

  test('of a record without a sum is told by the number', () => {
    expect(isInPlace({ serial: '02' }, { ...held, certificate: String(other) })).toBe(true);
    expect(isInPlace(placedAs({ serial: '02', certificate: '' }), held)).toBe(true);
  });

  test('and so is what certmonger has taken', () => {
    expect(hasChanged({ certificate: String(other) }, String(old))).toBe(true);
    expect(hasChanged({ certificate: String(old) }, String(old))).toBe(false);
    expect(hasChanged({ certificate: String(old) }, '')).toBe(true);
    expect(hasChanged({ certificate: '' }, String(old))).toBe(false);
  });
});

describe('the key of the CA on a token', () => {
  const object = (facts: Partial<TokenObject>) => ({ id: '', label: '', ...facts }) as TokenObject;
  const value = old.raw.toString('base64');

  test('is that of its certificate; else what has its name', () => {
    const certificate = object({ class: 'certificate', id: 'aa', value });
    const named = object({ class: 'private-key', id: 'bb', label: 'caSigningCert cert-pki-ca' });
    const its = object({ class: 'private-key', id: 'aa', label: 'whatever' });
    expect(keyIdOf([named, certificate, its], old, 'HSM')).toBe('aa');
    expect(keyIdOf([named, certificate], old, 'HSM')).toBe('bb');
    expect(() => keyIdOf([certificate], old, 'HSM')).toThrow(
      expect.objectContaining({ code: 'ca-key-missing' }),
    );
  });
});
