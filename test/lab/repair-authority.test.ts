/**
 * A server wakes up after its CA's own certificate has expired, and "capstan repair" gets it back with the key on the
 * token: first by its own signature, then by that of another authority, which has another root meanwhile. Judged by
 * pkcs11-tool, certutil and OpenSSL, and in the end by Capstan's looks.
 */
import { X509Certificate } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { sleepDays } from './clock.ts';
import { issue } from './cluster/certificates.ts';
import { killed, refusal, succeeds } from './cluster/hosts.ts';
import { expectGood } from './cluster/proofs.ts';
import { CORP, certifyByOpenssl } from './external/authorities.ts';
import { ABOVE, expectCa, REQUEST, serialAndKey, taken } from './external/places.ts';
import { codesOf, findings } from './health/fault.ts';
import { keyIds, trustFlags } from './nss.ts';
import { readyLab } from './ready.ts';
import { removeLab, sh, unwell } from './support.ts';

/** Twenty years, for which Dogtag certifies a CA, and some weeks. */
const DAYS = 20 * 366 + 30;
/** More days than those for which the other authority certifies the CA, and the CA all others. */
const MORE_DAYS = 800;
const REPAIRED = { deadline: 1200 };
const REPAIR = ['repair', '--unattended'];
/** Where the other authority has its new root. */
const ANEW = '/root/corp-anew';

let keysBefore: string;
let before: X509Certificate;

async function authority(): Promise<X509Certificate> {
  return new X509Certificate(await sh('ca1', 'cat /etc/capstan/ca.crt'));
}

/** Has the CA ask the authority in a folder, and take in what that makes of it. */
async function certified(folder: string, days: number): Promise<void> {
  await succeeds('ca1', ['ca-renew', '--external-ca']);
  await certifyByOpenssl('ca1', REQUEST, { folder, days });
  await succeeds('ca1', taken([`${folder}/ca.crt`, `${folder}/chain.p7b`]));
}

async function expectWell(): Promise<void> {
  await expectGood(await issue('ca1'), ['ca1']);
  expect(await unwell()).toEqual([]);
  expect(codesOf(await findings('ca1'))).toEqual(['clock-unsynchronised']);
}

beforeAll(async () => {
  await readyLab('one');
  [keysBefore, before] = [await keyIds('ca1'), await authority()];
  await sleepDays(['ca1'], DAYS);
});

afterAll(removeLab);

describe('a CA that signs itself, after its own end', () => {
  test('is repaired, when that was looked at', async () => {
    const { events } = await succeeds('ca1', ['repair', '--dry-run']);
    const plan = events.find(({ type }) => type === 'plan')?.steps?.map(({ id }) => id) ?? [];
    expect(plan.indexOf('authority')).toBeLessThan(plan.indexOf('running'));
    expect((await authority()).raw).toEqual(before.raw);
    await succeeds('ca1', REPAIR, REPAIRED);
    expect(await refusal('ca1', REPAIR)).toMatchObject({ failures: [{ code: 'nothing-expired' }] });
  });

  test('has the key and the name that it had, and another life', async () => {
    const now = await authority();
    expect(now.publicKey.equals(before.publicKey)).toBe(true);
    expect([now.subject, now.issuer]).toEqual([before.subject, before.subject]);
    expect(now.validFromDate.getTime()).toBeGreaterThan(before.validToDate.getTime());
    expect(await keyIds('ca1')).toBe(keysBefore);
    expect(await trustFlags('ca1', 'internal')).toMatchObject({ 'caSigningCert cert-pki-ca': 'CT,C,C' });
  });

  test('issues certificates that verify, and has no fault but a clock that nobody sets', expectWell);
});

describe('a CA that another authority signed, after its own end', () => {
  let expired: X509Certificate;

  beforeAll(async () => {
    await certified(CORP, MORE_DAYS - 100);
    expired = await authority();
    await sleepDays(['ca1'], DAYS + MORE_DAYS);
  });

  test('is not repaired before that authority has signed it once more', async () => {
    expect(await refusal('ca1', REPAIR)).toMatchObject({ exit: 2, failures: [{ code: 'ca-expired' }] });
    await certified(ANEW, 3000);
    await succeeds('ca1', ['ca-renew', '--undo']);
    expect(await refusal('ca1', REPAIR)).toMatchObject({ exit: 2, failures: [{ code: 'ca-expired' }] });
    expect((await authority()).raw).toEqual(expired.raw);
  });

  test('is repaired below a new root, though the repair is killed while it puts the certificate in place', async () => {
    await succeeds('ca1', taken([`${ANEW}/ca.crt`, `${ANEW}/chain.p7b`]));
    await killed('ca1', REPAIR, 'Putting the certificates in place', 1);
    await succeeds('ca1', REPAIR, REPAIRED);
    expect(await refusal('ca1', REPAIR)).toMatchObject({ failures: [{ code: 'nothing-expired' }] });
  });

  test('has the certificate everywhere, for the key and the name that it had', async () => {
    const [serial] = await serialAndKey('ca1', `${ANEW}/ca.crt`);
    await expectCa('ca1', serial, `${ANEW}/root.crt`, ABOVE);
    const now = await authority();
    expect([now.subject, now.publicKey.equals(before.publicKey)]).toEqual([before.subject, true]);
    expect(await keyIds('ca1')).toBe(keysBefore);
    expect(
      (await sh('ca1', `ls ${REQUEST} /var/lib/capstan/ca-certificate.pem 2>/dev/null || true`)).trim(),
    ).toBe('');
  });

  test('issues certificates that verify, and has no fault but a clock that nobody sets', expectWell);
});
