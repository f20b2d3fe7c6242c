/**
 * A server wakes up after its CA's own certificate has expired, and "capstan repair" gets it back with the key on the
 * token. Judged by pkcs11-tool, certutil and OpenSSL, and in the end by Capstan's looks.
 */
import { X509Certificate } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { sleepDays } from './clock.ts';
import { issue } from './cluster/certificates.ts';
import { capstan, succeeds } from './cluster/hosts.ts';
import { expectGood } from './cluster/proofs.ts';
import { codesOf, findings } from './health/fault.ts';
import { keyIds, trustFlags } from './nss.ts';
import { readyLab } from './ready.ts';
import { removeLab, sh, unwell } from './support.ts';

/** Twenty years, for which Dogtag certifies a CA, and some weeks. */
const DAYS = 20 * 366 + 30;
const REPAIRED = { deadline: 1200 };

let keysBefore: string;
let before: X509Certificate;

async function authority(): Promise<X509Certificate> {
  return new X509Certificate(await sh('ca1', 'cat /etc/capstan/ca.crt'));
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
    await succeeds('ca1', ['repair', '--unattended'], REPAIRED);
    expect((await capstan('ca1', ['repair', '--unattended'])).last.failures?.[0]?.code).toBe(
      'nothing-expired',
    );
  });

  test('has the key and the name that it had, and another life', async () => {
    const now = await authority();
    expect(now.publicKey.equals(before.publicKey)).toBe(true);
    expect([now.subject, now.issuer]).toEqual([before.subject, before.subject]);
    expect(now.validFromDate.getTime()).toBeGreaterThan(before.validToDate.getTime());
    expect(await keyIds('ca1')).toBe(keysBefore);
    expect(await trustFlags('ca1', 'internal')).toMatchObject({ 'caSigningCert cert-pki-ca': 'CT,C,C' });
  });

  test('issues certificates that verify, and has no fault but a clock that nobody sets', async () => {
    await expectGood(await issue('ca1'), ['ca1']);
    expect(await unwell()).toEqual([]);
    expect(codesOf(await findings('ca1'))).toEqual(['clock-unsynchronised']);
  });
});
